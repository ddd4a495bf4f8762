"""Holding an item: the next one, a longer lease, an own answer once more. Every verb takes the person's seat first."""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from labeling_app.access import require_user
from labeling_app.errors import NotFound
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import Assignment, AssignmentStatus, Member
from labeling_app.work.seats import Seat, own, require_open, take_seat
from labeling_app.work.supply import IS_OPEN, lease_of, take_next
from labeling_app.work.tasks import Idle, IdleReason, Task, progress_of, task_of

FINISHED = (AssignmentStatus.done, AssignmentStatus.skipped)
HELD = (
    select(Assignment)
    .where(
        Assignment.project_id == bindparam("project"),
        Assignment.user_id == bindparam("user"),
        IS_OPEN,
        Assignment.lease_until >= bindparam("now"),
    )
    .order_by(Assignment.id)
    .limit(1)
    .with_for_update()
    .execution_options(populate_existing=True)
)


@retried
def next_task(database: Database, user_id: int, project_id: int) -> Task | Idle:
    """The item that this person holds, or else a new one.

    Raises:
        NotAllowed: the account can't be used.
        NotFound: there is no such project.
    """
    with database.write() as session:
        now = database.now()
        return serve(session, now, take_seat(session, now, user_id, project_id))


def serve(session: Session, now: datetime, seat: Seat) -> Task | Idle:
    """`next_task` within a transaction."""
    progress = progress_of(session, seat.project, seat.member)
    if seat.user.paused_at is not None:
        return Idle("paused", progress)
    if seat.project.closed_at is not None:
        return Idle("closed", progress)
    if not seat.consented:
        return Idle("consent", progress)
    held = _held(session, now, seat.member)
    found: Assignment | IdleReason = held or take_next(session, now, seat)
    if not isinstance(found, Assignment):
        return Idle(found, progress)
    found.lease_until = lease_of(seat.settings, now)
    session.flush()
    return task_of(session, found, seat, progress)


@retried
def renew(database: Database, user_id: int, assignment_id: int) -> datetime:
    """A longer lease for an item that is still in this person's hands, also once its project is closed.

    Returns:
        The lease's end.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: it isn't theirs, or no longer in their hands.
    """
    with database.write() as session:
        now = database.now()
        assignment, seat = own(session, now, user_id, assignment_id)
        if assignment.status is not AssignmentStatus.open or assignment.lease_until < now:
            raise NotFound("This item is no longer in your hands.", remedy="load the page again.")
        assignment.lease_until = lease_of(seat.settings, now)
        return assignment.lease_until


@retried
def reopen(database: Database, user_id: int, assignment_id: int) -> Task:
    """An own answer once more, to be looked at or corrected; what was said stands until it is corrected.

    Raises:
        NotAllowed: the account can't be used, is paused, or the project is closed.
        NotFound: it isn't theirs, or has no answer.
    """
    with database.write() as session:
        assignment, seat = own(session, database.now(), user_id, assignment_id)
        require_open(seat.project)
        if assignment.status not in FINISHED:
            raise NotFound("There is no such answer of yours.", remedy="choose one from your history.")
        return task_of(session, assignment, seat, progress_of(session, seat.project, seat.member))


def last_finished(database: Database, user_id: int, project_id: int) -> int | None:
    """The assignment that this person answered or skipped last, to undo it."""
    with database.read() as session:
        require_user(session, user_id)
        last = (
            select(Assignment.id)
            .where(
                Assignment.user_id == user_id,
                Assignment.project_id == project_id,
                Assignment.finished_at.is_not(None),
            )
            .order_by(Assignment.finished_at.desc(), Assignment.id.desc())
            .limit(1)
        )
        return session.scalars(last).first()


def _held(session: Session, now: datetime, member: Member) -> Assignment | None:
    """The assignment that is open on this person's page, if its lease has not run out."""
    whose = {"project": member.project_id, "user": member.user_id, "now": now}
    return session.scalars(HELD, whose).first()
