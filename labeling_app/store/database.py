"""Transactions on SQLite or PostgreSQL, by the same code.

SQLite runs in WAL mode with full synchronisation: readers never wait, and what was committed survives a power cut. It
has one writer at a time, so a transaction that writes says so when it begins: one that turned from reading to writing
midway could fail with "database is locked" at once, whatever its patience. Threads of one process queue for it at a
lock of ours, as SQLite's own waiting polls, which is unfair and slow; other processes wait by its patience.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DataError, NoSuchModuleError, OperationalError, TimeoutError
from sqlalchemy.orm import Session

from labeling_app.errors import Conflict, Refused, Unavailable
from rlhf.errors import ConfigError, MissingDependencyError

PATIENCE_SECONDS = 30.0
# Together below the 100 connections that PostgreSQL allows by default.
POOL_SIZE, POOL_OVERFLOW = 20, 60
# PostgreSQL's codes for a transaction that it gave up: could not be serialised, deadlock.
GIVEN_UP = frozenset({"40001", "40P01"})
# What SQLite says, and what to do about it.
REMEDIES = (
    ("database is locked", "another program has been writing to the file for long: end it, and try again"),
    ("readonly database", "let the server's user write to the file and its folder, and try again"),
    ("disk is full", "make room on the disk, and try again"),
    ("disk I/O error", "see that the disk has room and works, and try again"),
    ("unable to open database file", "see that its folder is there and can be written to, and try again"),
)
OTHER_REMEDY = "see that the disk has room and the server runs, and try again"
NOTHING_STORED = "; nothing was stored."

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """A store of labels.

    Attributes:
        url: where it is.
        now: the clock that all verbs go by.
    """

    def __init__(self, url: str, now: Callable[[], datetime] = utc_now):
        """
        Args:
            url: `sqlite:///labels.db`, or `postgresql+psycopg://user@host/name`; a bare path is a SQLite file.
            now: the clock.

        Raises:
            ConfigError: the URL is of another database, or can't be read.
            MissingDependencyError: the driver isn't installed.
        """
        self.url = as_url(url)
        self.now = now
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        # By default each of PostgreSQL's statements sees what was committed before it; SQLite's see what the first did.
        self._reading = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._writing = self.engine.execution_options(writes=True)
        self._writer: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that writes nothing; it sees one state of the store throughout."""
        with _translated(), Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end, or undone where anything was raised.

        Raises:
            Unavailable: it could not be committed; nothing of it is stored.
            Refused: a text holds what the database can't store.
        """
        with _translated(), self._writer, Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def one_at_a_time(self, session: Session, what: str) -> None:
        """Let no other transaction pass here for the same thing until this one ends. SQLite writes so anyway."""
        if not self.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def as_url(url: str) -> sqlalchemy.URL:
    """A database URL; a bare path is a SQLite file."""
    try:
        found = make_url(url if "://" in url else f"sqlite:///{url}")
    except ArgumentError as error:
        raise ConfigError(f"{url!r} is no database URL: {error}", remedy=_KNOWN) from error
    if found.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"{found.get_backend_name()} databases are not supported.", remedy=_KNOWN)
    if found.get_backend_name() == "sqlite" and found.database in (None, "", ":memory:"):
        raise ConfigError("Labels in memory would be lost.", remedy=_KNOWN)
    return found


_KNOWN = "use a path such as labels.db, or postgresql+psycopg://user@host/name."


def _sqlite(url: sqlalchemy.URL) -> Engine:
    arguments = {"check_same_thread": False, "timeout": PATIENCE_SECONDS}
    engine = sqlalchemy.create_engine(url, connect_args=arguments, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin as we say, not as the driver guesses
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            f"busy_timeout={PATIENCE_SECONDS * 1000:.0f}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: sqlalchemy.URL) -> Engine:
    try:
        return sqlalchemy.create_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingDependencyError("psycopg[binary]", "postgresql", "A PostgreSQL database") from error


@contextmanager
def _translated() -> Iterator[None]:
    """What the database refuses, as an error that a person can act on. A violated constraint is a mistake of ours.

    A driver's own words may name host, port and user: they go to the log, not into the error, which pages show.
    """
    try:
        yield
    except (DataError, UnicodeEncodeError) as error:
        raise Refused(
            "A character in this text can't be stored.",
            remedy="remove characters that can't be seen (NUL, or half of a pair), and try again.",
        ) from error
    except TimeoutError as error:
        raise Unavailable("The database is too busy.", remedy="try again in a moment" + NOTHING_STORED) from error
    except OperationalError as error:
        raise _unavailable(error) from error


def _unavailable(error: OperationalError) -> Unavailable:
    said = str(error.orig)
    if getattr(error.orig, "sqlstate", None) in GIVEN_UP:
        return Conflict("Too much happened at once.", remedy="try again in a moment" + NOTHING_STORED)
    log.error("The database can't be used: %s", said.strip())
    for words, remedy in REMEDIES:
        if words in said:
            return Unavailable(f"The database can't be used: {words}.", remedy=remedy + NOTHING_STORED)
    return Unavailable("The database can't be used.", remedy=OTHER_REMEDY + NOTHING_STORED)
