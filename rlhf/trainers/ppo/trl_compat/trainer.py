"""TRL's constructor in front of our trainer."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object
from torch import nn
from transformers import PreTrainedTokenizerBase, TrainerCallback

from rlhf.errors import ConfigError
from rlhf.models.scoring import bare
from rlhf.trainers.ppo.evaluation import write_samples
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.ppo.trainer import PPOTrainer as NativePPOTrainer
from rlhf.trainers.ppo.trl_compat.card import model_card
from rlhf.trainers.ppo.trl_compat.models import build_reward, build_roles
from rlhf.trainers.ppo.trl_compat.optimizers import StepsOnceInRollout, add_value_head
from rlhf.trainers.ppo.trl_compat.options import PPOConfig, fill_in_sizes, native_options, rollouts_between_samples
from rlhf.trainers.ppo.trl_compat.prompts import prompts_of, require_fit
from rlhf.trainers.ppo.trl_compat.remarks import remarks, require_kinds
from rlhf.trainers.ppo.trl_compat.samples import ShowSamples, likeliest_answers, show_table
from rlhf.trainers.ppo.trl_compat.vocabulary import rows_of

logger = logging.getLogger(__name__)


class PPOTrainer(NativePPOTrainer):
    """Our PPO with the constructor of TRL 1.12's trainer.

    Attributes:
        policy_model, ref_model, reward_model, value_model: as TRL named them; `ref_model` is None where the reference
            is the policy without its adapter, or one of its adapters.
    """

    def __init__(
        self,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        model: nn.Module,
        ref_model: nn.Module | None,
        reward_model: nn.Module,
        train_dataset: Any,
        value_model: nn.Module,
        data_collator: Callable[[list[Any]], Any] | None = None,
        eval_dataset: Any = None,
        optimizers: tuple[Any, Any] = (None, None),
        callbacks: list[TrainerCallback] | None = None,
        peft_config: Any = None,
    ):
        """
        Args:
            args: `rlhf.PPOConfig`, in TRL's units. What TRL computed, such as `batch_size`, is filled in.
            processing_class: the policy's tokenizer, with an EOS and a pad token; they may be one token.
            model: the policy, a causal language model or its PEFT wrapper.
            ref_model: the reference. None: the policy without its adapter where it has one, else a copy of it.
            reward_model: a sequence classifier of one label with the policy's vocabulary.
            train_dataset: prompts in a column `input_ids`, or `prompt` (texts or conversations).
            value_model: a sequence classifier; its layers and its score head are the start of the values.
            data_collator: only asked for a row's tokens where it isn't a `DataCollatorWithPadding`.
            eval_dataset: held-out prompts in either form.
            optimizers: an optimizer of the script's own over policy and value model, and a schedule, which is stepped
                once in each rollout.
            callbacks: further Trainer callbacks; `state.global_step` counts optimizer steps.
            peft_config: puts an adapter onto the policy.

        Raises:
            ConfigError: options or models that can't go together.
            ModelError: a model of another vocabulary, or without the head that it needs.
            DataError: prompts that are missing or don't fit.
        """
        tokenizer = processing_class
        require_kinds(args, tokenizer)
        train = prompts_of(train_dataset, tokenizer, data_collator, "train_dataset")
        held_out = None if eval_dataset is None else prompts_of(eval_dataset, tokenizer, data_collator, "eval_dataset")
        overruled = fill_in_sizes(args, len(train), PartialState().num_processes)
        stop = tokenizer.eos_token_id if args.stop_token == "eos" else args.stop_token_id
        native = native_options(args, stop_token_id=stop, has_eval_dataset=held_out is not None)
        roles = build_roles(model, ref_model, reward_model, value_model, peft_config, tokenizer, args)
        _require_fit(roles.policy, tokenizer, args.response_length, train, held_out)
        reward = build_reward(reward_model, tokenizer, args, native.device)
        super().__init__(
            roles,
            Scorer(tokenizer, members=[reward], batch_size=args.local_rollout_forward_batch_size),
            native,
            tokenizer,
            train,
            held_out,
            callbacks,
        )
        self.policy_model, self.value_model, self.reward_model = roles.policy, value_model, reward_model
        self.ref_model = roles.reference
        self._use(*optimizers)
        if held_out is not None and args.num_sample_generations > 0:
            self.add_callback(ShowSamples(self.generate_completions, rollouts_between_samples(args)))
        told = list(remarks(args, overruled, model, ref_model, held_out is not None))
        if told and self.is_world_process_zero():
            logger.warning("Not all is as the script asks for:\n%s", "\n".join(f"  - {remark}" for remark in told))

    def generate_completions(self, sampling: bool = False) -> list[dict[str, Any]]:
        """Answer held-out prompts with the likeliest tokens, and show the first answers with their scores.

        All are written to `samples.jsonl` in the output directory and, where the run is tracked there, to wandb.

        Args:
            sampling: take one evaluation batch of each process instead of all prompts.

        Returns:
            Rows of `prompt`, `completion` and `score`; none without an `eval_dataset`.
        """
        if self.eval_dataset is None:
            return []
        count = len(self.eval_dataset)
        if sampling:
            count = min(count, self.args.per_device_eval_batch_size * self.args.world_size)
        numbers = range(self.args.process_index, count, self.args.world_size)
        answers = likeliest_answers(self, [self.eval_dataset[number] for number in numbers])
        found = gather_object(list(zip(numbers, answers, strict=True)))
        rows: list[dict[str, Any]] = [row for _, row in sorted(found, key=lambda pair: int(pair[0]))]
        if self.is_world_process_zero() and rows:
            show_table(rows)
            write_samples(Path(str(self.args.output_dir)), self.state.global_step, rows, self.args.report_to or [])
        return rows

    def create_model_card(  # type: ignore[override]
        self, model_name: str | None = None, dataset_name: str | None = None, tags: str | list[str] | None = None
    ) -> None:
        """Write `README.md` into the output directory: what was trained, from what, and for how long."""
        if not self.is_world_process_zero():
            return
        folder = Path(str(self.args.output_dir))
        card = model_card(
            self.policy_model,
            model_name or folder.name,
            dataset_name,
            [tags] if isinstance(tags, str) else tags or [],
            trained=f"{self.episodes:,} responses in {self.state.global_step:,} optimizer steps",
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(card, encoding="utf-8")

    def _use(self, optimizer: Any, schedule: Any) -> None:
        """Take over an optimizer and a schedule of the script's own."""
        if optimizer is None and schedule is not None:
            raise ConfigError(
                "optimizers holds a schedule without its optimizer.", remedy="give both, or the optimizer alone."
            )
        if optimizer is not None:
            add_value_head(optimizer, self.roles)
            self.optimizer = optimizer
        if schedule is not None:
            # The Trainer asks of a schedule no more than this one has.
            self.lr_scheduler = StepsOnceInRollout(schedule, self.args.steps_per_rollout)  # type: ignore[assignment]


def _require_fit(policy: Any, tokenizer: PreTrainedTokenizerBase, response_length: int, *datasets: Any) -> None:
    context = getattr(bare(policy).config.get_text_config(), "max_position_embeddings", None)
    for dataset in datasets:
        if dataset is not None:
            require_fit(dataset, tokenizer, context=context, rows=rows_of(policy), response_length=response_length)
