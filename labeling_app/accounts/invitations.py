"""One-time links by which a person sets a password: to come in first, or after having lost it."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.accounts.passwords import hash_password
from labeling_app.accounts.people import find
from labeling_app.accounts.sessions import end_sessions
from labeling_app.accounts.throttle import name_key
from labeling_app.accounts.tokens import hash_of, new_token
from labeling_app.errors import NotFound
from labeling_app.store import Database
from labeling_app.store.tables import Invitation, LoginFailure, User

VALID = timedelta(days=7)


def invite(database: Database, actor_id: int | None, user_id: int) -> str:
    """The token of a new link; older ones of the same person end with it.

    Raises:
        NotAllowed: the actor is no lead.
        NotFound: there is no such person.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        find(session, user_id)
        now, token = database.now(), new_token()
        session.execute(delete(Invitation).where(Invitation.user_id == user_id, Invitation.used_at.is_(None)))
        session.add(
            Invitation(
                token_hash=hash_of(token),
                user_id=user_id,
                created_by=actor_id,
                created_at=now,
                expires_at=now + VALID,
            )
        )
        audit.record(session, now, actor_id, "person.invite", person=user_id)
        return token


def look(database: Database, token: str) -> str:
    """The name of the person that a link is for.

    Raises:
        NotFound: it is unknown, used, or has expired.
    """
    with database.read() as session:
        return _usable(session, database, token)[1].name


def accept(database: Database, token: str, password: str) -> int:
    """Set the password; the link is used up, and every older session of the person ends. Returns their id.

    Raises:
        NotFound: the link is unknown, used, or has expired.
        Refused: the password isn't acceptable.
    """
    hashed = hash_password(password, look(database, token))  # outside of the transaction: it takes long
    with database.write() as session:
        invitation, user = _usable(session, database, token)
        invitation.used_at = database.now()
        user.password_hash = hashed
        end_sessions(session, user.id)
        session.execute(delete(LoginFailure).where(LoginFailure.key == name_key(user.name)))
        return user.id


def _usable(session: Transaction, database: Database, token: str) -> tuple[Invitation, User]:
    found = session.execute(
        select(Invitation, User)
        .join(User, User.id == Invitation.user_id)
        .where(
            Invitation.token_hash == hash_of(token),
            Invitation.used_at.is_(None),
            Invitation.expires_at > database.now(),
            User.forgotten_at.is_(None),
        )
        .with_for_update()
    ).first()
    if found is None:
        raise NotFound("This link is used up or has expired.", remedy="ask the lead for a new one.")
    return found[0], found[1]
