"""How the checks look at a model: differences under a mask, sequences one by one, differences of gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rlhf.models.roles import Roles, Sequences, chunks
from rlhf.trainers.ppo.advantages import own_process
from rlhf.trainers.ppo.rollout import MicroBatch, Rollout
from rlhf.trainers.ppo.selfcheck.evidence import Bounds, Measured, Tolerances
from rlhf.trainers.ppo.trainer import PPOTrainer


def logprob_differences(
    what: str, one: torch.Tensor, other: torch.Tensor, mask: torch.Tensor, allowed: Bounds, reason: str, remedy: str
) -> list[Measured]:
    """The largest and the mean difference of log-probabilities under a mask, [B, R] each."""
    difference = (one - other).abs()[mask]
    return [
        Measured(f"{what}: largest difference", float(difference.max()), allowed.largest, reason, remedy),
        Measured("mean", float(difference.mean()), allowed.mean, reason, remedy),
    ]


@torch.no_grad()
def one_by_one(roles: Roles, sequences: Sequences) -> torch.Tensor:
    """The policy's log-probabilities, each sequence alone and without padding, [B, R]."""
    logprobs = torch.zeros(sequences.response_mask.shape, device=roles.device)
    for row in range(len(logprobs)):
        single = roles(sequences.select(torch.tensor([row]))).logprobs
        logprobs[row, : single.shape[1]] = single
    return logprobs


def uneven(rollout: Rollout, seed: int = 0) -> Rollout:
    """A rollout with responses of unequal lengths, in which every token counts.

    Responses are cut, by one more token in each row. Advantages are drawn at random, and returns lie at random around
    the values, so that no gradient vanishes.
    """
    sequences, generator = rollout.sequences, torch.Generator().manual_seed(seed)
    mask = sequences.response_mask
    lengths = mask.sum(-1)
    cut = torch.arange(len(lengths), device=mask.device) % lengths.clamp(min=1)
    kept = torch.arange(mask.shape[1], device=mask.device) < (lengths - cut)[:, None]
    prompt = sequences.attention_mask[:, : sequences.prompt_width]
    shorter = Sequences(
        sequences.input_ids, torch.cat([prompt, mask & kept], dim=1), sequences.prompt_width, sequences.trunk
    )
    kept = shorter.response_mask
    noise = torch.randn(2, *kept.shape, generator=generator).to(kept.device)
    values = rollout.values * kept
    return Rollout(shorter, rollout.logprobs * kept, values, noise[0] * kept, (values + noise[1]) * kept)


def padded(rollout: Rollout, pad_token_id: int, left: int = 3, right: int = 2) -> Rollout:
    """The same rollout with more columns of padding on both sides."""
    sequences = rollout.sequences
    wider = Sequences(
        torch.nn.functional.pad(sequences.input_ids, (left, right), value=pad_token_id),
        torch.nn.functional.pad(sequences.attention_mask, (left, right), value=False),
        sequences.prompt_width + left,
        trunk={},
    )
    parts = (rollout.logprobs, rollout.values, rollout.advantages, rollout.returns)
    return Rollout(wider, *(torch.nn.functional.pad(part, (0, right)) for part in parts))


def whole(rollout: Rollout) -> list[MicroBatch]:
    """The rollout as one micro-batch."""
    return pieces(rollout, len(rollout))


def pieces(rollout: Rollout, rows: int) -> list[MicroBatch]:
    """The rollout as micro-batches of so many rows, each trimmed to what its rows use."""
    tokens = rollout.sequences.response_mask.sum()
    parts = [rollout] if rows >= len(rollout) else [rollout.select(part) for part in chunks(len(rollout), rows)]
    return [MicroBatch(part, tokens, step=0, number=number) for number, part in enumerate(parts)]


@dataclass(frozen=True)
class Difference:
    """Of the loss and the gradients of two forms of one minibatch.

    Attributes:
        loss: absolute.
        gradients: for each role the norm of the difference, divided by the norm of the gradient.
    """

    loss: float
    gradients: dict[str, float]

    def measured(self, allowed: Tolerances, reason: str, remedy: str) -> list[Measured]:
        of_gradients = [
            Measured(f"gradient of the {role}", value, allowed.gradient, reason, remedy)
            for role, value in self.gradients.items()
        ]
        return [Measured("loss", self.loss, allowed.logprob.largest, reason, remedy), *of_gradients]


def compare_losses(trainer: PPOTrainer, one: Sequence[MicroBatch], other: Sequence[MicroBatch]) -> Difference:
    """The losses and gradients of two forms of one minibatch.

    The second is subtracted from the first where it lies, so that only one gradient is held in memory.
    """
    trainer.roles.zero_grad()
    first = backward(trainer, one)
    norms = gradient_norms(trainer.roles)
    second = backward(trainer, other, sign=-1.0)
    rest = gradient_norms(trainer.roles)
    trainer.roles.zero_grad()
    # A gradient of 0 in both forms differs by 0.
    return Difference(
        abs(first - second), {role: rest[role] / norms[role] if norms[role] else rest[role] for role in rest}
    )


def backward(trainer: PPOTrainer, micro_batches: Sequence[MicroBatch], sign: float = 1.0) -> float:
    """Add a minibatch's gradient, times `sign`, to what is there; returns the loss."""
    total = 0.0
    for micro_batch in micro_batches:
        loss = trainer.compute_loss(trainer.roles, micro_batch)
        (sign * loss).backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    trainer.meter.means(own_process)  # these passes are no part of a log
    return total


def gradient_norms(roles: Roles) -> dict[str, float]:
    """The norm of each role's gradient."""
    return {
        role: float(torch.stack([p.grad.float().norm() for p in parameters if p.grad is not None]).norm())
        for role, parameters in roles.role_parameters().items()
    }
