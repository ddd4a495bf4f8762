"""Judgements for tests, put straight into the tables."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AssignmentStatus, Item, ItemKind, Label, User


def choice(strength: int, **further: Any) -> dict[str, Any]:
    """A choice between two, in stored order."""
    return {"kind": "choice", "strength": strength, **further}


def judge(
    database: Database,
    item_id: int,
    user_id: int,
    answer: dict[str, Any],
    *,
    order: Sequence[int] | None = None,
    seconds: float = 10.0,
    late: bool = False,
    repeat_of: int | None = None,
    guideline_id: int | None = None,
) -> int:
    """The id of a new, finished assignment with one label, in stored order."""
    with database.write() as session:
        item = session.get_one(Item, item_id)
        counts = item.kind is ItemKind.work and repeat_of is None and not late and answer["kind"] != "skip"
        item.open_slots -= counts
        status = AssignmentStatus.skipped if answer["kind"] == "skip" else AssignmentStatus.done
        assignment = Assignment(
            project_id=item.project_id,
            item_id=item_id,
            user_id=user_id,
            repeat_of=repeat_of,
            order=list(order or range(len(item.responses))),
            status=status,
            holds_slot=counts,
            claimed_at=database.now() - timedelta(seconds=seconds),
            lease_until=database.now() + timedelta(minutes=10),
            finished_at=database.now(),
        )
        session.add(assignment)
        session.flush()
        _add_label(database, session, assignment, 1, answer, seconds=seconds, late=late, guideline_id=guideline_id)
        return assignment.id


def revise(database: Database, assignment_id: int, answer: dict[str, Any], revision: int = 2) -> None:
    """Add a further revision, which counts from now on."""
    with database.write() as session:
        assignment = session.get_one(Assignment, assignment_id)
        _add_label(database, session, assignment, revision, answer, seconds=5.0, late=False, guideline_id=None)


def uid_of(database: Database, assignment_id: int) -> str:
    """The uid of the label that counts."""
    with database.read() as session:
        assignment = session.get_one(Assignment, assignment_id)
        return session.get_one(Label, assignment.label_id).uid


def withhold(database: Database, user_id: int) -> None:
    with database.write() as session:
        session.get_one(User, user_id).withheld = True


def _add_label(
    database: Database, session: Any, assignment: Assignment, revision: int, answer: dict[str, Any], **columns: Any
) -> None:
    label = Label(
        uid=str(uuid.uuid4()),
        project_id=assignment.project_id,
        item_id=assignment.item_id,
        assignment_id=assignment.id,
        user_id=assignment.user_id,
        submission_id=uuid.uuid4().hex,
        revision=revision,
        answer=answer,
        idle_seconds=0.0,
        created_at=database.now(),
        **columns,
    )
    session.add(label)
    session.flush()
    assignment.label_id = label.id
