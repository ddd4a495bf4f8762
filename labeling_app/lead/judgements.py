"""A project's judgements as arrays, from which all figures are computed: a handful of queries, whatever its size.

The database takes the answers apart, and sends numbers: rationales, edits and the JSON around them are most of what is
stored, and no figure needs them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, String, cast, func, select
from sqlalchemy.orm import Session

from labeling_app.answers import side
from labeling_app.lookup import find_project
from labeling_app.store.joins import NEWEST
from labeling_app.store.tables import Assignment, Item, ItemKind, Label, User

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# What can be said of a pair of candidates.
FIRST, TIE, SECOND, BOTH_BAD = range(4)
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Said:
    """The newest word of each person on each item that they judged, skips left out, in the order of the log.

    Attributes, of L entries each but for `expected`:
        side: what a comparison says; of a ranking, of its first two candidates. strength: of a comparison; 0 where both
            are bad, and for a ranking. Both in stored order.
        comparison: whether it is one. ranks: of a ranking, else None.
        item, user: ids. assignment: ids, and of a repeat that of the first time, else 0.
        left: the candidate that was shown first.
        work: whether it is of an item to judge, and no repeat. gold: whether it is of a check.
        late: whether it came after its lease.
        counts: whether it counts for agreement: work, no repeat, not late, not of a withheld person.
        seconds: on the page, without the idle time. at: seconds since 1970.
        lengths: [L, 2], characters of the first two responses; length: of prompt and responses together.
        expected: the known answers of gold items, by their id.
    """

    side: Ints
    strength: Ints
    comparison: Bools
    ranks: list[list[int] | None]
    item: Ints
    user: Ints
    assignment: Ints
    repeat_of: Ints
    left: Ints
    work: Bools
    gold: Bools
    late: Bools
    counts: Bools
    seconds: Floats
    at: Floats
    lengths: Floats
    length: Floats
    expected: dict[int, dict[str, Any]]

    @property
    def day(self) -> Ints:
        """[L], days since 1970, by UTC."""
        return np.asarray(self.at // DAY_SECONDS, dtype=np.int64)

    def answer(self, place: int) -> dict[str, Any]:
        """What was said, without what no figure needs."""
        ranks = self.ranks[place]
        if ranks is not None:
            return {"kind": "ranking", "ranks": ranks}
        if self.side[place] == BOTH_BAD:
            return {"kind": "both_bad"}
        return {"kind": "choice", "strength": int(self.strength[place])}


def load(session: Session, project_id: int, *, differing: bool = False) -> Said:
    """All that people said in a project.

    Args:
        differing: only of items of which not everybody said the same.
    """
    ranking = find_project(session, project_id).mode == "ranking"
    judgements, of = _judgements(project_id, ranking), select(Label.item_id).where(Label.project_id == project_id)
    if differing:
        of = _differing(project_id)
        judgements = judgements.where(Label.item_id.in_(of))
    rows = session.execute(judgements).all()
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 11
    kinds, strengths, ranks, item, user, seconds, late, at, assignment, repeat_of, left = columns
    items = _items(session, of)
    row = np.searchsorted(items.ids, np.array(item, dtype=np.int64))
    repeats = np.array([first or 0 for first in repeat_of], dtype=np.int64)
    users, lates = np.array(user, dtype=np.int64), np.array(late, dtype=bool)
    work = items.work[row] & (repeats == 0)
    return Said(
        side=np.array([_side(*of) for of in zip(kinds, strengths, ranks, strict=True)], dtype=np.int64),
        strength=np.array([strength or 0 for strength in strengths], dtype=np.int64),
        comparison=np.array([one is None for one in ranks], dtype=bool),
        ranks=list(ranks),
        item=np.array(item, dtype=np.int64),
        user=users,
        assignment=np.array(assignment, dtype=np.int64),
        repeat_of=repeats,
        left=np.array(left, dtype=np.int64),
        work=work,
        gold=items.gold[row],
        late=lates,
        counts=work & ~lates & ~np.isin(users, _withheld(session)),
        seconds=np.array(seconds, dtype=float),
        at=_seconds_of(at),
        lengths=items.lengths[row],
        length=items.length[row],
        expected=_expected(session, project_id),
    )


def _judgements(project_id: int, ranking: bool) -> Any:
    kind, strength = Label.answer["kind"].as_string(), Label.answer["strength"].as_integer()
    ranks = Label.answer["ranks"] if ranking else Label.answer["ranks"].as_string()  # the latter is always null
    return (
        select(
            kind,
            strength,
            ranks,
            Label.item_id,
            Label.user_id,
            Label.seconds,
            Label.late,
            Label.created_at,
            Assignment.id,
            Assignment.repeat_of,
            Assignment.order[0].as_integer(),
        )
        .join(Assignment, NEWEST)
        .where(Label.project_id == project_id, kind != "skip")
        .order_by(Label.id)
    )


def _differing(project_id: int) -> Select[int]:
    """The items of which not everybody said the same."""
    kind, strength, ranks = (Label.answer[part].as_string() for part in ("kind", "strength", "ranks"))
    said = kind + ":" + func.coalesce(strength, "") + ":" + func.coalesce(ranks, "")
    return (
        select(Label.item_id)
        .join(Assignment, NEWEST)
        .where(Label.project_id == project_id, kind != "skip", Assignment.repeat_of.is_(None))
        .group_by(Label.item_id)
        .having(func.count(said.distinct()) > 1)
    )


@dataclass(frozen=True)
class _Items:
    """The items that were judged, by id: [N] each, and `lengths` [N, 2]."""

    ids: Ints
    work: Bools
    gold: Bools
    lengths: Floats
    length: Floats


def _items(session: Session, of: Select[int]) -> _Items:
    texts = Item.responses
    query = (
        select(
            Item.id,
            Item.kind == ItemKind.work,
            Item.kind == ItemKind.gold,
            func.length(texts[0].as_string()),
            func.length(texts[1].as_string()),
            func.length(cast(texts, String)) + func.length(cast(Item.prompt, String)),
        )
        .where(Item.id.in_(of))
        .order_by(Item.id)
    )
    rows = session.execute(query).all()
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 6
    ids, work, gold, one, two, length = columns
    return _Items(
        ids=np.array(ids, dtype=np.int64),
        work=np.array(work, dtype=bool),
        gold=np.array(gold, dtype=bool),
        lengths=np.array([one, two], dtype=float).T.reshape(-1, 2),
        length=np.array(length, dtype=float),
    )


def _expected(session: Session, project_id: int) -> dict[int, dict[str, Any]]:
    query = select(Item.id, Item.expected).where(Item.project_id == project_id, Item.kind == ItemKind.gold)
    return {item: expected["answer"] for item, expected in session.execute(query) if expected}


def _withheld(session: Session) -> Ints:
    return np.array(session.scalars(select(User.id).where(User.withheld)).all(), dtype=np.int64)


def _side(kind: str, strength: int | None, ranks: list[int] | None) -> int:
    if kind == "both_bad":
        return BOTH_BAD
    signed = (strength or 0) if ranks is None else ranks[0] - ranks[1]
    return FIRST if signed < 0 else SECOND if signed > 0 else TIE


def _seconds_of(moments: Any) -> Floats:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return np.array([(moment - start).total_seconds() for moment in moments], dtype=float)


def same_sides(said: Said, one: int, other: int) -> float:
    """The share of pairs of candidates of which two judgements of an item say the same; the strength doesn't matter."""
    first, second = said.ranks[one], said.ranks[other]
    if first is None or second is None:
        return float(said.side[one] == said.side[other])
    signs, others = ([side(a - b) for a, b in combinations(ranks, 2)] for ranks in (first, second))
    return sum(a == b for a, b in zip(signs, others, strict=True)) / len(signs)
