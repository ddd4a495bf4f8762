"""Browsers in which a person has logged in before. Knowing one lets nobody in: it only keeps others' guesses apart.

A browser is named by a random token in a cookie of its own, which outlives sessions; only its hash is stored.
"""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from labeling_app.accounts.tokens import hash_of, new_token
from labeling_app.store import Database
from labeling_app.store.adding import added
from labeling_app.store.tables import KnownBrowser

REMEMBERED = timedelta(days=180)  # since the last login there
MOST_OF_ONE = 20


def known_as(transaction: Transaction, database: Database, user_id: int, token: str | None) -> str | None:
    """What names this person in this browser; None for a browser in which they never logged in."""
    if not token:
        return None
    found = transaction.get(KnownBrowser, (hash_of(token), user_id))
    if found is None or found.seen_at + REMEMBERED <= database.now():
        return None
    return f"{found.token_hash}/{user_id}"


def remember(database: Database, user_id: int, token: str | None) -> str:
    """Note that a person has logged in; returns the browser's token, a new one unless it has one of ours."""
    with database.write() as transaction:
        now = database.now()
        transaction.execute(delete(KnownBrowser).where(KnownBrowser.seen_at <= now - REMEMBERED))
        ours = select(KnownBrowser.token_hash).where(KnownBrowser.token_hash == hash_of(token or "")).limit(1)
        if token is None or transaction.scalars(ours).first() is None:
            token = new_token()  # never one that somebody else chose
        there = transaction.get(KnownBrowser, (hash_of(token), user_id))
        if there is not None:
            there.seen_at = now
        else:  # or in another tab, at this moment
            added(transaction, KnownBrowser(token_hash=hash_of(token), user_id=user_id, seen_at=now))
        transaction.flush()
        _keep_newest(transaction, user_id)
        return token


def forget_browsers(transaction: Transaction, user_id: int) -> None:
    """Know none of a person's browsers any longer."""
    transaction.execute(delete(KnownBrowser).where(KnownBrowser.user_id == user_id))


def _keep_newest(transaction: Transaction, user_id: int) -> None:
    theirs = select(KnownBrowser).where(KnownBrowser.user_id == user_id)
    newest_first = theirs.order_by(KnownBrowser.seen_at.desc(), KnownBrowser.token_hash)
    for old in transaction.scalars(newest_first.offset(MOST_OF_ONE)).all():
        transaction.delete(old)
