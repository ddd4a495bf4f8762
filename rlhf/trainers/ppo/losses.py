"""The clipped losses of PPO (Schulman et al., arXiv 1707.06347): pure tensor functions, one value per token.

Shapes: [B, R]. The trainer sums under the response mask and divides by the tokens of the whole minibatch, so that
neither padding nor the number of micro-batches or processes changes a gradient.
"""

from typing import NamedTuple

import torch


class PolicyLoss(NamedTuple):
    """Each [B, R]: the loss, the ratio to the rollout's policy, and whether the clipped branch was taken."""

    loss: torch.Tensor
    ratio: torch.Tensor
    clipped: torch.Tensor


def policy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, cliprange: float
) -> PolicyLoss:
    """The clipped surrogate objective (equation 7), negated."""
    ratio = torch.exp(logprobs - old_logprobs)
    plain = -advantages * ratio
    held = -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)
    return PolicyLoss(torch.maximum(plain, held), ratio.detach(), (held > plain).detach())


class ValueLoss(NamedTuple):
    """Each [B, R]: half the squared error, and whether the clipped branch was taken."""

    loss: torch.Tensor
    clipped: torch.Tensor


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, cliprange_value: float
) -> ValueLoss:
    """Squared error of the values, which may move by `cliprange_value` from those of the rollout."""
    held = old_values + (values - old_values).clamp(-cliprange_value, cliprange_value)
    plain_error, held_error = (values - returns) ** 2, (held - returns) ** 2
    return ValueLoss(0.5 * torch.maximum(plain_error, held_error), (held_error > plain_error).detach())
