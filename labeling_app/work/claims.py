"""Holding an item: the next one, a longer lease, an own answer once more.

Every verb locks the person's row in the project first. Whatever one person does in several tabs therefore happens one
after the other; different people never wait for each other.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from labeling_app.access import known_user, require_user
from labeling_app.errors import NotAllowed, NotFound
from labeling_app.lookup import find_project, settings_of
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AssignmentStatus, Consent, Member, Project
from labeling_app.work.supply import lease_of, take_next
from labeling_app.work.tasks import Idle, IdleReason, Task, newest_guideline, progress_of, task_of

FINISHED = (AssignmentStatus.done, AssignmentStatus.skipped)


def next_task(database: Database, user_id: int, project_id: int) -> Task | Idle:
    """The item that this person holds, or else a new one.

    Raises:
        NotAllowed: the account can't be used.
        NotFound: there is no such project.
    """
    with database.write() as session:
        return serve(session, database.now(), user_id, project_id)


def serve(session: Session, now: datetime, user_id: int, project_id: int) -> Task | Idle:
    """`next_task` within a transaction."""
    user = known_user(session, user_id)
    project = find_project(session, project_id)
    member = locked_member(session, now, user_id, project.id)
    progress = progress_of(session, project, member)
    if user.paused_at is not None:
        return Idle("paused", progress)
    if project.closed_at is not None:
        return Idle("closed", progress)
    if not has_consented(session, user_id, project.id):
        return Idle("consent", progress)
    held = _held(session, now, member)
    found: Assignment | IdleReason = held or take_next(session, now, project, member)
    if not isinstance(found, Assignment):
        return Idle(found, progress)
    found.lease_until = lease_of(settings_of(project), now)
    session.flush()
    return task_of(session, found, project, member)


def renew(database: Database, user_id: int, assignment_id: int) -> datetime:
    """A longer lease for an item that is still in this person's hands; returns its end.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: it isn't theirs, or no longer in their hands.
    """
    with database.write() as session:
        now = database.now()
        assignment, project, _ = own(session, now, user_id, assignment_id)
        if assignment.status is not AssignmentStatus.open or assignment.lease_until < now:
            raise NotFound("This item is no longer in your hands.", remedy="load the page again.")
        assignment.lease_until = lease_of(settings_of(project), now)
        return assignment.lease_until


def reopen(database: Database, user_id: int, assignment_id: int) -> Task:
    """An own answer once more, to be looked at or corrected; what was said stands until it is corrected.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: it isn't theirs, or has no answer.
    """
    with database.write() as session:
        assignment, project, member = own(session, database.now(), user_id, assignment_id)
        if assignment.status not in FINISHED:
            raise NotFound("There is no such answer of yours.", remedy="choose one from your history.")
        return task_of(session, assignment, project, member)


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


def own(session: Session, now: datetime, user_id: int, assignment_id: int) -> tuple[Assignment, Project, Member]:
    """An assignment of this very person, locked, in a project that is open.

    Raises:
        NotAllowed: the account can't be used, is paused, or the project is closed.
        NotFound: there is no such assignment of theirs.
    """
    require_user(session, user_id)
    mine = Assignment.id == assignment_id, Assignment.user_id == user_id
    project_id = session.scalar(select(Assignment.project_id).where(*mine))
    if project_id is None:
        raise NotFound("There is no such item in your hands.", remedy="load the page again.")
    member = locked_member(session, now, user_id, project_id)
    locked = select(Assignment).where(*mine).with_for_update().execution_options(populate_existing=True)
    project = find_project(session, project_id)
    if project.closed_at is not None:
        raise NotAllowed("This project is closed.", remedy="ask the lead; what you said is kept.")
    return session.scalars(locked).one(), project, member


def has_consented(session: Session, user_id: int, project_id: int) -> bool:
    """Whether the person has agreed to the newest guidelines, if there are any."""
    newest, _ = newest_guideline(session, project_id)
    return newest is None or session.get(Consent, (user_id, newest)) is not None


def locked_member(session: Session, now: datetime, user_id: int, project_id: int) -> Member:
    """The person's row in the project, made on first use, locked until the transaction ends."""
    locked = (
        select(Member)
        .where(Member.user_id == user_id, Member.project_id == project_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalars(locked).first()
    if found is not None:
        return found
    try:
        with session.begin_nested():
            session.add(Member(user_id=user_id, project_id=project_id, joined_at=now))
    except IntegrityError:  # made by another tab in the meantime
        pass
    return session.scalars(locked).one()


def _held(session: Session, now: datetime, member: Member) -> Assignment | None:
    """The assignment that is open on this person's page, if its lease has not run out."""
    held = (
        select(Assignment)
        .where(
            Assignment.project_id == member.project_id,
            Assignment.user_id == member.user_id,
            Assignment.status == AssignmentStatus.open,
            Assignment.lease_until >= now,
        )
        .order_by(Assignment.id)
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(held).first()
