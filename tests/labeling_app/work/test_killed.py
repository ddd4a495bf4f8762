"""The server is killed ten times while people answer: what was acknowledged is there, and nothing twice."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from labeling_app.store.database import utc_now
from labeling_app.store.tables import Assignment, AssignmentStatus, Item, Label
from tests.labeling_app.made import a_project, people
from tests.labeling_app.work.crowd import stored

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_killed_ten_times(database, database_url):
    database.now = utc_now  # the processes go by the real clock
    project, users = a_project(database, items=3_000, overlap=2), people(database, 4)
    draw, acknowledged = random.Random(0), []
    for run in range(10):
        command = [sys.executable, "-m", "tests.labeling_app.work.killed", database_url, str(project), str(run)]
        with subprocess.Popen([*command, *map(str, users)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
            assert server.stdout is not None
            # Killed after a few answers, at a moment that nobody chose.
            lines = [server.stdout.readline() for _ in range(draw.randrange(5, 40))]
            server.kill()
            lines += server.stdout.readlines()
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]
        missing = set(acknowledged) - set(stored(database))
        assert not missing
    found = Counter(stored(database))
    assert max(found.values()) == 1
    # Beyond what was acknowledged there may be the answers that were committed when the kill came: one for each person.
    assert len(acknowledged) <= len(found) <= len(acknowledged) + 10 * len(users)
    with database.read() as session:
        twice = select(Label.item_id).group_by(Label.item_id, Label.user_id).having(func.count() > 1)
        assert session.scalars(twice).all() == []
        held = select(Assignment.item_id, func.count().label("held")).where(
            Assignment.status.in_((AssignmentStatus.open, AssignmentStatus.done))
        )
        held = held.group_by(Assignment.item_id).subquery()
        slots = select(Item.open_slots, held.c.held).join(held, held.c.item_id == Item.id)
        assert {open_slots + taken for open_slots, taken in session.execute(slots)} == {2}
