"""A full disk, a file that can't be written, one that another program holds: said clearly, and nothing is lost."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, select

from labeling_app.errors import Unavailable
from labeling_app.store import Database
from labeling_app.store.tables import Label, Project
from tests.labeling_app.made import a_project, people

ROOT = Path(__file__).parents[3]
ANSWERS_ON_A_FULL_DISK = """
import resource, sys
from labeling_app.errors import Unavailable
from labeling_app.store import Database
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
url, project, user, most = sys.argv[1], *map(int, sys.argv[2:])
database = Database(url)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    while True:
        task = next_task(database, user, project)
        name = f"answer-{task.assignment_id}"
        submit(database, user, task.assignment_id, {"kind": "choice", "strength": 1}, name, seconds=1)
        print(name, flush=True)
except Unavailable as error:
    print(f"refused: {error.message} {error.remedy}", flush=True)
with database.read() as session:  # what is there can still be read
    print("read", flush=True)
"""


def test_when_files_can_grow_no_more_nothing_acknowledged_is_lost(sqlite_database: Database) -> None:
    database = sqlite_database
    project, (user,) = a_project(database, items=2_000), people(database, 1)
    database.engine.dispose()  # the log is written back, so that its file begins anew
    size = Path(str(database.path)).stat().st_size
    command = [sys.executable, "-c", ANSWERS_ON_A_FULL_DISK, str(database.url), str(project), str(user)]
    done = subprocess.run([*command, str(size + 100_000)], capture_output=True, text=True, cwd=ROOT, check=True)
    *acknowledged, refused, read = done.stdout.splitlines()
    assert acknowledged and refused.startswith("refused: The database can't be used: ") and read == "read"
    assert "nothing was stored" in refused and "disk" in refused
    with database.read() as session:
        assert list(session.scalars(select(Label.submission_id).order_by(Label.id))) == acknowledged
    with closing(sqlite3.connect(str(database.path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_can_not_be_written(sqlite_database: Database) -> None:
    project = a_project(sqlite_database)
    sqlite_database.engine.dispose()

    @event.listens_for(sqlite_database.engine, "connect")
    def _read_only(connection, record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA query_only=ON")  # as the rights of a file are not root's concern

    with pytest.raises(Unavailable, match="readonly") as raised, sqlite_database.write() as session:
        session.get_one(Project, project).slots_total = 7
    assert "write to the file and its folder" in raised.value.remedy
    with sqlite_database.read() as session:
        assert session.get_one(Project, project).slots_total == 0


def test_a_file_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labeling_app.store.database.PATIENCE_SECONDS", 0.1)
    from labeling_app.store.migrate import migrate

    database = Database(f"sqlite:///{tmp_path / 'labels.db'}")
    migrate(database)
    project = a_project(database)
    with closing(sqlite3.connect(tmp_path / "labels.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with database.read() as session:  # readers never wait
            assert session.get_one(Project, project).slots_total == 0
        with pytest.raises(Unavailable) as raised, database.write() as session:
            session.get_one(Project, project).slots_total = 7
        assert "another program" in raised.value.remedy and "nothing was stored" in raised.value.remedy
        other.execute("ROLLBACK")
    with database.write() as session:
        session.get_one(Project, project).slots_total = 7
    database.close()


def test_a_server_that_went_away(tmp_path: Path) -> None:
    database = Database(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable, match="can't be used") as raised, database.read() as session:
        session.get(Project, 1)
    assert "the server runs" in raised.value.remedy
    database.close()
