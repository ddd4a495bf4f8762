"""What a lead decides where people disagree."""

import uuid
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.answers import LONGEST_TEXT, Answer, parse
from labeling_app.errors import NotFound, Refused
from labeling_app.lead.cases import rulings
from labeling_app.lookup import find_project, settings_of
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import Assignment, AssignmentStatus, Decision, Item, ItemKind, Member, Project

_ASSIGNMENTS = (
    select(Assignment)
    .where(Assignment.item_id == bindparam("item"))
    .order_by(Assignment.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)


@retried
def decide(
    database: Database,
    actor_id: int,
    item_id: int,
    fields: dict[str, Any],
    note: str | None = None,
    *,
    make_gold: bool = False,
    seen: str | None = None,
) -> str:
    """Decide an item; returns the decision's uid. It takes precedence over what was said, and over earlier decisions.

    Args:
        actor_id: the lead, whose decision it is: the command line can't decide.
        fields: an answer in stored order. A skip with its reason leaves the item out of exports.
        note: why, in words.
        make_gold: from now on the item checks people, with this answer. What was said of it stays in the log, exports
            leave it out, and it is wanted from nobody as work any more.
        seen: the uid of the newest ruling that the lead knew of, empty for none; None to decide whatever there is.

    Raises:
        Refused: the answer isn't acceptable, can't be a known answer, or somebody else decided in the meantime.
        NotFound: there is no such item.
    """
    if note is not None and len(note) > LONGEST_TEXT:
        raise Refused(f"The note has more than {LONGEST_TEXT:,} characters.", remedy="shorten it.")
    with database.write() as session:
        require_lead(session, actor_id)
        session.scalars(_ASSIGNMENTS, {"item": item_id}).all()  # locked before the item, as all who lock both do
        item = session.get(Item, item_id, with_for_update=True)
        if item is None:
            raise NotFound("There is no such item.", remedy="choose one from the queue.")
        project = find_project(session, item.project_id)
        if seen is not None:
            _check_seen(session, item_id, seen)
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
            _make_gold(session, project, item, answer, note)
        audit.record(session, now, actor_id, "item.decide", project=project.id, item=item_id, gold=make_gold)
        return decision.uid


def _check_seen(session: Session, item_id: int, seen: str) -> None:
    """Two leads at one item: the second is shown what the first decided, instead of overruling it unawares."""
    newest = next(iter(rulings(session, item_id)), None)
    if newest is not None and newest.uid != seen:
        raise Refused(
            f"{newest.lead} has decided this item in the meantime.",
            remedy="look at that decision; send yours again if it is to take its place.",
        )


def _parsed(fields: dict[str, Any], project: Project, item: Item) -> Answer:
    """A lead decides what is better; whatever else the project asks of people isn't asked of them."""
    settings = settings_of(project).model_copy(update={"rationale": "optional", "axes": ()})
    mode = "ranking" if project.mode == "ranking" else "comparison"
    return parse(fields, settings, mode, len(item.responses))  # type: ignore[arg-type]


def _make_gold(
    session: Session,
    project: Project,
    item: Item,
    answer: Answer,
    note: str | None,
) -> None:
    """The item fills no slot any more, neither in the project's total nor in what people have done."""
    if answer.kind == "skip":
        raise Refused("A skip is no known answer.", remedy="decide what is better, or don't make it a gold item.")
    if item.kind is ItemKind.work:
        # Once more: until the item was locked it could be handed out.
        assignments = session.scalars(_ASSIGNMENTS, {"item": item.id}).all()
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
