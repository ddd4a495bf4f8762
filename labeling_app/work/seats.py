"""A person at work in a project: the rows that every verb needs, read once within its transaction.

Taking a seat locks the person's row in the project. Whatever one person does in several tabs therefore happens one
after the other; different people never wait for each other.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from labeling_app.access import known_user, require_user
from labeling_app.errors import NotAllowed, NotFound
from labeling_app.lookup import find_project, settings_of
from labeling_app.settings import ProjectSettings
from labeling_app.store.adding import added
from labeling_app.store.tables import Assignment, Consent, Guideline, Member, Project, User

# Statements are built once: building one takes about as long as running it.
_MINE = Assignment.id == bindparam("assignment"), Assignment.user_id == bindparam("user")
PROJECT_OF_MINE = select(Assignment.project_id).where(*_MINE)
MINE = select(Assignment).where(*_MINE).with_for_update().execution_options(populate_existing=True)
MEMBER = (
    select(Member)
    .where(Member.user_id == bindparam("user"), Member.project_id == bindparam("project"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
NEWEST_GUIDELINE = (
    select(Guideline.id, Guideline.version, Consent.user_id)
    .outerjoin(Consent, and_(Consent.guideline_id == Guideline.id, Consent.user_id == bindparam("user")))
    .where(Guideline.project_id == bindparam("project"))
    .order_by(Guideline.version.desc())
    .limit(1)
)


@dataclass(frozen=True)
class Seat:
    """A person in a project.

    Attributes:
        member: their row in the project, locked until the transaction ends.
        guideline_id: of the newest guidelines; None where there are none, and `guideline_version` is 0.
        consented: whether the person has agreed to them, or needn't.
    """

    user: User
    project: Project
    member: Member
    guideline_id: int | None
    guideline_version: int
    consented: bool

    @cached_property
    def settings(self) -> ProjectSettings:
        return settings_of(self.project)


def take_seat(session: Session, now: datetime, user_id: int, project_id: int) -> Seat:
    """The seat of somebody who may be paused, in a project that may be closed.

    Raises:
        NotAllowed: the account can't be used.
        NotFound: there is no such project.
    """
    user, project = known_user(session, user_id), find_project(session, project_id)
    return _seat(session, user, project, locked_member(session, now, user_id, project_id))


def own(session: Session, now: datetime, user_id: int, assignment_id: int) -> tuple[Assignment, Seat]:
    """An assignment of this very person, locked, and their seat in its project, which may be closed.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: there is no such assignment of theirs.
    """
    user = require_user(session, user_id)
    mine = {"assignment": assignment_id, "user": user_id}
    project_id = session.scalar(PROJECT_OF_MINE, mine)
    if project_id is None:
        raise NotFound("There is no such item in your hands.", remedy="load the page again.")
    member = locked_member(session, now, user_id, project_id)
    project = find_project(session, project_id)
    return session.scalars(MINE, mine).one(), _seat(session, user, project, member)


def require_open(project: Project) -> None:
    """
    Raises:
        NotAllowed: the project is closed.
    """
    if project.closed_at is not None:
        raise NotAllowed("This project is closed.", remedy="ask the lead; what you said is kept.")


def agreement(session: Session, user_id: int, project_id: int) -> tuple[int | None, int, bool]:
    """Id and number of a project's newest guidelines (None and 0 where there are none), and whether the person has
    agreed to them, or needn't."""
    found = session.execute(NEWEST_GUIDELINE, {"user": user_id, "project": project_id}).first()
    return (None, 0, True) if found is None else (found.id, found.version, found.user_id is not None)


def last_agreed(session: Session, user_id: int, project_id: int) -> int | None:
    """Id of the newest version of the guidelines that the person has agreed to."""
    agreed = (
        select(Guideline.id)
        .join(Consent, Consent.guideline_id == Guideline.id)
        .where(Guideline.project_id == project_id, Consent.user_id == user_id)
        .order_by(Guideline.version.desc())
        .limit(1)
    )
    return session.scalar(agreed)


def locked_member(session: Session, now: datetime, user_id: int, project_id: int) -> Member:
    """The person's row in the project, made on first use, locked until the transaction ends."""
    asked = {"user": user_id, "project": project_id}
    found = session.scalars(MEMBER, asked).first()
    if found is not None:
        return found
    added(session, Member(user_id=user_id, project_id=project_id, joined_at=now))  # or by another tab in the meantime
    return session.scalars(MEMBER, asked).one()


def _seat(session: Session, user: User, project: Project, member: Member) -> Seat:
    return Seat(user, project, member, *agreement(session, user.id, project.id))
