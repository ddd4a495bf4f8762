"""Units that are alike, counted once: a resample of all of them is then one draw from a multinomial, whatever their
number, and thousands of resamples are a matrix product."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rlhf.stats.intervals import LEVEL, RESAMPLES, Interval

Floats = NDArray[np.float64]
ROUNDING = 1e-12  # relative: means of the same values, summed in another order


def alike(table: ArrayLike) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The different rows of a table of counts [N, V], in order, the counts whole numbers from 0.

    Returns:
        The rows [P, V], how many there are of each [P], and which of them each row of the table is [N].
    """
    rows = np.asarray(table, dtype=float)
    base = int(rows.max(initial=0)) + 1
    if base ** rows.shape[1] > 2**62:
        found, which, times = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
        return found, times.astype(float), which.reshape(-1)
    # As digits of one number, in the same order: sorting numbers is many times as fast as sorting rows.
    keys = rows.astype(np.int64) @ base ** np.arange(rows.shape[1] - 1, -1, -1)
    _, first, which, times = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return rows[first], times.astype(float), which.reshape(-1)


def mean_of_few_values(values: ArrayLike, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """Mean of `values` [N], many of which are equal, with the interval of `intervals.mean` (BCa bootstrap), sooner.

    Raises:
        ValueError: fewer than two units.
    """
    known, times = np.unique(np.asarray(values, dtype=float), return_counts=True)
    units = int(times.sum())
    if units < 2:
        raise ValueError(f"a bootstrap needs at least 2 units, got {units}")
    estimate = float(times @ known / units)
    if len(known) == 1:
        return Interval(estimate, estimate, estimate)
    rng: Any = np.random.default_rng(seed)
    draws = rng.multinomial(units, times / units, size=resamples) @ known / units
    low, high = np.quantile(draws, _levels(draws, estimate, known, times, level))
    return Interval(estimate, float(low), float(high))


def _levels(draws: Floats, estimate: float, known: Floats, times: NDArray[np.int64], level: float) -> Floats:
    """Which quantiles of the resamples are BCa's limits (Efron 1987); plain ones where it is undefined."""
    plain = np.array([(1 - level) / 2, (1 + level) / 2])
    apart = (draws - estimate) / max(np.abs(known).max(), 1.0)
    below = np.mean(apart < -ROUNDING) + np.mean(np.abs(apart) <= ROUNDING) / 2
    # Leaving a unit out moves the mean by its distance from it, divided by N - 1: the divisor cancels.
    influence = known - estimate
    acceleration = (times @ influence**3) / (6 * (times @ influence**2) ** 1.5)
    bias = stats.norm.ppf(below)
    if not np.isfinite(bias):
        return plain
    shifted = bias + stats.norm.ppf(plain)
    return np.asarray(stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))
