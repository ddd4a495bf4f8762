"""Do the people of a project agree? Every coefficient over all that counts, in total, by day and by couples."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy.sparse import csr_array

from labeling_app.lead.judgements import Ints, Said
from labeling_app.lead.units import SIDES, STRENGTHS, Units
from rlhf.stats.agreement import Agreement, cohen_kappas, fleiss_kappa, krippendorff_alpha, raw_agreement

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
    """Agreement of all.

    Of rankings all coefficients are of the sides of their pairs of candidates, and the intervals are too narrow, as
    pairs of one item hang together.

    Attributes:
        raw, fleiss, nominal: of the sides: first, tie, second, both bad.
        linear, quadratic: Fleiss' kappa of the strengths, weighted by distance; "both bad" is 0.
        ordinal, interval: Krippendorff's alpha of the strengths, likewise.
    """

    raw: Agreement
    fleiss: Agreement
    linear: Agreement
    quadratic: Agreement
    nominal: Agreement
    ordinal: Agreement
    interval: Agreement


def coefficients(units: Units, *, seed: int) -> Coefficients:
    """All coefficients over the judgements that count."""
    sides, strengths = units.sides(), units.strengths()
    return Coefficients(
        raw=raw_agreement(sides, seed=seed, resamples=RESAMPLES),
        fleiss=fleiss_kappa(sides, seed=seed, resamples=RESAMPLES),
        linear=fleiss_kappa(strengths, "linear", seed=seed, resamples=RESAMPLES),
        quadratic=fleiss_kappa(strengths, "quadratic", seed=seed, resamples=RESAMPLES),
        nominal=krippendorff_alpha(sides, range(SIDES), "nominal", seed=seed, resamples=RESAMPLES),
        ordinal=krippendorff_alpha(strengths, STRENGTHS, "ordinal", seed=seed, resamples=RESAMPLES),
        interval=krippendorff_alpha(strengths, STRENGTHS, "interval", seed=seed, resamples=RESAMPLES),
    )


def by_day(said: Said, units: Units, *, seed: int) -> list[tuple[date, Agreement]]:
    """Raw agreement on the items whose last judgement fell on each day, by UTC."""
    sides = units.sides()
    last = np.full(len(sides), -1, dtype=np.int64)
    np.maximum.at(last, units.row[units.counts], said.day[units.label[units.counts]])
    return [
        (day_of(day), raw_agreement(sides[last == day], seed=seed, resamples=RESAMPLES))
        for day in np.unique(last[last >= 0]).tolist()
    ]


def day_of(number: int) -> date:
    """The date of so many days after the first of 1970."""
    return date(1970, 1, 1) + timedelta(days=number)


def couples(said: Said, *, seed: int) -> list[Couple]:
    """Cohen's kappa of the couples who share the most items, of comparisons only."""
    if not said.comparison.all():
        return []
    places = np.flatnonzero(said.counts)
    users, who = np.unique(said.user[places], return_inverse=True)
    items, which = np.unique(said.item[places], return_inverse=True)
    shape = (len(users), len(items))
    if 0 in shape:
        return []
    there = csr_array((np.ones(len(places)), (who.reshape(-1), which.reshape(-1))), shape=shape)
    first, second = np.triu_indices(len(users), 1)
    shared = (there @ there.T).toarray()[first, second]
    most = [one for one in np.argsort(-shared, kind="stable").tolist() if shared[one] > 0][:COUPLES_SHOWN]
    of = {int(user): places[said.user[places] == user] for user in users}
    return [_couple(said, of, int(users[first[one]]), int(users[second[one]]), seed) for one in most]


def _couple(said: Said, of: dict[int, Ints], one: int, other: int, seed: int) -> Couple:
    _, a, b = np.intersect1d(said.item[of[one]], said.item[of[other]], assume_unique=True, return_indices=True)
    first, second = of[one][a], of[other][b]
    (kappa,) = cohen_kappas(said.side[first], said.side[second], range(SIDES), [None], seed=seed, resamples=RESAMPLES)
    linear, quadratic = cohen_kappas(
        said.strength[first], said.strength[second], STRENGTHS, ["linear", "quadratic"], seed=seed, resamples=RESAMPLES
    )
    return Couple(one, other, kappa, linear, quadratic)
