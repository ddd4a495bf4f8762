"""The migrations make the tables that the code knows, from nothing and again."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from labeling_app.store import Database
from labeling_app.store.migrate import configuration, migrate
from labeling_app.store.tables import Base
from rlhf.errors import ConfigError


def test_a_migrated_database_has_exactly_the_tables_of_the_code(database: Database) -> None:
    migrate(database)  # a second time changes nothing
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_way_back_leaves_nothing(database: Database) -> None:
    with database.write() as session:
        command.downgrade(configuration(session.connection()), "base")
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(database)


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="version 9999"):
        migrate(database)
