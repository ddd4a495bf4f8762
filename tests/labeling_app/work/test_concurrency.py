"""Many at once: an item is never in more hands than its overlap, and nothing that was acknowledged is lost."""

import threading

import pytest
from sqlalchemy import event, text

from labeling_app.errors import Unavailable
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Task
from tests.labeling_app.made import a_project, people
from tests.labeling_app.work.crowd import Crowd, check_whole, stored
from tests.labeling_app.work.test_claims import A_BETTER, slots, take


def assert_that_a_crowd_judges_everything_once(database, people_at_once: int, items: int, overlap: int) -> None:
    project, users = a_project(database, items=items, overlap=overlap), people(database, people_at_once)
    crowd = Crowd(database, project)
    crowd.work(users)
    # Whoever found everything else in others' hands went home; who comes back finds what was left.
    for user in users:
        crowd.guarded(user, 10**9)
    assert crowd.errors == []
    assert sorted(crowd.acknowledged) == sorted(stored(database)) and len(set(crowd.acknowledged)) == items * overlap
    assert max(crowd.handed.values()) == 1
    assert 0 < crowd.most_held <= overlap
    check_whole(database, overlap)


def test_ten_annotators_on_sixty_items(database):
    assert_that_a_crowd_judges_everything_once(database, people_at_once=10, items=60, overlap=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_annotators_on_two_thousand_items(database):
    assert_that_a_crowd_judges_everything_once(database, people_at_once=50, items=2_000, overlap=3)


def test_two_people_and_one_slot(database):
    project, users = a_project(database, items=1), people(database, 8)
    start, got = threading.Barrier(8), []

    def claim(user: int) -> None:
        start.wait()
        got.append(next_task(database, user, project))

    threads = [threading.Thread(target=claim, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8 and sum(isinstance(one, Task) for one in got) == 1 and slots(database, project) == [0]


def test_one_person_in_several_tabs(database):
    project, (user,) = a_project(database, items=5), people(database, 1)
    start, got = threading.Barrier(6), []

    def claim() -> None:
        start.wait()
        got.append(next_task(database, user, project))

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 6 and len({one.assignment_id for one in got}) == 1 and sum(slots(database, project)) == 4


def test_a_full_disk_is_said_and_leaves_the_store_whole(sqlite_database):
    database = sqlite_database
    project, (user,) = a_project(database, items=2, rationale="optional"), people(database, 1)
    task = take(database, user, project)
    fields = A_BETTER | {"rationale": "x" * 20_000}
    with database.engine.connect() as connection:
        used = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.rollback()
    for size, full in ((used, True), (used + 1_000, False)):
        limit_pages(database, size)
        if full:
            with pytest.raises(Unavailable, match="full"):
                submit(database, user, task.assignment_id, fields, "s", seconds=1)
            assert stored(database) == [] and take(database, user, project).assignment_id == task.assignment_id
        else:
            submit(database, user, task.assignment_id, fields, "s", seconds=1)
    assert stored(database) == ["s"]
    with database.read() as session:
        assert session.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


def limit_pages(database, pages: int) -> None:
    """SQLite's own limit on the size of a file: beyond it a write fails as on a full disk."""
    database.engine.dispose()

    @event.listens_for(database.engine, "connect")
    def _limit(connection, record):
        connection.execute(f"PRAGMA max_page_count={pages}")
