"""Do people agree? Raw agreement, Cohen's and Fleiss' kappa, Krippendorff's alpha, with bootstrap intervals over items.

Every coefficient but Cohen's reads a table of counts [N, V]: how many raters gave item i the value v. Raters may differ
from item to item, in number and in person; an item with fewer than two ratings says nothing about agreement. Items that
were rated alike are one row of the tables below with its number of items, so that a resample of the items is one draw
from a multinomial, and thousands of them are a matrix product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import krippendorff
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlhf.stats.intervals import LEVEL, Interval
from rlhf.stats.tallies import alike

RESAMPLES = 2_000
FEW_ITEMS = 50
MIN_DEFINED = 0.95  # of the resamples, for an interval to be told
CELLS_AT_ONCE = 5_000_000

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["linear", "quadratic"] | None
Floats = NDArray[np.float64]
# Patterns of ratings and how many items show each, [..., P], to a coefficient for each row of the latter.
Coefficient = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Agreement:
    """A coefficient of agreement.

    Attributes:
        value: None where it is undefined: no item was rated twice, or all ratings are the same.
        interval: by bootstrap over items; None where too few resamples define it.
        items: those that were rated by two or more.
        warning: why not to lean on it, in words.
    """

    value: float | None
    interval: Interval | None
    items: int
    warning: str | None


NOBODY = Agreement(None, None, 0, "no item was judged by two people")


def value_counts(ratings: ArrayLike, values: ArrayLike) -> Floats:
    """How often each item got each value, [N, V].

    Args:
        ratings: [N, R], NaN where a rater didn't rate the item. values: [V], all that can be given.

    Raises:
        ValueError: a rating is none of the values.
    """
    table, known = np.atleast_2d(np.asarray(ratings, dtype=float)), np.asarray(values, dtype=float)
    counts = np.stack([(table == value).sum(axis=1) for value in known], axis=1).astype(float)
    if counts.sum() != np.isfinite(table).sum():
        raise ValueError(f"a rating is none of the values {known.tolist()}")
    return counts


def raw_agreement(counts: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Agreement:
    """The share of pairs of ratings of one item that are equal, over all such pairs of all items."""
    return _estimate(counts, _raw, seed=seed, resamples=resamples)


def fleiss_kappa(counts: ArrayLike, weights: Weights = None, *, seed: int = 0, resamples: int = RESAMPLES) -> Agreement:
    """Fleiss' kappa, plain or weighted by how far apart the values stand in their list.

    Where items have different numbers of ratings, each item counts the same (Gwet 2014, ch. 2 and 3).

    Args:
        counts: [N, V], the values in order.
    """
    table = np.asarray(counts, dtype=float)
    distance = _distances(table.shape[1], weights) / _distances(table.shape[1], weights).max(initial=1)

    def kappa(patterns: Floats, times: Floats) -> Floats:
        return _fleiss(patterns, times, distance)

    return _estimate(table, kappa, seed=seed, resamples=resamples)


def krippendorff_alpha(
    counts: ArrayLike, values: ArrayLike, level: Level, *, seed: int = 0, resamples: int = RESAMPLES
) -> Agreement:
    """Krippendorff's alpha.

    Args:
        counts: [N, V]. values: [V], ascending where they are ordinal or on an interval scale.
    """
    table, domain = np.asarray(counts, dtype=float), np.asarray(values, dtype=float)

    def alpha(patterns: Floats, times: Floats) -> Floats:
        return _alpha(patterns, times, domain, level)

    found = _estimate(table, alpha, seed=seed, resamples=resamples)
    if found.value is None:
        return found
    # The estimate is the library's; the resamples, far too many for it, are ours, and a test holds them together.
    point = float(krippendorff.alpha(value_counts=table.astype(int), value_domain=domain, level_of_measurement=level))
    interval = found.interval and Interval(point, found.interval.low, found.interval.high)
    return Agreement(point, interval, found.items, found.warning)


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    values: ArrayLike,
    weights: Weights = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Cohen's kappa of two raters, plain or weighted by how far apart the values stand in their list.

    Args:
        first, second: [N], the ratings of the same items; a NaN of either leaves the item out.
        values: [V], in order.
    """
    return cohen_kappas(first, second, values, [weights], seed=seed, resamples=resamples)[0]


def cohen_kappas(
    first: ArrayLike,
    second: ArrayLike,
    values: ArrayLike,
    weights: Sequence[Weights],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Agreement]:
    """`cohen_kappa` by each of several weights, from the same resamples."""
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.isfinite(one) & np.isfinite(other)
    known, items = np.asarray(values, dtype=float), int(both.sum())
    if items == 0:
        return [NOBODY] * len(weights)
    cells = _positions(one[both], known) * len(known) + _positions(other[both], known)
    table = np.bincount(cells, minlength=len(known) ** 2).astype(float)
    rng: Any = np.random.default_rng(seed)
    resampled = rng.multinomial(items, table / items, size=resamples).astype(float)
    distances = [_distances(len(known), of) for of in weights]
    return [_found(float(_cohen(table, distance)), _cohen(resampled, distance), items) for distance in distances]


def _raw(patterns: Floats, times: Floats) -> Floats:
    raters = patterns.sum(axis=1)
    equal = (patterns * (patterns - 1)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((times @ equal) / (times @ (raters * (raters - 1))))


def _fleiss(patterns: Floats, times: Floats, distance: Floats) -> Floats:
    """One less the mean distance of two ratings of an item over that of any two; `distance` [V, V] is at most 1."""
    raters = patterns.sum(axis=1)
    apart = ((patterns @ distance) * patterns).sum(axis=1) / (raters * (raters - 1))
    items = times.sum(axis=-1)
    observed = 1 - (times @ apart) / items
    shares = (times @ (patterns / raters[:, None])) / items[..., None]
    return _beyond_chance(observed, 1 - ((shares @ distance) * shares).sum(axis=-1))


def _alpha(patterns: Floats, times: Floats, values: Floats, level: Level) -> Floats:
    """One less observed disagreement over that expected, both from the matrix of coincidences [..., V, V]."""
    raters = patterns.sum(axis=1)
    count = patterns.shape[1]
    pairs = patterns[:, :, None] * patterns[:, None, :] - patterns[:, :, None] * np.eye(count)
    flat = (pairs / (raters - 1)[:, None, None]).reshape(len(patterns), -1)
    coincidences = (times @ flat).reshape(*times.shape[:-1], count, count)
    totals = coincidences.sum(axis=-1)
    distance = _squared_distances(totals, values, level)
    observed = (coincidences * distance).sum(axis=(-1, -2))
    expected = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-1, -2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (totals.sum(axis=-1) - 1) * observed / np.where(expected > 0, expected, np.nan))


def _squared_distances(totals: Floats, values: Floats, level: Level) -> Floats:
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        return np.asarray((values[:, None] - values[None, :]) ** 2)
    # Ordinal: the number of ratings from the middle of the one value's to the middle of the other's.
    middle = np.cumsum(totals, axis=-1) - totals / 2
    return np.asarray((middle[..., :, None] - middle[..., None, :]) ** 2)


def _cohen(tables: Floats, distance: Floats) -> Floats:
    """From tables [..., V * V] of the two raters' values, and how wrong each cell is."""
    count = len(distance)
    joint = tables.reshape(*tables.shape[:-1], count, count) / tables.sum(axis=-1)[..., None, None]
    expected = joint.sum(axis=-1)[..., :, None] * joint.sum(axis=-2)[..., None, :]
    return _beyond_chance(1 - (joint * distance).sum(axis=(-1, -2)), 1 - (expected * distance).sum(axis=(-1, -2)))


def _beyond_chance(observed: Floats, expected: Floats) -> Floats:
    room = 1 - expected
    return np.asarray((observed - expected) / np.where(room > 1e-12, room, np.nan))


def _distances(count: int, weights: Weights) -> Floats:
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(float)
    return apart if weights == "linear" else apart**2 if weights == "quadratic" else (apart > 0).astype(float)


def _positions(ratings: Floats, values: Floats) -> NDArray[np.int64]:
    matches = ratings[:, None] == values[None, :]
    if not matches.any(axis=1).all():
        raise ValueError(f"a rating is none of the values {values.tolist()}")
    return np.asarray(matches.argmax(axis=1), dtype=np.int64)


def _estimate(counts: ArrayLike, coefficient: Coefficient, *, seed: int, resamples: int) -> Agreement:
    table = np.asarray(counts, dtype=float)
    table = table[table.sum(axis=1) >= 2]
    if len(table) == 0:
        return NOBODY
    patterns, times, _ = alike(table)
    draws = _resample(patterns, times, coefficient, len(table), seed, resamples)
    return _found(float(coefficient(patterns, times)), draws, len(table))


def _found(value: float, draws: Floats, items: int) -> Agreement:
    """A coefficient with the interval of its resamples, NaN where it is undefined."""
    if not np.isfinite(value):
        return Agreement(None, None, items, "undefined: all judgements are the same")
    defined = draws[np.isfinite(draws)]
    interval = None
    if len(defined) >= MIN_DEFINED * len(draws):
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        interval = Interval(value, float(low), float(high))
    few = f"only {items} items were judged by two or more: this may change a lot" if items < FEW_ITEMS else None
    return Agreement(value, interval, items, few)


def _resample(
    patterns: Floats, times: Floats, coefficient: Coefficient, items: int, seed: int, resamples: int
) -> Floats:
    rng: Any = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // len(times))
    drawn = []
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn.append(coefficient(patterns, rng.multinomial(items, times / items, size=size).astype(float)))
    return np.concatenate(drawn)
