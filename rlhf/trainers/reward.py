"""TRL's RewardTrainer, with the two things that people say beyond which response is better: how much, and how surely.

`margin`, in (0, 1], is how much better the chosen response is. Scaled by `margin_scale` to logits, it is what the
chosen response has to be ahead by: loss = softplus(margin - (r_chosen - r_rejected)).

`agreement`, in [0, 1], is the share of raters on the side of the chosen response. It enters as a soft target or as the
weight of the pair; rows without it count as agreed upon by all.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import DataCollatorForPreference, RewardTrainer
from trl.trainer.utils import pad

from rlhf.data import Row
from rlhf.errors import DataError, TrainingError
from rlhf.models.load import ModelOptions, train_in_float32
from rlhf.models.reward_model import load_reward_model
from rlhf.rewards.model import ModelReward
from rlhf.trainers.pair_lengths import GroupsPairsByLength

logger = logging.getLogger(__name__)

RELOAD_TOLERANCE = 1e-3
AgreementMode = Literal["ignore", "label_smoothing", "weight"]


@dataclass
class PreferenceRewardConfig(RewardConfig):
    """TRL's options, and how strength and agreement enter the loss."""

    margin_scale: float = field(
        default=1.0,
        metadata={"help": "Logits by which a pair of margin 1 has to be apart; 0 leaves margins out."},
    )
    agreement_mode: AgreementMode = field(
        default="label_smoothing",
        metadata={
            "help": "How agreement among raters enters: as the target probability (label_smoothing), as the pair's "
            "weight 2 * agreement - 1 (weight), or not at all (ignore)."
        },
    )
    train_sampling_strategy: str = field(
        default="group_by_length",
        metadata={"help": "How batches are formed; by length (group_by_length) saves a third of the padding."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.margin_scale < 0:
            raise ValueError(f"margin_scale: expected 0 or more, got {self.margin_scale}")


def preference_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    margin: torch.Tensor,
    agreement: torch.Tensor,
    agreement_mode: AgreementMode,
) -> torch.Tensor:
    """The Bradley-Terry loss of each pair, [B].

    Args:
        chosen, rejected: rewards, [B].
        margin: in logits, [B]; 0 for a pair without one.
        agreement: share of raters for the chosen response, [B]; 1 where unknown.
        agreement_mode: with `label_smoothing` the loss is the cross-entropy to (agreement, 1 - agreement), least where
            the chosen one leads by logit(agreement) + margin; with `weight` a pair weighs 2 * agreement - 1: all if
            everybody agrees, nothing if as many are for either side, or more for the rejected one.
    """
    lead = chosen - rejected - margin
    if agreement_mode == "label_smoothing":
        return -agreement * functional.logsigmoid(lead) - (1 - agreement) * functional.logsigmoid(-lead)
    loss = -functional.logsigmoid(lead)
    return loss * (2 * agreement - 1).clamp(min=0) if agreement_mode == "weight" else loss


@dataclass
class PreferenceCollator(DataCollatorForPreference):
    """Pairs to one padded batch in which each distinct sequence stands once.

    Returns, for B pairs with U <= 2B distinct sequences:
        input_ids, attention_mask: [U, T], right-padded.
        sequence: [2B], the row of `input_ids` of each chosen, then of each rejected response.
        margin, agreement: [B]; 0 and 1 for pairs that have none.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sequences = [tuple(example[key]) for key in ("chosen_ids", "rejected_ids") for example in examples]
        rows = {ids: row for row, ids in enumerate(dict.fromkeys(sequences))}
        distinct = [torch.tensor(ids) for ids in rows]
        masks = [torch.ones_like(ids) for ids in distinct]
        multiple = self.pad_to_multiple_of
        return {
            "input_ids": pad(distinct, self.pad_token_id, "right", multiple),
            "attention_mask": pad(masks, 0, "right", multiple),
            "sequence": torch.tensor([rows[ids] for ids in sequences]),
            "margin": _column(examples, "margin", 0.0),
            "agreement": _column(examples, "agreement", 1.0),
        }


class PreferenceRewardTrainer(GroupsPairsByLength, RewardTrainer):
    """TRL's RewardTrainer on `margin` and `agreement`; responses shared by pairs of a batch are encoded once."""

    args: PreferenceRewardConfig
    model: nn.Module
    processing_class: PreTrainedTokenizerBase

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        train_in_float32(self.model)
        multiple: Any = self.args.pad_to_multiple_of  # a number by now; the class also says "auto"
        self.data_collator = PreferenceCollator(self.processing_class.pad_token_id, pad_to_multiple_of=multiple)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns
        if "agreement" not in columns:
            columns.append("agreement")

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """Tokenize, and say how many rows `max_length` takes away, which TRL doesn't."""
        prepared = super()._prepare_dataset(dataset, processing_class, args, dataset_name)
        lost = len(dataset) - len(prepared)
        if lost == len(dataset):
            raise DataError(
                f"All {lost:,} rows of the {dataset_name} data are longer than max_length={args.max_length}.",
                remedy="Raise max_length.",
            )
        if lost:
            logger.warning(
                "%s data: %d of %d rows are over max_length=%s and left out",
                dataset_name,
                lost,
                len(dataset),
                args.max_length,
            )
        return prepared

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        rewards = outputs.logits.squeeze(-1).float()[inputs["sequence"]]
        chosen, rejected = rewards.chunk(2)
        margin = self.args.margin_scale * inputs["margin"]
        loss = preference_loss(chosen, rejected, margin, inputs["agreement"], self.args.agreement_mode).mean()
        if self.args.center_rewards_coefficient is not None:
            loss = loss + self.args.center_rewards_coefficient * ((chosen + rejected) ** 2).mean()
        self._record(chosen.detach(), rejected.detach(), inputs["attention_mask"].sum())
        return (loss, {"rewards": torch.stack([chosen, rejected], dim=1)}) if return_outputs else loss

    def _record(self, chosen: torch.Tensor, rejected: torch.Tensor, tokens: torch.Tensor) -> None:
        """Note the metrics of a batch, over all processes, under the names that TRL logs them by."""
        mode = "train" if self.model.training else "eval"
        chosen, rejected = self.accelerator.gather_for_metrics((chosen, rejected))
        rewards = torch.cat([chosen, rejected])
        if mode == "train":
            self._total_train_tokens += int(self.accelerator.reduce(tokens, "sum").item())
        metrics = self._metrics[mode]
        metrics["num_tokens"] = [self._total_train_tokens]
        metrics["min_reward"].append(rewards.min().item())
        metrics["mean_reward"].append(rewards.mean().item())
        metrics["max_reward"].append(rewards.max().item())
        metrics["accuracy"].append((chosen > rejected).float().mean().item())
        metrics["margin"].append((chosen - rejected).mean().item())


def prove_reload(
    folder: Path, options: ModelOptions, model: nn.Module, tokenizer: PreTrainedTokenizerBase, rows: list[Row]
) -> None:
    """Load the saved reward model anew and compare its scores with those of the trained one.

    A head that isn't saved, or an adapter under another name, would load without an error and score at random.

    Raises:
        TrainingError: the scores differ.
    """
    pairs = [(row.get("prompt"), row[name]) for row in rows for name in ("chosen", "rejected")]
    prompts, completions = [prompt or "" for prompt, _ in pairs], [completion for _, completion in pairs]
    trained = ModelReward(model.eval(), tokenizer)(prompts, completions)
    saved = load_reward_model(str(folder), dtype=options.dtype, load_in_4bit=options.load_in_4bit)
    reloaded = ModelReward(saved, tokenizer)(prompts, completions)
    gap = max(abs((one or 0.0) - (other or 0.0)) for one, other in zip(trained, reloaded, strict=True))
    if not gap <= RELOAD_TOLERANCE:
        raise TrainingError(
            f"The reward model saved in {folder} scores differently from the trained one (by up to {gap:.3g}).",
            remedy="Don't use it, and report this with the run's config.yaml.",
        )


def _column(examples: list[dict[str, Any]], name: str, default: float) -> torch.Tensor:
    """[B]: a number of each pair, with a default for those that have none."""
    values = [example.get(name) for example in examples]
    return torch.tensor([default if value is None else float(value) for value in values])
