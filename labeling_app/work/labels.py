"""Submitting an answer, and correcting one. "Saved" is said when the transaction is committed, never before.

answered in time            done, fills a slot
skipped                     its slot is given back, and the item never comes to this person again
answered after the lease    stored and marked late, outside the overlap
corrected                   a further revision; the first one stays in the log
sent again                  the same receipt, whatever has changed since
in a closed project         the first answer to an item that is in this person's hands, and nothing else
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from labeling_app.answers import Answer, parse, says, to_shown, to_stored
from labeling_app.errors import NotAllowed, Refused
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import Assignment, AssignmentStatus, Draft, Item, ItemKind, Label, Member
from labeling_app.work.claims import serve
from labeling_app.work.qualification import feedback_on, judge_member
from labeling_app.work.seats import Seat, last_agreed, own, require_open, take_seat
from labeling_app.work.supply import expire, give_slot_back, take_slot
from labeling_app.work.tasks import Idle, Task

LONGEST_SUBMISSION_ID = 64
LONGEST_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Feedback:
    """What a qualification item's answer should have been, in the order shown."""

    right: bool
    expected: Answer
    explanation: str | None


@dataclass(frozen=True)
class Receipt:
    """An answer is in the log.

    Attributes:
        revision: 1 for the first answer, more for corrections.
        late: it came after its lease had ended, and stands outside the overlap.
        feedback: for a qualification item.
    """

    label_uid: str
    revision: int
    late: bool
    feedback: Feedback | None = None


@retried
def submit(
    database: Database,
    user_id: int,
    assignment_id: int,
    fields: dict[str, Any],
    submission_id: str,
    *,
    seconds: float,
    idle_seconds: float = 0.0,
) -> Receipt:
    """Store what a person says of an item in their hands, or correct what they said.

    Args:
        fields: an `Answer`, of the positions that were shown.
        submission_id: made by the page, one for each answer: sent again, it changes nothing and gets the same receipt.
        seconds: on the page, without the idle time.
        idle_seconds: in which nothing was done there.

    Raises:
        NotAllowed: the account can't be used, is paused, or the project is closed and it is no first answer in time.
        NotFound: the assignment isn't theirs.
        Refused: the answer isn't acceptable.
        Unavailable: it could not be stored.
    """
    with database.write() as session:
        now, times = database.now(), _times(seconds, idle_seconds)
        assignment, seat = own(session, now, user_id, assignment_id)
        return _store(session, now, assignment, seat, fields, submission_id, times)


@retried
def submit_and_next(
    database: Database,
    user_id: int,
    assignment_id: int,
    fields: dict[str, Any],
    submission_id: str,
    *,
    project_id: int,
    seconds: float,
    idle_seconds: float = 0.0,
) -> tuple[Receipt, Task | Idle]:
    """`submit`, and the next item, in one transaction."""
    with database.write() as session:
        now, times = database.now(), _times(seconds, idle_seconds)
        assignment, seat = own(session, now, user_id, assignment_id)
        receipt = _store(session, now, assignment, seat, fields, submission_id, times)
        if project_id != seat.project.id:  # another project was chosen in the meantime
            seat = take_seat(session, now, user_id, project_id)
        return receipt, serve(session, now, seat)


def _store(
    session: Session,
    now: datetime,
    assignment: Assignment,
    seat: Seat,
    fields: dict[str, Any],
    submission_id: str,
    times: tuple[float, float],
) -> Receipt:
    project, user_id = seat.project, seat.user.id
    item = session.get_one(Item, assignment.item_id)
    _check_submission_id(submission_id)
    sent = session.scalars(select(Label).where(Label.user_id == user_id, Label.submission_id == submission_id)).first()
    if sent is not None:
        if sent.assignment_id != assignment.id or not says(fields, sent.answer, assignment.order):
            raise Refused("Another answer was stored under this submission id.", remedy="load the page again.")
        return _receipt(sent, assignment, item)
    if assignment.status is not AssignmentStatus.open or assignment.lease_until < now:
        require_open(project)
    if item.kind is ItemKind.qualification and assignment.finished_at is not None:
        raise Refused("A qualification item is answered once.", remedy="go on with the next item.")
    guideline_id = _guideline_of(session, seat)
    shown = parse(fields, seat.settings, project.mode, len(item.responses))  # type: ignore[arg-type]
    late = _settle(session, now, assignment, item, seat.member, shown)
    label = Label(
        uid=str(uuid.uuid4()),
        project_id=project.id,
        item_id=item.id,
        assignment_id=assignment.id,
        user_id=user_id,
        submission_id=submission_id,
        revision=_revision(session, assignment),
        answer=to_stored(shown, assignment.order).as_json(),
        guideline_id=guideline_id,
        seconds=times[0],
        idle_seconds=times[1],
        late=late,
        created_at=now,
    )
    session.add(label)
    session.execute(delete(Draft).where(Draft.assignment_id == assignment.id))
    session.flush()
    assignment.label_id = label.id
    session.flush()
    if item.kind is ItemKind.qualification:
        judge_member(session, project, seat.member)
    return _receipt(label, assignment, item)


def _guideline_of(session: Session, seat: Seat) -> int | None:
    """The version of the guidelines that an answer follows. In a closed project nobody is asked to agree to another."""
    if seat.consented:
        return seat.guideline_id
    if seat.project.closed_at is not None:
        return last_agreed(session, seat.user.id, seat.project.id)
    raise NotAllowed("The guidelines have changed.", remedy="read them and agree, and send your answer again.")


def _settle(session: Session, now: datetime, assignment: Assignment, item: Item, member: Member, shown: Answer) -> bool:
    """Bring status, slot and counts to what the answer makes of them; returns whether it is late."""
    if assignment.status is AssignmentStatus.open and assignment.lease_until < now:
        expire(session, assignment)
    first_answer = assignment.finished_at is None
    answered = assignment.status is AssignmentStatus.done
    filled = assignment.holds_slot and answered
    late = assignment.status is AssignmentStatus.expired or (not first_answer and _is_late(session, assignment))
    skip = shown.kind == "skip"
    if skip:
        give_slot_back(session, assignment)
    elif assignment.status is AssignmentStatus.skipped and _fills_slots(assignment, item):
        late = not take_slot(session, assignment)
    assignment.status = AssignmentStatus.skipped if skip else AssignmentStatus.done
    if first_answer:
        assignment.finished_at = now
    member.done += int(assignment.holds_slot) - int(filled)
    if item.kind is not ItemKind.qualification:
        member.answered += int(not skip) - int(answered)
    return late


def _is_late(session: Session, assignment: Assignment) -> bool:
    return assignment.label_id is not None and session.get_one(Label, assignment.label_id).late


def _fills_slots(assignment: Assignment, item: Item) -> bool:
    return item.kind is ItemKind.work and assignment.repeat_of is None


def _revision(session: Session, assignment: Assignment) -> int:
    return 1 if assignment.label_id is None else session.get_one(Label, assignment.label_id).revision + 1


def _receipt(label: Label, assignment: Assignment, item: Item) -> Receipt:
    feedback = None
    if item.kind is ItemKind.qualification and item.expected is not None:
        expected = Answer.model_validate(item.expected["answer"])
        right = feedback_on(Answer.model_validate(label.answer), expected)
        feedback = Feedback(right, to_shown(expected, assignment.order), item.expected.get("explanation"))
    return Receipt(label.uid, label.revision, label.late, feedback)


def _check_submission_id(submission_id: str) -> None:
    if not submission_id or len(submission_id) > LONGEST_SUBMISSION_ID:
        raise Refused(f"A submission id has 1 to {LONGEST_SUBMISSION_ID} characters.", remedy="load the page again.")


def _times(seconds: float, idle_seconds: float) -> tuple[float, float]:
    """Times as a page measured them, within reason: they describe the work and decide nothing."""
    within = (min(max(float(time), 0.0), LONGEST_SECONDS) if time == time else 0.0 for time in (seconds, idle_seconds))
    first, second = within
    return first, second
