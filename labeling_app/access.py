"""Who may do what. Every verb asks here, within its own transaction, and believes nothing that a browser says."""

from sqlalchemy.orm import Session

from labeling_app.errors import NotAllowed
from labeling_app.store import Database
from labeling_app.store.tables import Role, User


def known_user(session: Session, user_id: int) -> User:
    """A person who is there, paused or not.

    Raises:
        NotAllowed: there is no such person, or they asked to be forgotten.
    """
    user = session.get(User, user_id)
    if user is None or user.forgotten_at is not None:
        raise NotAllowed("This account can't be used.", remedy="log in again, or ask the lead for an account.")
    return user


def require_user(session: Session, user_id: int) -> User:
    """A person who may work.

    Raises:
        NotAllowed: there is no such person, they are paused, or they asked to be forgotten.
    """
    user = known_user(session, user_id)
    if user.paused_at is not None:
        reason = f" The reason: {user.paused_reason}" if user.paused_reason else ""
        raise NotAllowed(f"Your account is paused.{reason}", remedy="ask the lead; nothing of yours is lost.")
    return user


def require_lead(session: Session, actor_id: int | None) -> User | None:
    """A lead who may work; None stands for the command line, whose user has the file or the server anyway.

    Raises:
        NotAllowed: it is neither.
    """
    if actor_id is None:
        return None
    user = require_user(session, actor_id)
    if user.role is not Role.lead:
        raise NotAllowed("Only a lead may do this.", remedy="ask the lead to do it, or to make you one.")
    return user


def leads(database: Database, user_id: int) -> bool:
    """Whether a person is a lead; what a lead may do, `require_lead` decides."""
    with database.read() as session:
        user = session.get(User, user_id)
        return user is not None and user.role is Role.lead
