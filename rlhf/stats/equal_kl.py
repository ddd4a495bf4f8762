"""Reward at equal KL: how much better a policy became for how far it moved.

A policy trained longer scores higher and lies further from where it began, so two runs are comparable only
at the same distance. A run is measured at several checkpoints on the same prompts; its gain at a given KL
is read off between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlhf.stats.intervals import LEVEL, RESAMPLES, Interval

MIN_SHARE_IN_RANGE = 0.95


@dataclass(frozen=True)
class GainAtKl:
    """The gain at one KL, None where the checkpoints don't reach it. It is never extrapolated.

    Attributes:
        kl: the KL asked for, nats per sequence.
        gain: gain in standard deviations of the reference's reward.
        interval: bootstrap interval over prompts; None when fewer than 95% of the resamples reach the KL.
    """

    kl: float
    gain: float | None
    interval: Interval | None


def gain(rewards: ArrayLike, reference_rewards: ArrayLike, axis: int = -1) -> Any:
    """Rise of the mean reward over the reference's mean, in standard deviations of the reference's rewards.

    Works along an axis; NaN where the reference's rewards are all the same.
    """
    reference = np.asarray(reference_rewards, dtype=float)
    spread = reference.std(ddof=1, axis=axis)
    rise = np.mean(np.asarray(rewards, dtype=float), axis=axis) - reference.mean(axis=axis)
    return rise / np.where(spread > 0, spread, np.nan)


def gains_at_kl(
    kl: ArrayLike,
    rewards: ArrayLike,
    reference_rewards: ArrayLike,
    targets: Sequence[float],
    *,
    seed: int,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> list[GainAtKl]:
    """Gain at each target KL, by linear interpolation between checkpoints, with intervals by bootstrap over
    prompts.

    The reference itself, at KL 0 and gain 0, is the curve's first point.

    Args:
        kl: [K, N], the summed log-ratio to the reference of each checkpoint's sample for each prompt, nats.
        rewards: [K, N], the rewards of the same samples.
        reference_rewards: [N], the rewards of the reference's samples for the same prompts.
        targets: KLs to read the curve at.
    """
    kl_rows, reward_rows = np.atleast_2d(np.asarray(kl, float)), np.atleast_2d(np.asarray(rewards, float))
    reference = np.asarray(reference_rewards, dtype=float)
    n = len(reference)
    if kl_rows.shape != reward_rows.shape or kl_rows.shape[1] != n:
        raise ValueError(f"shapes differ: KL {kl_rows.shape}, rewards {reward_rows.shape}, reference ({n},)")
    point = _read_curve(kl_rows, reward_rows, reference, targets)
    rng = np.random.default_rng(seed)
    draws = np.empty((resamples, len(targets)))
    for row in draws:
        chosen = rng.integers(0, n, n)
        row[:] = _read_curve(kl_rows[:, chosen], reward_rows[:, chosen], reference[chosen], targets)
    return [_with_interval(*one, level=level) for one in zip(targets, point, draws.T, strict=True)]


def _read_curve(
    kl: NDArray[np.float64],
    rewards: NDArray[np.float64],
    reference: NDArray[np.float64],
    targets: Sequence[float],
) -> NDArray[np.float64]:
    """Gains at the targets, NaN beyond the largest KL."""
    means = np.concatenate([[0.0], kl.mean(axis=1)])
    heights = np.concatenate([[0.0], gain(rewards, reference)])
    order = np.argsort(means, kind="stable")
    read = np.interp(np.asarray(targets, float), means[order], heights[order], left=np.nan, right=np.nan)
    return np.asarray(read)


def _with_interval(kl: float, point: float, draws: NDArray[np.float64], level: float) -> GainAtKl:
    if np.isnan(point):
        return GainAtKl(kl, None, None)
    reached = draws[np.isfinite(draws)]
    if len(reached) < MIN_SHARE_IN_RANGE * len(draws):
        return GainAtKl(kl, float(point), None)
    low, high = np.quantile(reached, [(1 - level) / 2, (1 + level) / 2])
    return GainAtKl(kl, float(point), Interval(float(point), float(low), float(high)))
