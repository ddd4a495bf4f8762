"""The stores that the tests run on: a SQLite file, and a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from tests.labeling_app.clock import Clock
from tests.labeling_app.postgresql import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a worker."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until a test moves it."""
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'labels.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def sqlite_database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    """A migrated SQLite store, for what only a file can suffer."""
    database = Database(f"sqlite:///{tmp_path / 'labels.db'}", now=clock)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def database(database_url: str, clock: Clock) -> Iterator[Database]:
    """A migrated store of each kind, whose clock the test moves."""
    database = Database(database_url, now=clock)
    migrate(database)
    yield database
    database.close()
