"""Whole models as roles: full-parameter training, or a value model of another kind than the policy."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from rlhf.errors import ModelError
from rlhf.models.adapters import active_adapter, merged_adapter, tuner_layers
from rlhf.models.heads import ScalarHead
from rlhf.models.roles import (
    PolicyAndValues,
    Roles,
    Sequences,
    Texts,
    check_logprobs,
    response_logprobs,
    response_values,
    text_logprobs,
)
from rlhf.models.scoring import bare, hidden_states

VALUE_FOLDER, REFERENCE_FOLDER = "value", "reference"
WEIGHTS_FILE = "model.safetensors"
HEAD_FILE = "value_head.safetensors"


class SeparateRoles(Roles):
    """A policy, a frozen reference and a value model, each with weights of its own."""

    def __init__(
        self,
        policy: nn.Module,
        value_model: nn.Module,
        *,
        reference: nn.Module | None = None,
        reference_adapter: str | None = None,
        value_head: ScalarHead | None = None,
    ):
        """
        Args:
            policy: a causal language model or its PEFT wrapper, trainable as its parameters say.
            value_model: a model of any kind with a decoder; its own head is not used.
            reference: a frozen causal language model. None: the policy without its
                adapter where it has one, else a copy of it.
            reference_adapter: where no reference is given, the policy's adapter that is the reference.
            value_head: from H to a value; zeros by default.
        """
        super().__init__()
        self.policy: Any = policy
        self.value_model: Any = value_model
        if reference is None and not tuner_layers(policy):
            reference = copy.deepcopy(policy)
        self.reference: Any = reference.eval().requires_grad_(False) if reference is not None else None
        self.reference_adapter = reference_adapter
        size = bare(value_model).config.get_text_config().hidden_size
        self.value_head = value_head or ScalarHead(size)
        self.reference_moved = False
        self.eval()
        check_logprobs(policy)

    def forward(self, sequences: Sequences, texts: Texts | None = None) -> PolicyAndValues:
        logprobs, entropies = self._logprobs(self.policy, sequences)
        of_texts = None if texts is None else self._text_logprobs(texts)
        return PolicyAndValues(logprobs, entropies, self.values(sequences), of_texts)

    def policy_logprobs(self, sequences: Sequences) -> torch.Tensor:
        return self._logprobs(self.policy, sequences)[0]

    def values(self, sequences: Sequences) -> torch.Tensor:
        hidden = hidden_states(self.value_model, sequences.input_ids, sequences.attention_mask)
        return response_values(self.value_head, hidden, sequences)

    @torch.no_grad()
    def reference_logprobs(self, sequences: Sequences) -> torch.Tensor:
        if self.reference is not None:
            return self._logprobs(self.reference, sequences)[0]
        with active_adapter(self.policy, self.reference_adapter):
            return self._logprobs(self.policy, sequences)[0]

    def _logprobs(self, model: nn.Module, sequences: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = hidden_states(model, sequences.input_ids, sequences.attention_mask)
        return response_logprobs(bare(model), hidden, sequences, self.temperature)

    def _text_logprobs(self, texts: Texts) -> torch.Tensor:
        hidden = hidden_states(self.policy, texts.input_ids, texts.attention_mask)
        return text_logprobs(bare(self.policy), hidden, texts)

    @torch.no_grad()
    def move_reference(self, share: float) -> None:
        if self.reference is None or tuner_layers(self.policy):
            raise ModelError(
                "The reference is the policy without its adapter, which can't be moved.",
                remedy="train all weights, or use SharedRoles, whose reference is an adapter.",
            )
        for ours, policys in zip(self.reference.parameters(), self.policy.parameters(), strict=True):
            ours.lerp_(policys.to(ours.dtype), share)
        self.reference_moved = True

    @contextmanager
    def sampling(self) -> Iterator[nn.Module]:
        with merged_adapter(self.policy, self._adapter):
            yield self.policy

    @property
    def _adapter(self) -> str | None:
        """The policy's own adapter; None where all its weights are its own."""
        layers = tuner_layers(self.policy)
        return str(layers[0].active_adapters[0]) if layers else None

    def role_parameters(self) -> dict[str, list[nn.Parameter]]:
        return {
            "policy": [p for p in self.policy.parameters() if p.requires_grad],
            "value": [p for m in (self.value_model, self.value_head) for p in m.parameters() if p.requires_grad],
        }

    def save(self, folder: Path) -> None:
        self.policy.save_pretrained(folder)
        (folder / VALUE_FOLDER).mkdir(exist_ok=True)
        save_model(self.value_model, str(folder / VALUE_FOLDER / WEIGHTS_FILE))
        save_file(self.value_head.state_dict(), folder / VALUE_FOLDER / HEAD_FILE)
        if self.reference_moved:
            (folder / REFERENCE_FOLDER).mkdir(exist_ok=True)
            save_model(self.reference, str(folder / REFERENCE_FOLDER / WEIGHTS_FILE))

    def load(self, folder: Path) -> None:
        if self._adapter is not None:
            from peft import set_peft_model_state_dict
            from peft.utils import load_peft_weights

            # PEFT writes an adapter into a folder of its name, but for one that is called "default".
            written = folder if self._adapter == "default" else folder / self._adapter
            set_peft_model_state_dict(self.policy, load_peft_weights(str(written), device="cpu"), self._adapter)
        else:
            load_whole(self.policy, folder)
        load_model(self.value_model, str(folder / VALUE_FOLDER / WEIGHTS_FILE))
        self.value_head.load_state_dict(load_file(folder / VALUE_FOLDER / HEAD_FILE))
        if (folder / REFERENCE_FOLDER).is_dir():
            load_model(self.reference, str(folder / REFERENCE_FOLDER / WEIGHTS_FILE))
            self.reference_moved = True


def load_whole(model: Any, folder: Path) -> None:
    """Read the weights that `save_pretrained` wrote, sharded or renamed as it pleases, into a model of their kind."""
    saved = type(model).from_pretrained(folder, dtype=next(model.parameters()).dtype)
    model.load_state_dict(saved.state_dict())
