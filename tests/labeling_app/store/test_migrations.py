"""The migrations make the tables that the code knows, from nothing and again."""

from datetime import timedelta

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import bindparam, inspect, select, text

from labeling_app.store import Database
from labeling_app.store.migrate import configuration, migrate
from labeling_app.store.tables import Base, Item, Moment, Note
from rlhf.errors import ConfigError
from tests.labeling_app.clock import Clock
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, people


def test_a_migrated_database_has_exactly_the_tables_of_the_code(database: Database) -> None:
    migrate(database)  # a second time changes nothing
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_way_back_leaves_nothing(database: Database) -> None:
    to(database, "base")
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(database)


def test_notes_move_to_the_showing_at_which_they_were_written(database: Database, clock: Clock) -> None:
    project, (ana, ben) = a_project(database, items=2), people(database, 2)
    with database.read() as session:
        one, other = session.scalars(select(Item.id).order_by(Item.id))
    first = judge(database, one, ana, choice(1), seconds=0)
    of_ben = judge(database, other, ben, choice(1), seconds=0)
    clock.forward(minutes=1)
    asked = clock()
    clock.forward(minutes=1)
    judge(database, one, ana, choice(-1), order=(1, 0), repeat_of=first, seconds=0)
    clock.forward(minutes=1)
    answered = clock()
    to(database, "0001")
    written = [(one, ana, asked, "first?"), (one, ana, answered, "yes"), (other, ben, asked - timedelta(days=9), "?")]
    with database.write() as session:
        insert = text(
            "INSERT INTO note (project_id, item_id, annotator_id, author_id, text, created_at)"
            " VALUES (:project, :item, :user, :user, :text, :at)"
        ).bindparams(bindparam("at", type_=Moment()))
        for item, user, at, words in written:
            session.execute(insert, {"project": project, "item": item, "user": user, "text": words, "at": at})
    migrate(database)
    with database.read() as session:
        found = [(note.assignment_id, note.text) for note in session.scalars(select(Note).order_by(Note.id))]
    assert found == [(first, "first?"), (first, "yes"), (of_ben, "?")]
    to(database, "0001")
    with database.engine.connect() as connection:
        back = connection.execute(text("SELECT item_id, annotator_id, text FROM note ORDER BY id")).all()
    assert [tuple(row) for row in back] == [(item, user, words) for item, user, _, words in written]
    migrate(database)


def to(database: Database, version: str) -> None:
    """Go back to an earlier version."""
    with database.write() as session:
        command.downgrade(configuration(session.connection()), version)


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="version 9999"):
        migrate(database)
