"""The roles of PPO: policy, reference, value and, where it shares the base, reward.

`Roles` is what the trainer sees; it has two forms. `SharedRoles` (in `rlhf.models.shared_roles`) is one frozen base
with small adapters; `SeparateRoles` (in `rlhf.models.separate_roles`) is whole models. Either way policy and value are
trained by one forward of one module, one backward and one optimizer: the only form that works under DDP too.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from rlhf.errors import ModelError
from rlhf.models.heads import ScalarHead, token_logprobs
from rlhf.models.scoring import bare, hidden_states, softcap_of


@dataclass
class Sequences:
    """A batch of prompts and responses: prompts padded on the left, responses on the right.

    Attributes:
        input_ids: [B, P + R].
        attention_mask: [B, P + R], True where a token is real.
        prompt_width: P.
        trunk: for "policy" (and reference) and "value" the states that enter the layers they train, [B, P + R, H];
            nothing for a role whose states aren't kept, or not known yet.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    prompt_width: int
    trunk: dict[str, torch.Tensor]

    @property
    def response_mask(self) -> torch.Tensor:
        """[B, R], True where a response token is real."""
        return self.attention_mask[:, self.prompt_width :]

    def select(self, rows: torch.Tensor) -> "Sequences":
        """Some rows, with the columns cut off that are padding in all of them."""
        mask = self.attention_mask[rows]
        used = mask.any(0).nonzero().squeeze(-1)
        # The last prompt column stays: the first response token is predicted from it.
        start = min(int(used[0]), self.prompt_width - 1)
        columns = slice(start, int(used[-1]) + 1)
        return Sequences(
            self.input_ids[rows, columns],
            mask[:, columns],
            self.prompt_width - start,
            {role: states[rows, columns] for role, states in self.trunk.items()},
        )

    def with_trunk(self, trunk: dict[str, torch.Tensor]) -> "Sequences":
        return replace(self, trunk=trunk)


@dataclass
class Texts:
    """Texts for language modelling beside PPO: tokens padded on the left, T of them.

    Attributes:
        input_ids: [B, T].
        attention_mask: [B, T], True where a token is real.
        loss_mask: [B, T], True where a token is to be predicted; never at the first of a row.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    loss_mask: torch.Tensor


class PolicyAndValues(NamedTuple):
    """What a training forward gives. Positions outside the response mask hold 0.

    Attributes:
        logprobs: of the response tokens at the sampling temperature, [B, R].
        entropies: of the distributions they come from, [B, R], without gradient.
        values: estimated return before each response token, and after the last position, [B, R + 1].
        text_logprobs: the policy's, at temperature 1, of the N tokens of the texts that were given with it, [N]; None
            without texts.
    """

    logprobs: torch.Tensor
    entropies: torch.Tensor
    values: torch.Tensor
    text_logprobs: torch.Tensor | None = None


class Reading(NamedTuple):
    """A batch as all roles see it, without gradients.

    Attributes:
        sequences: with the states beneath what is trained.
        logprobs: the policy's, [B, R].
        reference_logprobs: the reference's, [B, R].
        values: before each response token, and after the last position, [B, R + 1].
    """

    sequences: Sequences
    logprobs: torch.Tensor
    reference_logprobs: torch.Tensor
    values: torch.Tensor


class RewardReading(NamedTuple):
    """What reward roles on the shared base make of whole sequences, N in all.

    Attributes:
        scores: [roles, N], float32.
        value_states: for each batch the states that enter the layers that the value role trains, [B, T, H]; None where
            it doesn't stand on the same layers.
    """

    scores: torch.Tensor
    value_states: list[torch.Tensor] | None


class Roles(nn.Module, ABC):
    """Policy, reference and value of one PPO run. Stepping one leaves the others as they are.

    Attributes:
        temperature: of sampling, at which all log-probabilities are taken; the trainer sets it.
    """

    temperature: float = 1.0
    value_head: ScalarHead

    @abstractmethod
    def forward(self, sequences: Sequences, texts: Texts | None = None) -> PolicyAndValues:
        """Policy log-probabilities and values, with gradients; of texts too, where some are given."""

    @abstractmethod
    def policy_logprobs(self, sequences: Sequences) -> torch.Tensor:
        """Log-probabilities of the response tokens under the policy, [B, R]."""

    @abstractmethod
    def reference_logprobs(self, sequences: Sequences) -> torch.Tensor:
        """Log-probabilities of the response tokens under the reference, [B, R]."""

    @abstractmethod
    def values(self, sequences: Sequences) -> torch.Tensor:
        """Values before each response token and after the last, [B, R + 1]."""

    @torch.no_grad()
    def read(self, sequences: Sequences, logprobs: torch.Tensor | None = None) -> Reading:
        """What all roles make of a batch. The policy isn't asked again where its log-probabilities [B, R] are given."""
        sequences = self.run_trunk(sequences)
        logprobs = self.policy_logprobs(sequences) if logprobs is None else logprobs
        return Reading(sequences, logprobs, self.reference_logprobs(sequences), self.values(sequences))

    @abstractmethod
    def sampling(self) -> AbstractContextManager[nn.Module]:
        """The policy as a causal language model, in its fastest form for generation, inside the block."""

    @abstractmethod
    def move_reference(self, share: float) -> None:
        """Move the reference's weights by a share, in (0, 1], of the way to the policy's."""

    @abstractmethod
    def role_parameters(self) -> dict[str, list[nn.Parameter]]:
        """The trainable parameters of "policy" and of "value"."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write policy and value: the policy at the top as PEFT or transformers would, the value under `value/`."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read back what `save` wrote, into the same modules."""

    def train(self, mode: bool = True) -> "Roles":
        """Stay in evaluation mode: with dropout, the ratio to the rollout's own policy would not be 1."""
        return super().train(False)

    def run_trunk(self, sequences: Sequences) -> Sequences:
        """The sequences with the states beneath what is trained, where they can be kept for the whole rollout.

        A role's states that they have already are left as they are.
        """
        return sequences

    @property
    def depth_above_sampled_states(self) -> int | None:
        """The top layers beneath which sampling computes the very states that are kept for the policy.

        None where it doesn't, or where they are needed for another role too.
        """
        return None

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The precision that the policy's base computes in."""
        return next(self.parameters()).dtype


def response_logprobs(
    causal_lm: Any, hidden: torch.Tensor, sequences: Sequences, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies of the response tokens, [B, R] each, from last hidden states [B, P + R, H].

    Only real response tokens meet the vocabulary.
    """
    mask = sequences.response_mask
    before = hidden[:, sequences.prompt_width - 1 : -1]
    labels = sequences.input_ids[:, sequences.prompt_width :]
    logprobs, entropies = token_logprobs(
        before[mask],
        causal_lm.get_output_embeddings(),
        labels[mask],
        temperature=temperature,
        softcap=softcap_of(causal_lm),
    )
    return _spread(logprobs, mask), _spread(entropies, mask)


def text_logprobs(causal_lm: Any, hidden: torch.Tensor, texts: Texts) -> torch.Tensor:
    """Log-probabilities of the tokens under the loss mask, [N], from last hidden states [B, T, H]."""
    predicted = texts.loss_mask[:, 1:]
    logprobs, _ = token_logprobs(
        hidden[:, :-1][predicted],
        causal_lm.get_output_embeddings(),
        texts.input_ids[:, 1:][predicted],
        softcap=softcap_of(causal_lm),
    )
    return logprobs


def _spread(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[N] -> [B, R], zeros outside the mask."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(mask, values)


def response_values(head: nn.Module, hidden: torch.Tensor, sequences: Sequences) -> torch.Tensor:
    """Values before each response token and after the last, [B, R + 1]."""
    values: torch.Tensor = head(hidden[:, sequences.prompt_width - 1 :])
    return values


def last_token_scores(head: nn.Module, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The head's score at the last real token of each row, [B]."""
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    last = (positions * attention_mask).argmax(-1)
    scores: torch.Tensor = head(hidden[torch.arange(len(hidden), device=hidden.device), last])
    return scores


@torch.no_grad()
def check_logprobs(model: nn.Module) -> None:
    """Compare our log-probabilities with the model's own logits on a few tokens.

    Raises:
        ModelError: for an architecture that does more to its logits than a linear head and a soft cap, or a model in
            which dropout is active.
    """
    causal_lm = bare(model)
    vocabulary = causal_lm.get_output_embeddings().weight.shape[0]
    ids = torch.arange(1, 9, device=next(model.parameters()).device)[None] % vocabulary
    mask = torch.ones_like(ids, dtype=torch.bool)
    sequences = Sequences(ids, mask, prompt_width=1, trunk={})
    ours, _ = response_logprobs(causal_lm, hidden_states(model, ids, mask), sequences, 1.0)
    inputs = {"input_ids": ids, "attention_mask": mask.long(), "use_cache": False}
    logits = causal_lm(**inputs).logits.float()
    theirs = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    tolerance = 1e-3 if logits.dtype == torch.float32 and causal_lm.dtype == torch.float32 else 0.25
    if (ours - theirs).abs().max() > tolerance:
        if (causal_lm(**inputs).logits.float() - logits).abs().max() > tolerance:
            raise ModelError(
                f"{type(causal_lm).__name__} gives other logits each time it runs on the same tokens: dropout, or "
                "other randomness, is active in evaluation mode.",
                remedy="set the dropouts in its config.json to 0 (attention_dropout, hidden_dropout, …).",
            )
        raise ModelError(
            f"The logits of {type(causal_lm).__name__} are not a linear function of its last hidden states.",
            remedy="use another architecture (Llama, Qwen, Mistral, Gemma, Phi-3, OLMo-2 and SmolLM work).",
        )


def chunks(count: int, size: int) -> Iterator[torch.Tensor]:
    """Row numbers 0 … count - 1 in pieces of at most `size`."""
    yield from torch.split(torch.arange(count), size)
