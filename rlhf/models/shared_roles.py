"""One frozen base, four roles, each a small adapter.

    policy     the trained copy of the SFT adapter, named `default` so that plain PEFT loads what is saved
    reference  the SFT adapter, or the bare base where there is none
    value      an adapter with a scalar head: a copy of the reward adapter and its head, else of the SFT adapter
    reward     adapter and score head of the reward stage; several of them are an ensemble

Policy and value train the adapters of their top K layers. What lies beneath is frozen: for policy and reference the SFT
adapter, for value the adapter that it is a copy of. It is run once per rollout, and its states are kept for all epochs.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.utils import load_peft_weights
from safetensors.torch import load_file, save_file
from torch import nn

from rlhf.errors import ModelError
from rlhf.models.adapters import active_adapter, adapter_parameters, merged_adapter, tuner_layers
from rlhf.models.heads import ScalarHead
from rlhf.models.lora_linear import answering_together, can_answer_together, fuse_lora
from rlhf.models.roles import (
    PolicyAndValues,
    RewardReading,
    Roles,
    Sequences,
    Texts,
    check_logprobs,
    last_token_scores,
    response_logprobs,
    response_values,
    text_logprobs,
)
from rlhf.models.scoring import bare, hidden_states
from rlhf.models.trunk import DecoderTop, check_depth, check_trunk, decoder_of, run_bottom, states_entering

POLICY, REFERENCE, VALUE, REWARD = "default", "reference", "value", "reward"
SCORE_WEIGHT = "base_model.model.score.weight"
VALUE_HEAD_FILE = "value_head.safetensors"
LAYER_NUMBER = re.compile(r"\.layers\.(\d+)\.")


class SharedRoles(Roles):
    """Adapters on one base. Build it with `SharedRoles.build`."""

    def __init__(
        self,
        model: PeftModel,
        value_head: ScalarHead,
        *,
        policy_layers: int,
        value_layers: int,
        has_reference_adapter: bool,
        value_from_reward: bool = False,
        reward_heads: Sequence[ScalarHead] = (),
        reference_moves: bool = False,
    ):
        super().__init__()
        self.model: Any = model
        self.value_head = value_head
        self.reward_heads = nn.ModuleList(reward_heads)
        self.reference = REFERENCE if has_reference_adapter else None
        self.reference_moves = reference_moves
        self.depths = {"policy": policy_layers, "value": value_layers}
        # The adapter beneath each role's trained layers.
        self.beneath = {"policy": self.reference, "value": VALUE if value_from_reward else self.reference}
        decoder = decoder_of(bare(model))
        # What lies beneath a role's trained layers is kept; where all are trained, nothing is.
        self.kept = {role: depth for role, depth in self.depths.items() if depth < len(decoder.layers)}
        self._tops = {depth: DecoderTop(decoder, depth) for depth in self.kept.values()}
        self._fix_trainable_parameters()
        fuse_lora(model)
        self.eval()  # before it is asked: an adapter's dropout, which PPO never uses, would keep the roles apart
        self._tuner_layers = tuner_layers(model)
        self._together = policy_layers == value_layers and can_answer_together(self._tuner_layers, POLICY, VALUE)
        check_logprobs(model)
        for depth in self._tops:
            check_trunk(model, depth)

    @classmethod
    def build(
        cls,
        base: nn.Module,
        *,
        sft_adapter: str | None = None,
        reward_adapters: Sequence[str] = (),
        new_adapter: LoraConfig | None = None,
        policy_layers: int | None = None,
        value_layers: int | None = None,
        reference_moves: bool = False,
    ) -> "SharedRoles":
        """Put the adapters on a base.

        Args:
            base: a causal language model; it is frozen.
            sft_adapter: folder of the adapter that the policy starts from and is held to; None is the bare base.
            reward_adapters: run directories of reward models on the same base. The value role starts from the first;
                without any, the reward comes from elsewhere.
            new_adapter: the shape of fresh adapters, needed where there is no SFT adapter.
            policy_layers: how many of the top layers the policy trains; all by default.
            value_layers: the same for the value role.
            reference_moves: whether `move_reference` is going to be called.

        Raises:
            ModelError: when an adapter doesn't fit the base, or a depth doesn't.
        """
        base.requires_grad_(False)
        decoder = decoder_of(base)
        depths = {
            "policy_layers": check_depth(decoder, policy_layers, "policy_layers"),
            "value_layers": check_depth(decoder, value_layers, "value_layers"),
        }
        model = _with_policy(base, sft_adapter, new_adapter)
        if sft_adapter:
            _add_saved(model, REFERENCE, sft_adapter)
        elif reference_moves:
            model.add_adapter(REFERENCE, _fresh(new_adapter))
            _move(model, POLICY, REFERENCE, 1.0)
        scores = [_add_reward(model, reward_name(i), folder) for i, folder in enumerate(reward_adapters)]
        value_start = [*reward_adapters, *([sft_adapter] if sft_adapter else [])]
        if value_start:
            _add_saved(model, VALUE, value_start[0])
        else:
            model.add_adapter(VALUE, _fresh(new_adapter))
        size = bare(model).config.get_text_config().hidden_size
        return cls(
            model,
            ScalarHead(size, scores[0] if scores else None),
            reward_heads=[ScalarHead(size, score) for score in scores],
            has_reference_adapter=sft_adapter is not None or reference_moves,
            value_from_reward=bool(scores),
            reference_moves=reference_moves,
            **depths,
        )

    def _fix_trainable_parameters(self) -> None:
        """Decide once, by name, what is trained: nobody switches `requires_grad` afterwards."""
        layers = len(decoder_of(bare(self.model)).layers)
        self.requires_grad_(False)
        for adapter, role in ((POLICY, "policy"), (VALUE, "value")):
            for name, parameter in adapter_parameters(self.model, adapter):
                number = LAYER_NUMBER.search(name)
                if number is None:
                    raise ModelError(
                        f"The {role} adapter has weights outside the decoder layers: {name}.",
                        remedy="use LoRA on linear layers of the decoder only, without lora_modules_to_save.",
                    )
                parameter.requires_grad_(int(number[1]) >= layers - self.depths[role])
        self.value_head.requires_grad_(True)

    def forward(self, sequences: Sequences, texts: Texts | None = None) -> PolicyAndValues:
        sequences = self.run_trunk(sequences)
        of_texts = None
        if texts is not None:
            with self._active(POLICY):
                of_texts = self._text_logprobs(texts)
        if not self._together:
            with self._active(POLICY):
                logprobs, entropies = self._logprobs(sequences)
            return PolicyAndValues(logprobs, entropies, self.values(sequences), of_texts)
        of_policy, of_value = self._tops_together(sequences)
        logprobs, entropies = response_logprobs(bare(self.model), of_policy, sequences, self.temperature)
        return PolicyAndValues(logprobs, entropies, response_values(self.value_head, of_value, sequences), of_texts)

    def _tops_together(self, sequences: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
        """The last hidden states of policy and value, [B, P + R, H] each, from one pass over twice the batch."""
        mask = sequences.attention_mask.repeat(2, 1)
        with answering_together(self._tuner_layers, POLICY, VALUE):
            if self.kept:
                states = torch.cat([sequences.trunk["policy"], sequences.trunk["value"]])
                hidden = self._tops[self.depths["policy"]](states, mask)
            else:
                hidden = hidden_states(self.model, sequences.input_ids.repeat(2, 1), mask)
        of_policy, of_value = hidden.chunk(2)
        return of_policy, of_value

    def policy_logprobs(self, sequences: Sequences) -> torch.Tensor:
        with self._active(POLICY):
            return self._logprobs(sequences)[0]

    def reference_logprobs(self, sequences: Sequences) -> torch.Tensor:
        with self._active(self.reference):
            return self._logprobs(sequences)[0]

    def values(self, sequences: Sequences) -> torch.Tensor:
        with self._active(VALUE):
            return response_values(self.value_head, self._top("value", sequences), sequences)

    def _active(self, adapter: str | None) -> AbstractContextManager[None]:
        """Let one adapter answer inside the block; None is the bare base."""
        return active_adapter(self.model, adapter, self._tuner_layers)

    def _logprobs(self, sequences: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self._top("policy", sequences)
        return response_logprobs(bare(self.model), hidden, sequences, self.temperature)

    def _text_logprobs(self, texts: Texts) -> torch.Tensor:
        return text_logprobs(bare(self.model), hidden_states(self.model, texts.input_ids, texts.attention_mask), texts)

    def _top(self, role: str, sequences: Sequences) -> torch.Tensor:
        """The last hidden states under the active adapter, [B, P + R, H]."""
        if role not in self.kept:
            return hidden_states(self.model, sequences.input_ids, sequences.attention_mask)
        states = self._with_trunk(sequences, [role]).trunk[role]
        return self._tops[self.kept[role]](states, sequences.attention_mask)

    def run_trunk(self, sequences: Sequences) -> Sequences:
        return self._with_trunk(sequences, self.kept)

    @torch.no_grad()
    def _with_trunk(self, sequences: Sequences, roles: Iterable[str]) -> Sequences:
        """The sequences with the kept states of some roles; those that are there already are left as they are."""
        trunk = dict(sequences.trunk)
        missing = {role: self.kept[role] for role in roles if role not in trunk}
        decoder = decoder_of(bare(self.model))
        for adapter in {self.beneath[role] for role in missing}:
            depths = {role: depth for role, depth in missing.items() if self.beneath[role] == adapter}
            with self._active(adapter):
                states = run_bottom(decoder, list(depths.values()), sequences.input_ids, sequences.attention_mask)
            trunk |= {role: states[depth] for role, depth in depths.items()}
        return sequences.with_trunk(trunk)

    @property
    def depth_above_sampled_states(self) -> int | None:
        # A merged adapter computes the same as one beside the base in float32 only; the bare base always does.
        same = self.dtype == torch.float32 or self.beneath["policy"] is None
        alone = "value" not in self.kept or self.beneath["value"] != self.beneath["policy"]
        return self.kept.get("policy") if same and alone else None

    @torch.no_grad()
    def reward_scores(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> RewardReading:
        """Scores of whole sequences by each reward role, at their last real tokens.

        Args:
            batches: token ids and attention mask, [B, T] each.

        Raises:
            ModelError: there is no reward role.
        """
        if not self.reward_heads:
            raise ModelError("These roles have no reward adapter.", remedy="give a reward model or a reward function.")
        scores, depth = [], self.kept.get("value") if self.beneath["value"] == VALUE else None
        with states_entering(decoder_of(bare(self.model)), [depth] if depth else []) as states:
            for number, head in enumerate(self.reward_heads):
                with self._active(reward_name(number)):
                    parts = [last_token_scores(head, hidden_states(self.model, *batch), batch[1]) for batch in batches]
                scores.append(torch.cat(parts))
        # The value role is a copy of the first reward role.
        return RewardReading(torch.stack(scores), states[depth][: len(batches)] if depth else None)

    def move_reference(self, share: float) -> None:
        if not self.reference_moves:
            raise ModelError("This reference stays where it is.", remedy="build the roles with reference_moves.")
        _move(self.model, POLICY, REFERENCE, share)

    @contextmanager
    def sampling(self) -> Iterator[nn.Module]:
        with merged_adapter(self.model, POLICY):
            yield self.model

    def role_parameters(self) -> dict[str, list[nn.Parameter]]:
        value = [p for _, p in adapter_parameters(self.model, VALUE)]
        return {
            "policy": [p for _, p in adapter_parameters(self.model, POLICY) if p.requires_grad],
            "value": [p for p in [*value, *self.value_head.parameters()] if p.requires_grad],
        }

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder, selected_adapters=[adapter for adapter, _ in self._places(folder)])
        save_file(self.value_head.state_dict(), folder / VALUE / VALUE_HEAD_FILE)

    def load(self, folder: Path) -> None:
        for adapter, place in self._places(folder):
            set_peft_model_state_dict(self.model, load_peft_weights(str(place), device="cpu"), adapter)
        self.value_head.load_state_dict(load_file(folder / VALUE / VALUE_HEAD_FILE))

    def _places(self, folder: Path) -> list[tuple[str, Path]]:
        """The adapters that change, and where PEFT saves them."""
        moving = [REFERENCE] if self.reference_moves else []
        return [(POLICY, folder), *((adapter, folder / adapter) for adapter in [VALUE, *moving])]


def reward_name(number: int) -> str:
    """The name of the reward adapter with that number in an ensemble."""
    return REWARD if number == 0 else f"{REWARD}_{number}"


def _require_unchanged_base(config: Any, what: str) -> None:
    """Refuse an adapter whose initialization subtracts from the base: each role would subtract once more."""
    kind = str(getattr(config, "init_lora_weights", True))
    if kind.startswith(("pissa", "corda", "loftq", "lora_ga")):
        raise ModelError(
            f"{what} is initialized by {kind}, which changes the base that all roles share.",
            remedy="convert it to plain LoRA (PEFT's path_initial_model_for_weight_conversion), or merge it.",
        )


def _with_policy(base: nn.Module, sft_adapter: str | None, new_adapter: LoraConfig | None) -> Any:
    if sft_adapter:
        _require_unchanged_base(PeftConfig.from_pretrained(sft_adapter), sft_adapter)
        return PeftModel.from_pretrained(base, sft_adapter, adapter_name=POLICY, is_trainable=True)
    return get_peft_model(base, _fresh(new_adapter), adapter_name=POLICY)


def _fresh(config: LoraConfig | None) -> LoraConfig:
    """A copy: PEFT changes the configuration it is given."""
    if config is None:
        raise ModelError(
            "There is no SFT adapter to start from, and no shape for fresh ones.",
            remedy="give --adapter, or the LoRA options (lora_r, lora_alpha, lora_target_modules).",
        )
    _require_unchanged_base(config, "The fresh adapter")
    return copy.deepcopy(config)


@torch.no_grad()
def _move(model: Any, source: str, target: str, share: float) -> None:
    """Move one adapter's weights by a share of the way to another's. Factors move, not their product."""
    of_source = dict(adapter_parameters(model, source))
    for name, parameter in adapter_parameters(model, target):
        parameter.lerp_(of_source[name.replace(f".{target}.", f".{source}.")].to(parameter.dtype), share)


def _add_reward(model: Any, name: str, folder: str) -> torch.Tensor:
    """Put a reward adapter onto the model; returns the weight of its score head."""
    score = _add_saved(model, name, folder)
    if score is None:
        raise ModelError(
            f"{folder} has no score head: it is not a reward model.",
            remedy="give a run of recipes/reward.py as reward_model_path.",
        )
    return score


def _add_saved(model: Any, name: str, folder: str) -> torch.Tensor | None:
    """Put a saved adapter onto the model under a name; returns the weight of its score head, where it has one."""
    config = PeftConfig.from_pretrained(folder)
    if not isinstance(config, LoraConfig):
        raise ModelError(f"{folder} is not a LoRA adapter.", remedy="train it with LoRA, or use separate models.")
    _require_unchanged_base(config, folder)
    config.task_type, config.modules_to_save, config.inference_mode = "CAUSAL_LM", None, False
    weights = load_peft_weights(folder, device="cpu")
    score: torch.Tensor | None = weights.pop(SCORE_WEIGHT, None)
    model.add_adapter(name, config)
    result: Any = set_peft_model_state_dict(model, weights, adapter_name=name)
    unexpected = result.unexpected_keys
    if unexpected:
        raise ModelError(
            f"The {name} adapter has weights that the base model has no place for.",
            problems=sorted(unexpected),
            remedy="use adapters that were trained on this base model.",
        )
    return score
