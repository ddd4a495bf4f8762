"""What is said of each pair of candidates: of a comparison one thing, of a ranking one of each of its pairs."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from labeling_app.answers import STRONGEST
from labeling_app.lead.judgements import BOTH_BAD, FIRST, SECOND, TIE, Bools, Floats, Ints, Said

SIDES = BOTH_BAD + 1
STRENGTHS = list(range(-STRONGEST, STRONGEST + 1))
MOST_PAIRS = 64  # of an item: nine candidates have 36


@dataclass(frozen=True)
class Units:
    """One entry for each pair of candidates of each judgement.

    Attributes:
        label: [U], the place of its judgement in `Said`.
        row: [U], of all tables below: an item and a pair.
        side, strength: [U]. The strength of a ranking's pair is -1, 0 or 1.
        counts: [U], whether its judgement counts for agreement.
        items: [R], the item of each row.
    """

    label: Ints
    row: Ints
    side: Ints
    strength: Ints
    counts: Bools
    items: Ints

    def sides(self) -> Floats:
        """[R, 4], how many said what of each row, of the judgements that count."""
        return self._table(self.side, SIDES)

    def strengths(self) -> Floats:
        """[R, 7], how many gave which strength, of the judgements that count."""
        return self._table(self.strength + STRONGEST, len(STRENGTHS))

    def _table(self, values: Ints, count: int) -> Floats:
        cells = (self.row * count + values)[self.counts]
        return np.bincount(cells, minlength=len(self.items) * count).reshape(-1, count).astype(float)


def units_of(said: Said) -> Units:
    """All pairs of all judgements."""
    comparisons = np.flatnonzero(said.comparison)
    parts = [(comparisons, np.zeros_like(comparisons), said.side[comparisons], said.strength[comparisons])]
    parts += [_pairs(said, labels) for labels in _rankings(said)]
    label, number, side, strength = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    keys, row = np.unique(said.item[label] * MOST_PAIRS + number, return_inverse=True)
    return Units(label, row.reshape(-1), side, strength, said.counts[label], keys // MOST_PAIRS)


def _rankings(said: Said) -> list[Ints]:
    """The places of the rankings, of each number of candidates together."""
    found: dict[int, list[int]] = {}
    for place, ranks in enumerate(said.ranks):
        if ranks is not None:
            found.setdefault(len(ranks), []).append(place)
    return [np.array(places, dtype=np.int64) for _, places in sorted(found.items())]


def _pairs(said: Said, labels: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Label, number of the pair, side and strength of every pair of rankings of equally many candidates."""
    ranks = np.array([said.ranks[place] for place in labels.tolist()], dtype=np.int64)
    first, second = (np.array(half) for half in zip(*combinations(range(ranks.shape[1]), 2), strict=True))
    signs = np.sign(ranks[:, first] - ranks[:, second])  # -1 where the first one's rank is the better
    side = np.select([signs < 0, signs > 0], [FIRST, SECOND], TIE)
    number = np.broadcast_to(np.arange(len(first)), signs.shape)
    return np.repeat(labels, len(first)), number.reshape(-1), side.reshape(-1), signs.reshape(-1)


def agreement_with_rest(said: Said, units: Units) -> Floats:
    """[L], the share of the others' judgements of the item, of those that count, that say the same; NaN without any.

    Of rankings the share of pairs of candidates. The strength doesn't matter. Repeats and checks have none.
    """
    sides = units.sides()
    of_work = said.work[units.label]
    label, row, own = units.label[of_work], units.row[of_work], units.counts[of_work]
    same = sides[row, units.side[of_work]] - own
    others = sides.sum(axis=1)[row] - own
    count = len(said.side)
    total = np.bincount(label, others, minlength=count)
    return np.asarray(np.bincount(label, same, minlength=count) / np.where(total > 0, total, np.nan))
