"""People: who is there, who is paused, and who asked to be forgotten."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.accounts.sessions import end_sessions
from labeling_app.errors import NotFound, Refused
from labeling_app.store import Database
from labeling_app.store.adding import added
from labeling_app.store.retrying import retried
from labeling_app.store.tables import Assignment, AssignmentStatus, Member, Role, User
from labeling_app.work.supply import give_slot_back

LONGEST_NAME, LONGEST_REASON = 80, 500


@dataclass(frozen=True)
class PersonLine:
    """A person in a lead's list; `answered` counts their answers in all projects."""

    id: int
    name: str
    pseudonym: str
    role: Role
    has_password: bool
    paused_reason: str | None
    withheld: bool
    answered: int
    created_at: datetime


def create_person(database: Database, actor_id: int | None, name: str, role: Role) -> int:
    """The id of a new person, who comes in by an invitation.

    Raises:
        NotAllowed: the actor is no lead.
        Refused: the name is empty, too long, or taken.
    """
    name = name.strip().casefold()
    with database.write() as session:
        require_lead(session, actor_id)
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise Refused(f"A name has 1 to {LONGEST_NAME} printable characters.", remedy="choose another one.")
        user = User(name=name, pseudonym=new_pseudonym(session), role=role, created_at=database.now())
        if not added(session, user):
            raise Refused(f"There is somebody called {name!r} already.", remedy="choose another name.")
        audit.record(session, database.now(), actor_id, "person.create", person=user.id, role=role.value)
        return user.id


def list_people(database: Database, actor_id: int | None) -> list[PersonLine]:
    """Everybody but the forgotten, by name."""
    answered = select(Member.user_id, func.sum(Member.answered).label("n")).group_by(Member.user_id).subquery()
    with database.read() as session:
        require_lead(session, actor_id)
        found = (
            select(User, answered.c.n)
            .outerjoin(answered, answered.c.user_id == User.id)
            .where(User.forgotten_at.is_(None))
            .order_by(User.name)
        )
        return [_line(user, count or 0) for user, count in session.execute(found)]


def find_person(database: Database, actor_id: int | None, name: str) -> int:
    """The id of somebody by name.

    Raises:
        NotFound: there is nobody of that name.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        wanted = select(User.id).where(User.name == name.strip().casefold(), User.forgotten_at.is_(None))
        found = session.scalars(wanted).first()
        if found is None:
            raise NotFound(f"There is nobody called {name!r}.", remedy="`users list` shows who is there.")
        return found


@retried
def pause(database: Database, actor_id: int | None, user_id: int, reason: str, *, withhold: bool = False) -> None:
    """Let somebody work no longer: their sessions end, and what they hold goes to others.

    Args:
        reason: shown to them.
        withhold: leave their labels out of exports.

    Raises:
        NotAllowed: the actor is no lead.
        NotFound: there is no such person.
        Refused: the reason is missing, or a lead pauses themselves.
    """
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise Refused(f"A reason has 1 to {LONGEST_REASON} characters.", remedy="say why, in a sentence.")
    with database.write() as session:
        require_lead(session, actor_id)
        if actor_id == user_id:
            raise Refused("You can't pause yourself.", remedy="ask another lead.")
        user, now = find(session, user_id), database.now()
        user.paused_at, user.paused_reason, user.withheld = now, reason, withhold
        end_sessions(session, user_id)
        _give_back(session, user_id)
        audit.record(session, now, actor_id, "person.pause", person=user_id, reason=reason, withhold=withhold)


@retried
def resume(database: Database, actor_id: int | None, user_id: int) -> None:
    """Let somebody work again, and count their labels."""
    with database.write() as session:
        require_lead(session, actor_id)
        user = find(session, user_id)
        user.paused_at, user.paused_reason, user.withheld = None, None, False
        audit.record(session, database.now(), actor_id, "person.resume", person=user_id)


@retried
def change_role(database: Database, actor_id: int | None, user_id: int, role: Role) -> None:
    """Make somebody a lead, or an annotator again; from now on, whatever page they have open.

    Raises:
        NotAllowed: the actor is no lead.
        NotFound: there is no such person.
        Refused: a lead changes their own role.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        if actor_id == user_id:
            raise Refused("You can't change your own role.", remedy="ask another lead.")
        user = find(session, user_id)
        if user.role is not role:
            audit.record(
                session, database.now(), actor_id, "person.role", person=user_id, role=[user.role.value, role.value]
            )
            user.role = role


def log_out(database: Database, actor_id: int | None, user_id: int) -> None:
    """End somebody's sessions, on all of their devices; they can log in again.

    Raises:
        NotAllowed: the actor is no lead.
        NotFound: there is no such person.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        find(session, user_id)
        end_sessions(session, user_id)
        audit.record(session, database.now(), actor_id, "person.log_out", person=user_id)


def find(session: Session, user_id: int) -> User:
    """A person who is not forgotten.

    Raises:
        NotFound: there is none.
    """
    user = session.get(User, user_id)
    if user is None or user.forgotten_at is not None:
        raise NotFound("There is no such person.", remedy="choose one from the list.")
    return user


def _give_back(session: Session, user_id: int) -> None:
    """End what somebody holds unanswered."""
    held = select(Assignment).where(Assignment.user_id == user_id, Assignment.status == AssignmentStatus.open)
    for assignment in session.scalars(held.order_by(Assignment.item_id).with_for_update()).all():
        assignment.status = AssignmentStatus.expired
        give_slot_back(session, assignment)


def new_pseudonym(session: Session) -> str:
    """A name for exports that tells nothing, and that nobody has."""
    while True:
        drawn = f"annotator-{secrets.token_hex(4)}"
        if session.scalars(select(User.id).where(User.pseudonym == drawn)).first() is None:
            return drawn


def _line(user: User, answered: Any) -> PersonLine:
    return PersonLine(
        id=user.id,
        name=user.name,
        pseudonym=user.pseudonym,
        role=user.role,
        has_password=user.password_hash is not None,
        paused_reason=user.paused_reason if user.paused_at else None,
        withheld=user.withheld,
        answered=int(answered),
        created_at=user.created_at,
    )
