"""Figures that are kept: never older than ten seconds, and not computed for nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from labeling_app.accounts.people import pause
from labeling_app.errors import NotAllowed, NotFound
from labeling_app.lead.figures import Dashboard
from labeling_app.lead.imports import import_items
from labeling_app.lead.live import LiveFigures
from labeling_app.store import Database
from labeling_app.store.tables import ItemKind
from tests.labeling_app.clock import Clock
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_lead, a_project, add_items, people, some_items


@pytest.fixture
def counted() -> tuple[LiveFigures[int], list[int]]:
    """What is made are the numbers of judgements, and a list of all that were made."""
    made: list[int] = []

    def make(found: Dashboard) -> int:
        made.append(found.labels)
        return found.labels

    return LiveFigures(make), made


def test_they_follow_what_is_said_at_most_every_ten_seconds(
    sqlite_database: Database, clock: Clock, counted: tuple[LiveFigures[int], list[int]]
) -> None:
    live, made = counted
    lead, (ana,) = a_lead(sqlite_database), people(sqlite_database, 1)
    project = a_project(sqlite_database)
    first, second = add_items(sqlite_database, project, some_items(2))
    begun = clock()
    judge(sqlite_database, first, ana, choice(1))
    assert live.of(sqlite_database, lead, project) == (1, begun)
    judge(sqlite_database, second, ana, choice(1))
    clock.forward(seconds=9)
    assert live.of(sqlite_database, lead, project) == (1, begun)  # and says of when it is
    clock.forward(seconds=1)
    assert live.of(sqlite_database, lead, project) == (2, clock())
    clock.forward(hours=1)
    assert live.of(sqlite_database, lead, project) == (2, clock())  # nothing has changed since
    assert made == [1, 2]
    pause(sqlite_database, None, ana, "because", withhold=True)  # a lead's action is a change too
    assert live.of(sqlite_database, lead, project) == (0, clock())
    clock.forward(days=1)  # and so is midnight: "today" begins anew
    live.of(sqlite_database, lead, project)
    assert made == [1, 2, 0, 0]


def test_an_import_that_goes_on_is_followed(
    sqlite_database: Database,
    clock: Clock,
    counted: tuple[LiveFigures[int], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live, made = counted
    lead, project = a_lead(sqlite_database), a_project(sqlite_database)
    portions = []

    def pause_between(seconds: float) -> None:
        clock.forward(seconds=10)
        portions.append(live.of(sqlite_database, lead, project)[1])

    monkeypatch.setattr("labeling_app.lead.imports.AT_ONCE", 1)
    monkeypatch.setattr("labeling_app.lead.imports.time.sleep", pause_between)
    for kind, more in ((ItemKind.work, {}), (ItemKind.gold, {"expected": choice(1)})):
        rows = [row | more for row in some_items(2, start=len(portions))]
        import_items(sqlite_database, None, project, rows, kind=kind)
    assert len(portions) == 4 and len(made) == 4  # one entry in the audit log for each import, of two portions


def test_many_who_look_at_once_wait_for_one(
    sqlite_database: Database, counted: tuple[LiveFigures[int], list[int]]
) -> None:
    live, made = counted
    lead, project = a_lead(sqlite_database), a_project(sqlite_database)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: live.of(sqlite_database, lead, project), range(16)))
    assert made == [0]


def test_they_are_a_leads_and_of_a_project(
    sqlite_database: Database, counted: tuple[LiveFigures[int], list[int]]
) -> None:
    live, made = counted
    lead, (annotator,) = a_lead(sqlite_database), people(sqlite_database, 1)
    project = a_project(sqlite_database)
    live.of(sqlite_database, lead, project)
    with pytest.raises(NotFound):
        live.of(sqlite_database, lead, project + 1)
    with pytest.raises(NotAllowed):
        live.of(sqlite_database, annotator, project)  # though they are kept
    pause(sqlite_database, None, lead, "because")
    with pytest.raises(NotAllowed):
        live.of(sqlite_database, lead, project)
    assert made == [0]


def test_projects_that_nobody_looks_at_are_forgotten_first(
    sqlite_database: Database, counted: tuple[LiveFigures[int], list[int]]
) -> None:
    live, made = counted
    lead = a_lead(sqlite_database)
    projects = [a_project(sqlite_database) for _ in range(22)]
    for project in projects:
        live.of(sqlite_database, lead, project)
        live.of(sqlite_database, lead, projects[0])
    assert len(made) == 22
    live.of(sqlite_database, lead, projects[1])
    assert len(made) == 23
