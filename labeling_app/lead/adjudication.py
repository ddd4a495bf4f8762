"""Items on which people disagree, for the lead to decide: the most disputed first."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.answers import LONGEST_TEXT, Answer, parse
from labeling_app.errors import NotFound, Refused
from labeling_app.lead.disputes import disputed
from labeling_app.lookup import find_project, settings_of
from labeling_app.store import Database
from labeling_app.store.joins import NEWEST
from labeling_app.store.tables import (
    Assignment,
    AssignmentStatus,
    Decision,
    Item,
    ItemKind,
    Label,
    Member,
    Project,
    User,
)


@dataclass(frozen=True)
class Opinion:
    """What one person said of a disputed item, in stored order."""

    annotator: str
    answer: Answer
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


def queue(database: Database, actor_id: int | None, project_id: int, *, limit: int = 200) -> list[Dispute]:
    """Items that are in dispute and not yet decided: sides differ, or strengths lie far apart. Most disputed first.

    Judgements of withheld people, late ones, skips and hidden repeats don't make a dispute.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        find_project(session, project_id)
        scored = disputed(session, project_id)[:limit]
        ids = [item_id for item_id, _ in scored]
        items = {item.id: item for item in session.scalars(select(Item).where(Item.id.in_(ids)))}
        opinions = _opinions(session, ids)
        return [Dispute(one, items[one].prompt, items[one].responses, opinions[one], score) for one, score in scored]


def decide(
    database: Database,
    actor_id: int,
    item_id: int,
    fields: dict[str, Any],
    note: str | None = None,
    *,
    make_gold: bool = False,
) -> str:
    """Decide an item; returns the decision's uid. It takes precedence over what was said, and over earlier decisions.

    Args:
        actor_id: the lead, whose decision it is: the command line can't decide.
        fields: an answer in stored order. A skip with its reason leaves the item out of exports.
        note: why, in words.
        make_gold: from now on the item checks people, with this answer. What was said of it stays in the log, exports
            leave it out, and it is wanted from nobody as work any more.

    Raises:
        Refused: the answer isn't acceptable, or can't be a known answer.
        NotFound: there is no such item.
    """
    if note is not None and len(note) > LONGEST_TEXT:
        raise Refused(f"The note has more than {LONGEST_TEXT:,} characters.", remedy="shorten it.")
    with database.write() as session:
        require_lead(session, actor_id)
        assignments = session.scalars(  # before the item, as all who lock both do
            select(Assignment).where(Assignment.item_id == item_id).order_by(Assignment.id).with_for_update()
        ).all()
        item = session.get(Item, item_id, with_for_update=True)
        if item is None:
            raise NotFound("There is no such item.", remedy="choose one from the queue.")
        project = find_project(session, item.project_id)
        answer = _parsed(fields, project, item)
        now = database.now()
        decision = Decision(
            uid=str(uuid.uuid4()),
            project_id=project.id,
            item_id=item_id,
            decided_by=actor_id,
            answer=answer.as_json(),
            note=note,
            created_at=now,
        )
        session.add(decision)
        if make_gold:
            _make_gold(session, project, item, assignments, answer, note)
        audit.record(session, now, actor_id, "item.decide", project=project.id, item=item_id, gold=make_gold)
        return decision.uid


def _opinions(session: Session, item_ids: Sequence[int]) -> dict[int, list[Opinion]]:
    query = (
        select(Label.item_id, User.name, Label.answer, Label.created_at)
        .join(Assignment, NEWEST)
        .join(User, User.id == Label.user_id)
        .where(Label.item_id.in_(item_ids), Assignment.repeat_of.is_(None))
        .order_by(Label.id)
    )
    found: dict[int, list[Opinion]] = {}
    for item_id, name, answer, at in session.execute(query):
        found.setdefault(item_id, []).append(Opinion(name, Answer.model_validate(answer), at))
    return found


def _parsed(fields: dict[str, Any], project: Project, item: Item) -> Answer:
    """A lead decides what is better; whatever else the project asks of people isn't asked of them."""
    settings = settings_of(project).model_copy(update={"rationale": "optional", "axes": ()})
    mode = "ranking" if project.mode == "ranking" else "comparison"
    return parse(fields, settings, mode, len(item.responses))  # type: ignore[arg-type]


def _make_gold(
    session: Session,
    project: Project,
    item: Item,
    assignments: Sequence[Assignment],
    answer: Answer,
    note: str | None,
) -> None:
    """The item fills no slot any more, neither in the project's total nor in what people have done."""
    if answer.kind == "skip":
        raise Refused("A skip is no known answer.", remedy="decide what is better, or don't make it a gold item.")
    if item.kind is ItemKind.work:
        total = Project.slots_total - item.overlap
        session.execute(update(Project).where(Project.id == project.id).values(slots_total=total))
        done = [one.user_id for one in assignments if one.holds_slot and one.status is AssignmentStatus.done]
        those = (Member.project_id == project.id, Member.user_id.in_(done))
        session.execute(update(Member).where(*those).values(done=Member.done - 1))
        for assignment in assignments:
            assignment.holds_slot = False
        item.overlap = item.open_slots = 0
        item.kind = ItemKind.gold
    known = answer.model_dump(include={"kind", "strength", "ranks"}, exclude_none=True)
    item.expected = {"answer": known, "explanation": note}
