"""What one rollout leaves for its epochs, and how it is cut into micro-batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rlhf.generation import Generation
from rlhf.models.roles import Reading, Sequences


@dataclass
class RoleOutputs:
    """What the roles make of the sequences of a rollout. B sequences, P prompt and R response positions.

    Attributes:
        sequences: with the states beneath what is trained.
        logprobs: of the response tokens under the policy, [B, R].
        reference_logprobs: of the response tokens under the reference, [B, R].
        values: before each response token, and after the last position, [B, R + 1].
    """

    sequences: Sequences
    logprobs: torch.Tensor
    reference_logprobs: torch.Tensor
    values: torch.Tensor

    @classmethod
    def empty(cls, sequences: Sequences) -> "RoleOutputs":
        """Zeros, to `put` parts into."""
        mask = sequences.response_mask
        zeros = torch.zeros(mask.shape, device=mask.device)
        values = torch.zeros(len(mask), mask.shape[1] + 1, device=mask.device)
        return cls(sequences.with_trunk({}), zeros, zeros.clone(), values)

    def put(self, rows: torch.Tensor, reading: Reading) -> None:
        """Fill in some rows, which `Sequences.select` has cut to the columns that they use."""
        part = reading.sequences
        width = part.response_mask.shape[1]
        self.logprobs[rows, :width] = reading.logprobs
        self.reference_logprobs[rows, :width] = reading.reference_logprobs
        self.values[rows, : width + 1] = reading.values
        start = self.sequences.prompt_width - part.prompt_width
        trunk = self.sequences.trunk
        for role, states in part.trunk.items():
            same = next((other for other in part.trunk if part.trunk[other] is states), role)  # roles of equal depth
            if same != role:
                trunk[role] = trunk[same]
                continue
            if role not in trunk:
                trunk[role] = states.new_zeros(*self.sequences.input_ids.shape, states.shape[-1])
            trunk[role][rows, start : start + states.shape[1]] = states


@dataclass
class Rollout:
    """Responses with everything that the losses need. B sequences, R response positions.

    Attributes:
        sequences: tokens, masks and shared states.
        logprobs: of the policy that sampled, [B, R].
        values: before each response token, [B, R].
        advantages: [B, R].
        returns: [B, R].
    """

    sequences: Sequences
    logprobs: torch.Tensor
    values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor

    def __len__(self) -> int:
        return len(self.logprobs)

    def select(self, rows: torch.Tensor) -> "Rollout":
        """Some rows, trimmed to the longest prompt and response among them."""
        sequences = self.sequences.select(rows)
        width = sequences.response_mask.shape[1]
        parts = (part[rows, :width] for part in (self.logprobs, self.values, self.advantages, self.returns))
        return Rollout(sequences, *parts)


@dataclass
class MicroBatch:
    """A part of a minibatch.

    Attributes:
        rollout: its rows.
        minibatch_tokens: response tokens of the whole minibatch over all processes.
        step: the optimizer step, from 0.
        number: which of the minibatch's micro-batches on this process.
    """

    rollout: Rollout
    minibatch_tokens: torch.Tensor
    step: int
    number: int


def sampled_logprobs(generations: Sequence[Generation], response_mask: torch.Tensor) -> torch.Tensor:
    """The log-probabilities at which the responses were drawn, [B, R]."""
    logprobs = torch.zeros(response_mask.shape, device=response_mask.device)
    drawn = [number for one in generations for number in one.logprobs]
    logprobs[response_mask] = torch.tensor(drawn, device=response_mask.device)
    return logprobs


def pad_generations(generations: Sequence[Generation], pad_token_id: int, device: torch.device) -> Sequences:
    """One batch of prompts, padded on the left, and responses, padded on the right; with the policy's kept states."""
    prompt_width = max(len(g.prompt_ids) for g in generations)
    response_width = max(max(len(g.response_ids) for g in generations), 1)
    input_ids = torch.full((len(generations), prompt_width + response_width), pad_token_id)
    attention_mask = torch.zeros_like(input_ids, dtype=torch.bool)
    for row, g in enumerate(generations):
        columns = slice(prompt_width - len(g.prompt_ids), prompt_width + len(g.response_ids))
        input_ids[row, columns] = torch.tensor([*g.prompt_ids, *g.response_ids])
        attention_mask[row, columns] = True
    sequences = Sequences(input_ids.to(device), attention_mask.to(device), prompt_width, trunk={})
    return with_states(sequences, "policy", [g.states for g in generations])


def with_states(sequences: Sequences, role: str, states: Sequence[torch.Tensor | None]) -> Sequences:
    """The sequences with a role's states [T, H] in place, from each one's first token on; zeros where unknown."""
    known = [(row, one) for row, one in enumerate(states) if one is not None]
    if not known:
        return sequences
    first = known[0][1]
    placed = first.new_zeros(*sequences.input_ids.shape, first.shape[-1])
    starts = sequences.attention_mask.int().argmax(-1).tolist()
    for row, one in known:
        placed[row, starts[row] : starts[row] + len(one)] = one
    return sequences.with_trunk(sequences.trunk | {role: placed})


def minibatch_rows(
    lengths: torch.Tensor, minibatches: int, micro_batches: int, *, first_row: int, key: tuple[int, int, int]
) -> Iterator[list[torch.Tensor]]:
    """The rows of one epoch: dealt out to the minibatches at random, each split into micro-batches of similar length.

    Of each `minibatches` neighbours every minibatch gets one. Which one follows from the key and from the row's number
    in the rollout of all processes, so that the number of processes changes no minibatch.

    Args:
        lengths: tokens of each sequence of this process, [B]; B is a multiple of `minibatches`.
        minibatches: optimizer steps of the epoch.
        micro_batches: forward and backward passes of each step.
        first_row: the number of this process's first row in the rollout of all processes.
        key: seed, number of the rollout, epoch.

    Yields:
        For each minibatch its micro-batches' row numbers on this process.
    """
    seed, rollout, epoch = key
    generator = np.random.Generator(np.random.Philox(key=[seed % 2**64, rollout], counter=[0, 0, 0, 1 + epoch]))
    first_deal, deals = first_row // minibatches, len(lengths) // minibatches
    dealt = generator.permuted(np.tile(np.arange(minibatches), (first_deal + deals, 1)), axis=1)
    of_row = torch.from_numpy(dealt[first_deal:].reshape(-1))
    for minibatch in range(minibatches):
        rows = (of_row == minibatch).nonzero().squeeze(-1)
        by_length = rows[lengths.cpu()[rows].argsort(stable=True)]
        yield list(torch.chunk(by_length, micro_batches))
