"""What a transaction sees, and what it says of texts that no database takes."""

import pytest
from sqlalchemy import func, select

from labeling_app.errors import Refused
from labeling_app.store import Database
from labeling_app.store.tables import Project
from tests.labeling_app.made import a_project


def test_a_reading_transaction_sees_one_state_throughout(database: Database) -> None:
    a_project(database)
    count = select(func.count()).select_from(Project)
    with database.read() as session:
        assert session.scalar(count) == 1
        a_project(database)
        assert session.scalar(count) == 1
    with database.read() as session:
        assert session.scalar(count) == 2


@pytest.mark.parametrize("text", ["half \ud800 of a pair", "NUL \0"])
def test_a_text_that_can_not_be_stored_is_refused(database: Database, text: str) -> None:
    if database.is_sqlite and "\0" in text:
        with database.write() as session:  # SQLite keeps it as it is
            session.add(Project(name=text, mode="comparison", settings={}, created_at=database.now()))
        with database.read() as session:
            assert session.scalar(select(Project.name)) == text
        return
    for columns in ({"name": text, "settings": {}}, {"name": "fine", "settings": {"rationale": text}}):
        if database.is_sqlite and columns["name"] == "fine":
            continue  # as JSON it is written in ASCII
        with pytest.raises(Refused, match="can't be stored"), database.write() as session:
            session.add(Project(mode="comparison", created_at=database.now(), **columns))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Project)) == 0
