"""Intervals for the figures of a report: proportions, means, paired differences, and pairs that share items.

Every function takes one value per independent unit (a prompt, a text) unless it says otherwise, and returns
an `Interval`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
RESAMPLES = 5_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence limits."""

    estimate: float
    low: float
    high: float

    @property
    def limits(self) -> list[float]:
        return [self.low, self.high]


def wilson(successes: float, trials: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a proportion; both counts may be fractional (ties count half, effective
    sizes).

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"a proportion needs 0 <= successes <= trials, trials > 0; got {successes} of {trials}")
    share = successes / trials
    z = float(stats.norm.ppf((1 + level) / 2))
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # At 0 and at 1 the limit equals the estimate exactly; rounding must not put it on the wrong side.
    return Interval(share, min(share, float(centre - half)), max(share, float(centre + half)))


def bootstrap(
    samples: tuple[ArrayLike, ...],
    statistic: Callable[..., Any],
    *,
    seed: int,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Interval:
    """BCa bootstrap interval of a statistic of paired samples, each [N]; the units are resampled together.

    `statistic(*samples, axis)` works along an axis, as `numpy.mean` does. Where all resamples agree
    (constant data) the limits are the estimate itself.

    Raises:
        ValueError: fewer than two units.
    """
    arrays = tuple(np.asarray(sample, dtype=float) for sample in samples)
    if len(arrays[0]) < 2:
        raise ValueError(f"a bootstrap needs at least 2 units, got {len(arrays[0])}")
    estimate = float(statistic(*arrays, axis=-1))
    if all(np.ptp(array) == 0 for array in arrays):
        return Interval(estimate, estimate, estimate)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            arrays,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    low, high = found.confidence_interval
    if not np.isfinite([low, high]).all():
        # BCa's correction is undefined where the statistic hardly varies; plain percentiles are not.
        low, high = np.quantile(found.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def mean(values: ArrayLike, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """Mean of `values` [N] with its bootstrap interval."""
    return bootstrap((values,), np.mean, seed=seed, level=level, resamples=resamples)


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """Mean of `first - second`, both [N] and of the same units, with its bootstrap interval."""
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return mean(differences, seed=seed, level=level, resamples=resamples)


def jackknife(estimate: float, leave_one_out: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Normal interval from a statistic's N leave-one-out values.

    For statistics that resampling with replacement distorts: a text drawn twice adds no new bigram, so
    every bootstrap sample looks less varied than the data.
    """
    values = np.asarray(leave_one_out, dtype=float)
    if len(values) < 2:
        raise ValueError(f"a jackknife needs at least 2 units, got {len(values)}")
    n = len(values)
    error = np.sqrt((n - 1) / n * np.sum((values - values.mean()) ** 2))
    half = float(stats.norm.ppf((1 + level) / 2) * error)
    return Interval(estimate, estimate - half, estimate + half)


def spearman(first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Interval | None:
    """Spearman's rank correlation of two samples [N] with the interval of Bonett and Wright (2000).

    None where one of them is constant, or with fewer than 4 units.
    """
    if np.ptp(np.asarray(first)) == 0 or np.ptp(np.asarray(second)) == 0 or len(np.asarray(first)) < 4:
        return None
    found = float(stats.spearmanr(first, second).statistic)
    if abs(found) >= 1:
        return Interval(found, found, found)
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt((1 + found**2 / 2) / (len(np.asarray(first)) - 3))
    centre = np.arctanh(found)
    return Interval(found, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def share_of_pairs(scores: ArrayLike, items: NDArray[np.int_], level: float = LEVEL) -> Interval:
    """Mean of `scores` [N] in [0, 1], one for each pair of items; an item may take part in several pairs.

    Pairs that share an item are not independent: a text that a model misjudges costs all its pairs.
    Resampling pairs ignores that; resampling connected groups fails, as nearly all pairs hang together;
    resampling items and weighting a pair by the product of its items' counts triples the pairs' own noise.
    So the variance is the dyadic cluster-robust one (Fafchamps and Gubert 2007; Aronow, Samii and Assenova
    2015, arXiv 1312.3398): the products of residuals summed over all couples of pairs with an item in
    common. It turns into an effective number of pairs, never above N, at which Wilson's interval is taken.

    Args:
        scores: 1 for a right pair, 0 for a wrong one, 0.5 for a tie.
        items: [N, 2], the two items of each pair, as integers.
    """
    values = np.asarray(scores, dtype=float)
    share = float(values.mean())
    variance = dyadic_variance(values, items)
    effective = float(len(values))
    if variance > 0:
        effective = min(effective, share * (1 - share) / variance)
    return wilson(share * effective, effective, level)


def dyadic_variance(values: NDArray[np.float64], items: NDArray[np.int_]) -> float:
    """Variance of the mean of `values` [N] over pairs `items` [N, 2], robust to pairs that share an item."""
    residuals = values - values.mean()
    by_item = np.bincount(items.ravel(), weights=np.repeat(residuals, 2))
    _, dyad = np.unique(np.sort(items, axis=1), axis=0, return_inverse=True)
    by_dyad = np.bincount(dyad.ravel(), weights=residuals)
    # Squares by item count couples that share both items twice; the squares by dyad take the surplus off.
    return float(np.sum(by_item**2) - np.sum(by_dyad**2)) / len(values) ** 2
