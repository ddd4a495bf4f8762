"""A project's judgements as arrays, from which all figures are computed: a handful of queries, whatever its size."""

from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from labeling_app.store.joins import NEWEST
from labeling_app.store.tables import Assignment, Item, ItemKind, Label, User

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# What can be said of a pair of candidates.
FIRST, TIE, SECOND, BOTH_BAD = range(4)


@dataclass(frozen=True)
class Said:
    """The newest word of each person on each item that they judged, skips left out, in the order of the log.

    Attributes, each of L entries:
        answers: in stored order. orders: as shown.
        item, user: ids. assignment: ids, and of a repeat that of the first time, else 0.
        late: whether it came after its lease.
        counts: whether it counts for agreement: work, no repeat, not late, not of a withheld person.
        lengths: [L, 2], characters of the first two responses; length: of prompt and responses together.
    """

    answers: list[dict[str, Any]]
    orders: list[list[int]]
    kinds: list[ItemKind]
    expected: list[dict[str, Any] | None]
    item: Ints
    user: Ints
    assignment: Ints
    repeat_of: Ints
    late: Bools
    counts: Bools
    seconds: Floats
    at: list[datetime]
    lengths: Floats
    length: Floats

    @property
    def side(self) -> Ints:
        """[L], what a comparison says; of a ranking whether its first two candidates stand in their order."""
        return np.array([sides_of(answer)[0] for answer in self.answers], dtype=np.int64)

    @property
    def strength(self) -> Ints:
        """[L], of a comparison; 0 where both are bad, and for a ranking."""
        return np.array([answer.get("strength") or 0 for answer in self.answers], dtype=np.int64)


def load(session: Session, project_id: int) -> Said:
    """All that people said in a project."""
    texts = Item.responses
    query = (
        select(
            Label.answer,
            Label.item_id,
            Label.user_id,
            Label.seconds,
            Label.late,
            Label.created_at,
            Assignment.id,
            Assignment.repeat_of,
            Assignment.order,
            Item.kind,
            Item.expected,
            func.length(texts[0].as_string()),
            func.length(texts[1].as_string()),
            func.length(cast(texts, String)) + func.length(cast(Item.prompt, String)),
            User.withheld,
        )
        .join(Assignment, NEWEST)
        .join(Item, Item.id == Label.item_id)
        .join(User, User.id == Label.user_id)
        .where(Label.project_id == project_id)
        .order_by(Label.id)
    )
    rows = [row for row in session.execute(query) if row[0].get("kind") != "skip"]
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 15
    answers, item, user, seconds, late, at, assignment, repeat, orders, kinds, expected, one, two, length, withheld = (
        columns
    )
    repeat_of = np.array([first or 0 for first in repeat], dtype=np.int64)
    work = np.array([kind is ItemKind.work for kind in kinds], dtype=bool)
    apart = np.array(late, dtype=bool) | np.array(withheld, dtype=bool)
    return Said(
        answers=list(answers),
        orders=list(orders),
        kinds=list(kinds),
        expected=list(expected),
        item=np.array(item, dtype=np.int64),
        user=np.array(user, dtype=np.int64),
        assignment=np.array(assignment, dtype=np.int64),
        repeat_of=repeat_of,
        late=np.array(late, dtype=bool),
        counts=work & (repeat_of == 0) & ~apart,
        seconds=np.array(seconds, dtype=float),
        at=list(at),
        lengths=np.array([one, two], dtype=float).T.reshape(-1, 2),
        length=np.array(length, dtype=float),
    )


def sides_of(answer: dict[str, Any]) -> list[int]:
    """What an answer says of each pair of candidates; of a comparison there is one."""
    if answer["kind"] == "both_bad":
        return [BOTH_BAD]
    if answer["kind"] == "ranking":
        return [_side(a - b) for a, b in combinations(answer["ranks"], 2)]
    return [_side(answer["strength"])]


def _side(signed: int) -> int:
    return FIRST if signed < 0 else SECOND if signed > 0 else TIE


def same_sides(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The share of pairs of candidates of which two answers say the same; the strength doesn't matter."""
    first, second = sides_of(one), sides_of(other)
    if len(first) != len(second):
        return 0.0
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
