"""The real application over a real SQLite file, and the people who come to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labeling_app.store import Database
from labeling_app.store.tables import Role
from tests.labeling_app.clock import Clock
from tests.labeling_app.web.lead.visiting import Site
from tests.labeling_app.web.running import Server, account, running


@pytest.fixture
def site(sqlite_database: Database, clock: Clock) -> Iterator[Site]:
    """A site with the lead dora, and the annotator ana."""
    account(sqlite_database, "dora", Role.lead)
    account(sqlite_database, "ana")
    site = Site(sqlite_database, clock)
    yield site
    site.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server in a process of its own, with the lead dora."""
    with running(f"sqlite:///{tmp_path / 'labels.db'}") as server:
        account(server.database, "dora", Role.lead)
        yield server
