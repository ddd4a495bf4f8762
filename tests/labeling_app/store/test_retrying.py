"""Two transactions that wait for each other: the one that is given up runs again."""

import threading

import pytest
from sqlalchemy import update

from labeling_app.errors import Conflict, Unavailable
from labeling_app.store import Database
from labeling_app.store.retrying import ATTEMPTS, retried
from labeling_app.store.tables import Project
from tests.labeling_app.made import a_project


def both_ways(database: Database, first: int, second: int) -> list[BaseException]:
    """Two threads that close two projects in opposite order, at the same time; what went wrong."""
    meet = threading.Barrier(2)
    errors: list[BaseException] = []

    @retried
    def close(one: int, other: int, tries: list[int]) -> None:
        with database.write() as session:
            session.execute(update(Project).where(Project.id == one).values(slots_total=Project.slots_total + 1))
            if not tries:
                tries.append(1)
                meet.wait(60)  # now each holds what the other is about to want
            session.execute(update(Project).where(Project.id == other).values(slots_total=Project.slots_total + 1))

    def guarded(one: int, other: int) -> None:
        try:
            close(one, other, [])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_deadlock_is_no_news(database: Database) -> None:
    first, second = a_project(database), a_project(database)
    assert both_ways(database, first, second) == []
    with database.read() as session:
        assert [session.get_one(Project, project).slots_total for project in (first, second)] == [2, 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_can_not_be_serialised_is_a_conflict(database: Database) -> None:
    project = a_project(database)
    with pytest.raises(Conflict, match="at once"), database.read() as session:  # one state throughout
        session.get_one(Project, project)
        with database.write() as other:
            other.get_one(Project, project).slots_total = 5
        session.execute(update(Project).where(Project.id == project).values(slots_total=7))


def test_it_ends_at_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labeling_app.store.retrying.FIRST_WAIT_SECONDS", 0.001)
    tried = []

    @retried
    def never() -> None:
        tried.append(1)
        raise Conflict("again")

    with pytest.raises(Conflict):
        never()
    assert len(tried) == ATTEMPTS


def test_other_errors_are_not_tried_again() -> None:
    tried = []

    @retried
    def full() -> None:
        tried.append(1)
        raise Unavailable("full")

    with pytest.raises(Unavailable):
        full()
    assert len(tried) == 1
