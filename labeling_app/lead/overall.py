"""Do the people of a project agree? Every coefficient over all that counts, in total, by day and by couples."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from itertools import combinations

import numpy as np

from labeling_app.answers import STRONGEST
from labeling_app.lead.judgements import BOTH_BAD, Floats, Ints, Said, sides_of
from rlhf.stats.agreement import Agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement

STRENGTHS = list(range(-STRONGEST, STRONGEST + 1))
COUPLES_SHOWN = 20
RESAMPLES = 1_000


@dataclass(frozen=True)
class Couple:
    """Cohen's kappa of two people on the items that both judged: of the sides, and weighted, of the strengths."""

    first: int
    second: int
    kappa: Agreement
    linear: Agreement
    quadratic: Agreement


@dataclass(frozen=True)
class Coefficients:
    """Agreement of all. `raw`, `fleiss` and `nominal` are of the sides (first, tie, second, both bad), `ordinal` and
    `interval` are Krippendorff's alpha of the strengths, where "both bad" is 0. Of rankings all are of the sides of
    their pairs of candidates, and the intervals are too narrow, as pairs of one item hang together."""

    raw: Agreement
    fleiss: Agreement
    nominal: Agreement
    ordinal: Agreement
    interval: Agreement


def coefficients(said: Said, *, seed: int) -> Coefficients:
    """All coefficients over the judgements that count."""
    sides, strengths, values = _tables(said)
    return Coefficients(
        raw=raw_agreement(sides, seed=seed, resamples=RESAMPLES),
        fleiss=fleiss_kappa(sides, seed=seed, resamples=RESAMPLES),
        nominal=krippendorff_alpha(sides, range(4), "nominal", seed=seed, resamples=RESAMPLES),
        ordinal=krippendorff_alpha(strengths, values, "ordinal", seed=seed, resamples=RESAMPLES),
        interval=krippendorff_alpha(strengths, values, "interval", seed=seed, resamples=RESAMPLES),
    )


def by_day(said: Said, *, seed: int) -> list[tuple[date, Agreement]]:
    """Raw agreement on the items whose last judgement fell on each day, by UTC."""
    sides, _, _ = _tables(said)
    units = _unit_items(said)
    last: dict[int, date] = {}
    for item, at, counts in zip(said.item.tolist(), said.at, said.counts, strict=True):
        if counts:
            last[item] = max(last.get(item, at.date()), at.date())
    rows: dict[date, list[int]] = defaultdict(list)
    for row, item in enumerate(units):
        rows[last[item]].append(row)
    return [(day, raw_agreement(sides[rows[day]], seed=seed, resamples=RESAMPLES)) for day in sorted(rows)]


def couples(said: Said, *, seed: int) -> list[Couple]:
    """Cohen's kappa of the couples who share the most items, of comparisons only."""
    if any(answer["kind"] == "ranking" for answer in said.answers):
        return []
    side, strength = said.side, said.strength
    given: dict[int, dict[int, int]] = defaultdict(dict)
    for index in np.flatnonzero(said.counts).tolist():
        given[int(said.user[index])][int(said.item[index])] = index
    shared = [
        (one, other, sorted(set(given[one]) & set(given[other]))) for one, other in combinations(sorted(given), 2)
    ]
    shared = sorted((couple for couple in shared if couple[2]), key=lambda couple: -len(couple[2]))[:COUPLES_SHOWN]
    return [
        _couple(one, other, [given[one][i] for i in items], [given[other][i] for i in items], side, strength, seed)
        for one, other, items in shared
    ]


def _couple(one: int, other: int, first: list[int], second: list[int], side: Ints, strength: Ints, seed: int) -> Couple:
    linear, quadratic = (
        cohen_kappa(strength[first], strength[second], STRENGTHS, weights, seed=seed, resamples=RESAMPLES)
        for weights in ("linear", "quadratic")
    )
    kappa = cohen_kappa(side[first], side[second], range(4), seed=seed, resamples=RESAMPLES)
    return Couple(one, other, kappa, linear, quadratic)


def _units(said: Said) -> list[tuple[int, int, dict[str, int]]]:
    """(item, number of the pair, what is said of it) of each judgement that counts."""
    found = []
    for index in np.flatnonzero(said.counts).tolist():
        answer = said.answers[index]
        for number, side in enumerate(sides_of(answer)):
            strength = answer.get("strength") or 0 if answer["kind"] != "ranking" else side - 1
            found.append((int(said.item[index]), number, {"side": side, "strength": strength}))
    return found


def _unit_items(said: Said) -> list[int]:
    """The item of each row of the tables."""
    return [item for item, _ in sorted({(item, number) for item, number, _ in _units(said)})]


def _tables(said: Said) -> tuple[Floats, Floats, list[int]]:
    """Counts of the sides [N, 4] and of the strengths [N, V], and the values of the latter."""
    units = _units(said)
    rows = {key: row for row, key in enumerate(sorted({(item, number) for item, number, _ in units}))}
    sides, strengths = np.zeros((len(rows), BOTH_BAD + 1)), np.zeros((len(rows), len(STRENGTHS)))
    for item, number, told in units:
        row = rows[item, number]
        sides[row, told["side"]] += 1
        strengths[row, told["strength"] + STRONGEST] += 1
    return sides, strengths, STRENGTHS
