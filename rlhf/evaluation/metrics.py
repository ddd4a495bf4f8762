"""Figures of each policy, and of each against another on the same prompts, from the raw samples. No model
is needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlhf.evaluation.diversity import distinct_n, distinct_n_leave_one_out
from rlhf.evaluation.samples import Sample, TextLoss, column
from rlhf.stats import intervals
from rlhf.stats.equal_kl import gain
from rlhf.stats.intervals import Interval

# Per-sample fields whose mean is a figure of the report, by the figure's name.
MEANS = {
    "reward_mean": "reward",
    "gold_reward_mean": "gold_reward",
    "judge_mean": "judge",
    "length_mean": "tokens",
    "eos_rate": "finished",
}
GAINS = {"reward_gain": "reward", "gold_reward_gain": "gold_reward", "judge_gain": "judge"}


@dataclass(frozen=True)
class PolicyData:
    """All that was measured of one policy: N samples and M general texts."""

    samples: Sequence[Sample]
    losses: Sequence[TextLoss] = ()

    @property
    def completions(self) -> list[str]:
        return [sample.completion for sample in self.samples]

    @property
    def negative_logprobs(self) -> NDArray[np.float64]:
        return np.array([loss.negative_logprob for loss in self.losses], dtype=float)

    @property
    def text_tokens(self) -> NDArray[np.float64]:
        return np.array([loss.tokens for loss in self.losses], dtype=float)


def describe(policy: PolicyData, reference: PolicyData, reference_name: str, seed: int) -> dict[str, Any]:
    """The figures of one policy, each with its 95% interval.

    Returns:
        figures by name, `samples`, and `ci95` with the limits by figure. A figure that was not measured is
        None.
    """
    found: dict[str, Interval | None] = {name: _mean(policy, field, seed) for name, field in MEANS.items()}
    found[f"kl_to_{reference_name}"] = _mean(policy, "log_ratio", seed)
    found |= {name: _gain(policy, reference, field, seed) for name, field in GAINS.items()}
    found["distinct_2"] = intervals.jackknife(
        distinct_n(policy.completions), distinct_n_leave_one_out(policy.completions)
    )
    found["perplexity_general"] = _perplexity(policy, seed)
    rewards = [sample.reward for sample in policy.samples]
    return {
        **{name: interval.estimate if interval else None for name, interval in found.items()},
        "reward_std": float(np.std(rewards, ddof=1)),
        "samples": len(policy.samples),
        "ci95": {name: interval.limits for name, interval in found.items() if interval},
    }


def differences(policy: PolicyData, other: PolicyData, reference_name: str, seed: int) -> dict[str, Any]:
    """Each figure of `policy` minus that of `other`, paired by prompt (perplexity: by text), with 95%
    intervals.

    `perplexity_ratio` is the quotient of the perplexities: 1.03 means 3% more.
    """
    found: dict[str, Interval | None] = {}
    for name, field in (MEANS | {f"kl_to_{reference_name}": "log_ratio"}).items():
        first, second = column(policy.samples, field), column(other.samples, field)
        if first is not None and second is not None:
            found[name] = intervals.paired_difference(first, second, seed=seed)
    found["distinct_2"] = intervals.jackknife(
        distinct_n(policy.completions) - distinct_n(other.completions),
        distinct_n_leave_one_out(policy.completions) - distinct_n_leave_one_out(other.completions),
    )
    found["perplexity_general"] = _perplexity_pair(policy, other, np.subtract, seed)
    found["perplexity_ratio"] = _perplexity_pair(policy, other, np.divide, seed)
    return {
        name: {"estimate": interval.estimate, "ci95": interval.limits} for name, interval in found.items() if interval
    }


def _mean(policy: PolicyData, field: str, seed: int) -> Interval | None:
    values = column(policy.samples, field)
    return None if values is None else intervals.mean(values, seed=seed)


def _gain(policy: PolicyData, reference: PolicyData, field: str, seed: int) -> Interval | None:
    """Rise over the reference in standard deviations of the reference's scores."""
    values, reference_values = column(policy.samples, field), column(reference.samples, field)
    if values is None or reference_values is None or np.ptp(reference_values) == 0:
        return None
    return intervals.bootstrap((values, reference_values), gain, seed=seed)


def _perplexity(policy: PolicyData, seed: int) -> Interval | None:
    if not policy.losses:
        return None
    return intervals.bootstrap((policy.negative_logprobs, policy.text_tokens), _ppl, seed=seed)


def _perplexity_pair(
    policy: PolicyData, other: PolicyData, combine: Callable[[Any, Any], Any], seed: int
) -> Interval | None:
    """Difference or quotient of two perplexities over the same texts."""
    if not policy.losses or not other.losses:
        return None

    def statistic(first: Any, second: Any, tokens: Any, axis: int = -1) -> Any:
        return combine(_ppl(first, tokens, axis), _ppl(second, tokens, axis))

    samples = (policy.negative_logprobs, other.negative_logprobs, policy.text_tokens)
    return intervals.bootstrap(samples, statistic, seed=seed)


def _ppl(negative_logprobs: Any, tokens: Any, axis: int = -1) -> Any:
    """Perplexity per token over all texts: long texts count for more, as each token counts once."""
    return np.exp(np.sum(negative_logprobs, axis=axis) / np.sum(tokens, axis=axis))
