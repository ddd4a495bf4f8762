"""Heads on the last hidden states: token log-probabilities over the vocabulary, and scalar scores."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

CHUNK_TOKENS = 256
# So many logits are read at a time on a CPU: their passes then stay in the cache of its cores (2 MiB in float32).
CACHED_LOGITS = 512 * 1024


class ScalarHead(nn.Module):
    """One number for each position, in float32 whatever the model's dtype."""

    def __init__(self, hidden_size: int, weight: torch.Tensor | None = None):
        """
        Args:
            hidden_size: H.
            weight: [1, H]; zeros by default, so that every score starts at 0.
        """
        super().__init__()
        self.linear = nn.Linear(hidden_size, 1, dtype=torch.float32)
        with torch.no_grad():
            self.linear.weight.copy_(torch.zeros(1, hidden_size) if weight is None else weight.float())
            self.linear.bias.zero_()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., H] -> [...]"""
        output: torch.Tensor = self.linear(hidden.float()).squeeze(-1)
        return output

    @torch.no_grad()
    def shift(self, amount: torch.Tensor) -> None:
        """Add a constant to every score."""
        self.linear.bias.add_(amount)


def token_logprobs(
    hidden: torch.Tensor,
    lm_head: nn.Module,
    labels: torch.Tensor,
    *,
    temperature: float = 1.0,
    softcap: float | None = None,
    chunk: int = CHUNK_TOKENS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of given tokens, and the entropy of the distributions they were drawn from.

    The logits exist for `chunk` tokens at a time only, never for a whole batch.

    Args:
        hidden: the states from which each token is predicted, [N, H].
        lm_head: from H to the vocabulary.
        labels: the tokens, [N].
        temperature: divides the logits.
        softcap: the model's `final_logit_softcapping`, where it has one.
        chunk: tokens at a time.

    Returns:
        Log-probabilities [N], differentiable; entropies [N] in nats, without gradient. Both float32.
    """
    if _is_frozen_linear(lm_head) and softcap is None and hidden.requires_grad and torch.is_grad_enabled():
        result: tuple[torch.Tensor, torch.Tensor] = _FrozenHeadLogprobs.apply(  # type: ignore[no-untyped-call]
            hidden, lm_head.weight, lm_head.bias, labels, temperature, chunk
        )
        return result
    if not torch.is_grad_enabled() and softcap is None:
        return _logprobs_without_gradient(hidden, lm_head, labels, temperature, chunk)
    logprobs, entropies = [], []
    for part in _parts(len(labels), chunk):
        arguments = (hidden[part], labels[part], lm_head, temperature, softcap)
        if torch.is_grad_enabled():
            chunk_logprobs, entropy = checkpoint(_chunk_logprobs, *arguments, use_reentrant=False)
        else:
            chunk_logprobs, entropy = _chunk_logprobs(*arguments)
        logprobs.append(chunk_logprobs)
        entropies.append(entropy.detach())
    return torch.cat(logprobs), torch.cat(entropies)


def _logprobs_without_gradient(
    hidden: torch.Tensor, lm_head: nn.Module, labels: torch.Tensor, temperature: float, chunk: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Chunk by chunk, with as few passes over the vocabulary as possible."""
    return _joined(
        _read_logits(lm_head(hidden[part]), labels[part], temperature, weigh=False)
        for part in _parts(len(labels), chunk)
    )


class _Reading(NamedTuple):
    """What logits say of tokens, each [N], float32; the totals are the divisors that make weights probabilities."""

    logprobs: torch.Tensor
    entropies: torch.Tensor
    totals: torch.Tensor


def _joined(readings: Iterable[_Reading]) -> tuple[torch.Tensor, torch.Tensor]:
    logprobs, entropies, _ = zip(*readings, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _parts(count: int, size: int) -> list[slice]:
    """Slices of at most `size` that cover `count`; an empty one where there is nothing."""
    return [slice(start, start + size) for start in range(0, max(count, 1), size)]


def _read_logits(logits: torch.Tensor, labels: torch.Tensor, temperature: float, *, weigh: bool) -> _Reading:
    """Read logits [N, V] of any precision in float32, a few rows at a time; they are overwritten.

    Where asked to `weigh`, weights are left in their place: the probabilities times a factor for each row, `totals`,
    rounded to the precision of the logits.
    """
    reading = _Reading(*(torch.empty(len(labels), dtype=torch.float32, device=logits.device) for _ in range(3)))
    rows = max(1, CACHED_LOGITS // logits.shape[-1]) if logits.device.type == "cpu" else max(1, len(labels))
    for part in _parts(len(labels), rows):
        some = logits[part].float()
        if temperature != 1:
            some.div_(temperature)
        some.sub_(some.amax(-1, keepdim=True))
        weights = some.exp()
        total = weights.sum(-1)
        normalizer = total.log()
        reading.totals[part] = total
        reading.logprobs[part] = some.gather(-1, labels[part, None]).squeeze(-1) - normalizer
        reading.entropies[part] = normalizer - torch.linalg.vecdot(weights, some) / total
        if weigh:
            logits[part] = weights
    return reading


def _is_frozen_linear(head: nn.Module) -> bool:
    return type(head) is nn.Linear and not head.weight.requires_grad


def _chunk_logprobs(
    hidden: torch.Tensor, labels: torch.Tensor, lm_head: nn.Module, temperature: float, softcap: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = lm_head(hidden).float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    all_logprobs = (logits / temperature).log_softmax(-1)
    entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
    return all_logprobs.gather(-1, labels[:, None]).squeeze(-1), entropy


class _FrozenHeadLogprobs(torch.autograd.Function):
    """Log-probabilities under a frozen head, with the gradient found in the forward pass.

    d logprob / d hidden = (W[label] - softmax(logits) W) / temperature is a vector of size H for each token and needs
    only the probabilities that the forward pass has at hand. It is kept instead of the logits; nothing is recomputed.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        labels: torch.Tensor,
        temperature: float,
        chunk: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        readings, gradient = [], torch.empty_like(hidden)
        for part in _parts(len(labels), chunk):
            logits = nn.functional.linear(hidden[part], weight, bias)
            readings.append(_read_logits(logits, labels[part], temperature, weigh=True))
            expected = (logits @ weight).div_(readings[-1].totals[:, None])  # the logits are weights now
            gradient[part] = (weight[labels[part]] - expected) / temperature
        logprobs, entropies = _joined(readings)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, grad_logprobs: torch.Tensor, grad_entropies: torch.Tensor) -> tuple[Any, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_logprobs[:, None].to(gradient.dtype), None, None, None, None, None
