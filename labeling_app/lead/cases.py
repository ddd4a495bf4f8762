"""Items on which people disagree, as a lead looks at them: the most disputed first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.answers import Answer
from labeling_app.errors import NotFound
from labeling_app.lead.disputes import disputed
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.joins import NEWEST
from labeling_app.store.tables import Assignment, Decision, Item, ItemKind, Label, User


@dataclass(frozen=True)
class Opinion:
    """What one person said of an item, in stored order.

    Attributes:
        annotator: the name. pseudonym: what exports call them.
        assignment_id: by which to write to them about the item.
        apart: why it doesn't count: "late" or "withheld"; else empty.
    """

    annotator: str
    pseudonym: str
    assignment_id: int
    answer: Answer
    at: datetime
    apart: str


@dataclass(frozen=True)
class Ruling:
    """What a lead decided."""

    uid: str
    lead: str
    answer: Answer
    note: str | None
    at: datetime


@dataclass(frozen=True)
class Dispute:
    """An item on which people disagree.

    Attributes:
        prompt, responses: in stored order.
        score: the share of couples of people who disagree about a side, plus their distance in strength as a fraction.
    """

    item_id: int
    prompt: Any
    responses: list[Any]
    opinions: list[Opinion]
    score: float


@dataclass(frozen=True)
class Queue:
    """The first disputes of a project, the most disputed on top, and how many there are in all."""

    total: int
    disputes: list[Dispute]


@dataclass(frozen=True)
class Case:
    """An item as a lead decides it.

    Attributes:
        prompt, responses: in stored order.
        opinions: all that was said of it, but for skips and repeats; also what doesn't count.
        rulings: earlier ones, the newest first.
        place: in the queue, from 1; None where it isn't in dispute, or is decided. total: of the queue.
        before, after: the items beside it in the queue; `after` is the first one where it has no place.
    """

    item_id: int
    mode: str
    kind: ItemKind
    prompt: Any
    responses: list[Any]
    opinions: list[Opinion]
    rulings: list[Ruling]
    place: int | None
    total: int
    before: int | None
    after: int | None

    @property
    def seen(self) -> str:
        """What `decide` compares: the newest ruling that this shows."""
        return self.rulings[0].uid if self.rulings else ""


def queue(database: Database, actor_id: int | None, project_id: int, *, limit: int = 200) -> Queue:
    """Items that are in dispute and not yet decided: sides differ, or strengths lie far apart. Most disputed first."""
    with database.read() as session:
        require_lead(session, actor_id)
        find_project(session, project_id)
        scored = disputed(session, project_id)
        ids = [item_id for item_id, _ in scored[:limit]]
        items = {item.id: item for item in session.scalars(select(Item).where(Item.id.in_(ids)))}
        opinions = _opinions(session, ids)
        return Queue(
            len(scored),
            [
                Dispute(one, items[one].prompt, items[one].responses, opinions[one], score)
                for one, score in scored[:limit]
            ],
        )


def case(database: Database, actor_id: int | None, project_id: int, item_id: int) -> Case:
    """One item of a project, whether it is in dispute or not.

    Raises:
        NotFound: the project has no such item.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id)
        item = session.get(Item, item_id)
        if item is None or item.project_id != project_id:
            raise NotFound("There is no such item.", remedy="choose one from the queue.")
        ids = [one for one, _ in disputed(session, project_id)]
        place = ids.index(item_id) if item_id in ids else None
        following = 0 if place is None else place + 1
        return Case(
            item_id=item_id,
            mode=project.mode,
            kind=item.kind,
            prompt=item.prompt,
            responses=item.responses,
            opinions=_opinions(session, [item_id]).get(item_id, []),
            rulings=rulings(session, item_id),
            place=None if place is None else place + 1,
            total=len(ids),
            before=ids[place - 1] if place else None,
            after=ids[following] if following < len(ids) else None,
        )


def _opinions(session: Session, item_ids: Sequence[int]) -> dict[int, list[Opinion]]:
    query = (
        select(Label, User)
        .join(Assignment, NEWEST)
        .join(User, User.id == Label.user_id)
        .where(Label.item_id.in_(item_ids), Assignment.repeat_of.is_(None))
        .order_by(Label.id)
    )
    found: dict[int, list[Opinion]] = {}
    for label, user in session.execute(query):
        answer = Answer.model_validate(label.answer)
        if answer.kind == "skip":
            continue
        apart = "withheld" if user.withheld else "late" if label.late else ""
        opinion = Opinion(user.name, user.pseudonym, label.assignment_id, answer, label.created_at, apart)
        found.setdefault(label.item_id, []).append(opinion)
    return found


def rulings(session: Session, item_id: int) -> list[Ruling]:
    """What leads decided about an item, the newest first."""
    query = (
        select(Decision, User.name)
        .join(User, User.id == Decision.decided_by)
        .where(Decision.item_id == item_id)
        .order_by(Decision.id.desc())
    )
    return [
        Ruling(one.uid, name, Answer.model_validate(one.answer), one.note, one.created_at)
        for one, name in session.execute(query)
    ]
