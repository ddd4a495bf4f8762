"""Logging in and out. Wrong passwords are throttled by name and address, in the database: restarts forgive nothing."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session as Transaction

from labeling_app.accounts.passwords import hasher, verify_password
from labeling_app.accounts.tokens import hash_of, new_token
from labeling_app.errors import NotAllowed, Unavailable
from labeling_app.store import Database
from labeling_app.store.tables import LoginFailure, Role, Session, User

IDLE, ABSOLUTE = timedelta(hours=12), timedelta(days=14)
SEEN_EVERY = timedelta(minutes=1)  # how exactly the time of the last request is kept
WINDOW = timedelta(minutes=15)
# So many wrong passwords within the window are waited out: one person forgets, an office shares an address.
BY_NAME, BY_ADDRESS = 5, 30


@dataclass(frozen=True)
class Person:
    """Who a request comes from."""

    id: int
    name: str
    role: Role


def log_in(database: Database, name: str, password: str, address: str) -> str:
    """A session's token.

    Args:
        address: where the request comes from.

    Raises:
        NotAllowed: name or password are wrong (which of them isn't told), the account is paused, or there were too many
            attempts.
    """
    name = name.strip().casefold()
    attempts = _count_attempt(database, {f"name:{name[:80]}": BY_NAME, f"address:{address[:80]}": BY_ADDRESS})
    with database.read() as transaction:
        user = transaction.scalars(select(User).where(User.name == name, User.forgotten_at.is_(None))).first()
    # Outside of any transaction: hashing takes long, and nobody else is to wait for it.
    right = verify_password(user.password_hash if user else None, password)
    if user is None or not right:
        raise NotAllowed("Name or password are wrong.", remedy="try again, or ask the lead for a new link.")
    with database.write() as transaction:
        forgiven = (LoginFailure.id.in_(attempts), LoginFailure.key == f"name:{name}")
        transaction.execute(delete(LoginFailure).where(or_(*forgiven)))
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


def _count_attempt(database: Database, allowed: dict[str, int]) -> list[int]:
    """Count an attempt as a failure before it is looked at: many at once can't outrun the count. Returns its rows' ids.

    Raises:
        NotAllowed: there were too many already.
    """
    with database.write() as transaction:
        now = database.now()
        transaction.execute(delete(LoginFailure).where(LoginFailure.at <= now - WINDOW))
        for key, most in sorted(allowed.items()):
            database.one_at_a_time(transaction, key)
            failures = select(func.count()).where(LoginFailure.key == key)
            if (transaction.scalar(failures) or 0) >= most:
                minutes = int(WINDOW.total_seconds() // 60)
                remedy = f"wait up to {minutes} minutes, or ask the lead for a new link."
                raise NotAllowed("There were too many attempts.", remedy=remedy)
        counted = [LoginFailure(key=key, at=now) for key in allowed]
        transaction.add_all(counted)
        transaction.flush()
        return [one.id for one in counted]


def _rehash(transaction: Transaction, user_id: int, stored: str | None, password: str) -> None:
    """Bring an old hash to today's parameters, now that the password is at hand."""
    if stored is not None and hasher().check_needs_rehash(stored):
        transaction.get_one(User, user_id).password_hash = hasher().hash(password)
