"""Logging in and out. Wrong passwords make the next attempt wait (`throttle.py`)."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from labeling_app.accounts.browsers import known_as
from labeling_app.accounts.passwords import hasher, verify_password
from labeling_app.accounts.throttle import count_attempt, forgive, keys_of, name_key
from labeling_app.accounts.tokens import hash_of, new_token
from labeling_app.errors import NotAllowed, Unavailable
from labeling_app.store import Database
from labeling_app.store.tables import Role, Session, User

IDLE, ABSOLUTE = timedelta(hours=12), timedelta(days=14)
SEEN_EVERY = timedelta(minutes=1)  # how exactly the time of the last request is kept


@dataclass(frozen=True)
class Person:
    """Who a request comes from."""

    id: int
    name: str
    role: Role


def log_in(database: Database, name: str, password: str, address: str, browser: str | None = None) -> str:
    """A session's token.

    Args:
        address: where the request comes from.
        browser: the token that the browser got when somebody logged in there before (`browsers.remember`).

    Raises:
        Throttled: wrong attempts came before it, and their wait isn't over.
        NotAllowed: name or password are wrong (which of them isn't told), or the account is paused.
    """
    name = name.strip().casefold()
    with database.read() as transaction:
        user = transaction.scalars(select(User).where(User.name == name, User.forgotten_at.is_(None))).first()
        known = known_as(transaction, database, user.id, browser) if user else None
    keys = keys_of(name, address, known)
    attempts = count_attempt(database, keys)
    # Outside of any transaction: hashing takes long, and nobody else is to wait for it.
    right = verify_password(user.password_hash if user else None, password)
    if user is None or not right:
        raise NotAllowed("Name or password are wrong.", remedy="try again, or ask the lead for a new link.")
    with database.write() as transaction:
        # Never an address's: whoever has one account would be free to guess for all others.
        forgive(transaction, attempts, [key for key in keys if known or key == name_key(name)])
        if user.paused_at is None:
            _rehash(transaction, user.id, user.password_hash, password)
            return _open(transaction, user.id, database.now())
    raise NotAllowed("This account is paused.", remedy="ask the lead; nothing of yours is lost.")


def user_of(database: Database, token: str) -> Person | None:
    """Who a token belongs to; None for one that is unknown, has expired, or whose person may not work."""
    with database.read() as transaction:
        now = database.now()
        found = transaction.execute(
            select(Session, User).join(User, User.id == Session.user_id).where(Session.token_hash == hash_of(token))
        ).first()
        if found is None:
            return None
        session, user = found
        if session.expires_at <= now or session.seen_at + IDLE <= now:
            return None
        if user.paused_at is not None or user.forgotten_at is not None:
            return None
    if now - session.seen_at >= SEEN_EVERY:
        # On a full disk nothing can be noted, but what is there can still be read.
        with suppress(Unavailable), database.write() as transaction:
            again = transaction.get(Session, session.token_hash)
            if again is not None:
                again.seen_at = now
    return Person(user.id, user.name, user.role)


def log_out(database: Database, token: str) -> None:
    """End a session; one that is unknown has ended already."""
    with database.write() as transaction:
        transaction.execute(delete(Session).where(Session.token_hash == hash_of(token)))


def end_sessions(transaction: Transaction, user_id: int) -> None:
    """Log a person out everywhere."""
    transaction.execute(delete(Session).where(Session.user_id == user_id))


def _open(transaction: Transaction, user_id: int, now: datetime) -> str:
    transaction.execute(delete(Session).where(Session.expires_at <= now))
    token = new_token()
    transaction.add(
        Session(token_hash=hash_of(token), user_id=user_id, created_at=now, seen_at=now, expires_at=now + ABSOLUTE)
    )
    return token


def _rehash(transaction: Transaction, user_id: int, stored: str | None, password: str) -> None:
    """Bring an old hash to today's parameters, now that the password is at hand."""
    if stored is not None and hasher().check_needs_rehash(stored):
        transaction.get_one(User, user_id).password_hash = hasher().hash(password)
