"""From scores and values to advantages: pure tensor functions.

Shapes: B sequences, R response positions. `response_mask` [B, R] is True where a response token is real; the real
tokens of a row come first. Everything outside the mask is 0 in what is returned.
"""

from collections.abc import Callable

import torch

Reduce = Callable[[torch.Tensor], torch.Tensor]


def own_process(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over processes where there is one."""
    return tensor


def masked_mean(values: torch.Tensor, mask: torch.Tensor, sum_over_processes: Reduce = own_process) -> torch.Tensor:
    """Mean of the values under the mask, over all processes; 0 where nothing is under it."""
    total, count = sum_over_processes(torch.stack([(values * mask).sum(), mask.sum().to(values.dtype)]))
    mean: torch.Tensor = total / count.clamp(min=1)
    return mean


def whiten(
    values: torch.Tensor, mask: torch.Tensor, *, shift_mean: bool = True, sum_over_processes: Reduce = own_process
) -> torch.Tensor:
    """Bring the values under the mask to variance 1 and, with `shift_mean`, to mean 0.

    The statistics are those of all processes together, so that their number changes nothing.
    """
    mean = masked_mean(values, mask, sum_over_processes)
    variance = masked_mean((values - mean) ** 2, mask, sum_over_processes)
    whitened = (values - mean) * torch.rsqrt(variance + 1e-8)
    if not shift_mean:
        whitened = whitened + mean
    return whitened * mask


def kl_per_token(logprobs: torch.Tensor, reference_logprobs: torch.Tensor, estimator: str) -> torch.Tensor:
    """Estimates of KL(policy || reference) at each sampled token, [B, R] in nats.

    `k1` is the log-ratio: unbiased, of either sign. `k3` is exp(-k1) - 1 + k1: unbiased as an estimate too, never
    negative, of less variance (http://joschu.net/blog/kl-approx.html); but the gradient of a reward that it is part of
    is biased, which k1's is not.
    """
    log_ratio = logprobs - reference_logprobs
    if estimator == "k1":
        return log_ratio
    return torch.expm1(-log_ratio) + log_ratio


def token_rewards(
    scores: torch.Tensor, kl: torch.Tensor, response_mask: torch.Tensor, kl_coef: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The reward of each token: the KL penalty everywhere, the sequence's score at its last real token.

    Args:
        scores: [B].
        kl: [B, R].
        response_mask: [B, R]; a row without a real token gets nothing.
        kl_coef: weight of the penalty.

    Returns:
        The rewards and, of them, the penalties alone, [B, R] each.
    """
    penalties = -kl_coef * kl * response_mask
    rewards = penalties.clone()
    lengths = response_mask.sum(-1)
    rows = (lengths > 0).nonzero().squeeze(-1)
    rewards[rows, lengths[rows] - 1] += scores[rows]
    return rewards, penalties


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    response_mask: torch.Tensor,
    *,
    gamma: float,
    lam: float,
    bootstrap: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalized advantage estimation (Schulman et al., arXiv 1506.02438, equation 16).

    Args:
        rewards: [B, R].
        values: value before each response token, and after the last position, [B, R + 1].
        response_mask: [B, R].
        gamma: discount.
        lam: lambda; 0 trusts the values, 1 the returns.
        bootstrap: True for a row that was cut off, whose value after its last token stands for what would have come;
            a row that ended has nothing after it, [B].

    Returns:
        Advantages and returns (advantages + values), [B, R] each.
    """
    steps = response_mask.shape[1]
    lengths = response_mask.sum(-1)
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(steps)):
        is_last = lengths == t + 1
        next_value = torch.where(is_last & ~bootstrap, torch.zeros_like(following), values[:, t + 1])
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * response_mask[:, t]
        advantages[:, t] = following
    return advantages, (advantages + values[:, :-1]) * response_mask
