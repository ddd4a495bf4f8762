"""Projects as a lead makes, changes, closes and finds them."""

import pytest
from sqlalchemy import select

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.lead import guidelines, projects
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry, Guideline, Item, ItemKind, Project
from tests.labeling_app.made import a_lead, add_items, checks, people, some_items


def made(database: Database, lead: int | None = None, name: str = "films", **settings: object) -> int:
    return projects.create_project(database, lead, name, "comparison", ProjectSettings(**settings), "# Be fair")


def actions(database: Database) -> list[tuple[int | None, str]]:
    with database.read() as session:
        return [(entry.actor_id, entry.action) for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]


def test_a_project_is_made_with_its_first_guidelines(database: Database) -> None:
    lead = a_lead(database)
    project = made(database, lead, overlap=3, axes=[{"name": "clarity"}])
    assert projects.project_settings(database, lead, project).axes[0].name == "clarity"
    (line,) = projects.list_projects(database, lead)
    assert (line.name, line.mode, line.settings.overlap, line.guideline_version) == ("films", "comparison", 3, 1)
    assert (line.work, line.gold, line.qualification, line.slots_total, line.closed_at) == (0, 0, 0, 0, None)
    assert actions(database) == [(lead, "project.create")]


@pytest.mark.parametrize(("name", "text"), [("", "x"), ("a" * 81, "x"), ("two\nlines", "x"), ("films", " \n ")])
def test_what_is_no_project_is_refused_and_nothing_is_stored(database: Database, name: str, text: str) -> None:
    with pytest.raises(Refused):
        projects.create_project(database, None, name, "comparison", ProjectSettings(), text)
    with database.read() as session:
        assert session.scalars(select(Project)).all() == [] and session.scalars(select(Guideline)).all() == []


def test_a_name_is_given_once(database: Database) -> None:
    made(database)
    with pytest.raises(Refused, match="films"):
        made(database, name=" films ")


def test_an_unknown_mode_is_refused(database: Database) -> None:
    with pytest.raises(Refused, match="essay"):
        projects.create_project(database, None, "films", "essay", ProjectSettings(), "text")  # type: ignore[arg-type]


def test_the_list_counts_the_items_of_each_project(database: Database) -> None:
    first, second = made(database, name="first", overlap=2), made(database, name="second")
    add_items(database, first, some_items(3))
    checks(database, first, [{"kind": "choice", "strength": 1}], ItemKind.gold)
    add_items(database, second, some_items(1))
    lines = projects.list_projects(database, None)
    assert [(line.name, line.work, line.gold, line.slots_total) for line in lines] == [
        ("second", 1, 0, 1),
        ("first", 3, 1, 6),
    ]


def test_another_overlap_moves_the_open_slots_of_work_alone(database: Database) -> None:
    project = made(database, overlap=3)
    fresh, judged = add_items(database, project, some_items(2))
    (gold,) = checks(database, project, [{"kind": "choice", "strength": 1}], ItemKind.gold)
    with database.write() as session:
        session.get_one(Item, judged).open_slots = 1  # two judged it

    def slots() -> list[tuple[int, int]]:
        with database.read() as session:
            found = [session.get_one(Item, item) for item in (fresh, judged, gold)]
            total = session.get_one(Project, project).slots_total
            return [(item.overlap, item.open_slots) for item in found] + [(total, 0)]

    projects.change_settings(database, None, project, ProjectSettings(overlap=5))
    assert slots() == [(5, 5), (5, 3), (0, 0), (10, 0)]
    projects.change_settings(database, None, project, ProjectSettings(overlap=1))
    assert slots() == [(1, 1), (1, -1), (0, 0), (2, 0)]


def test_a_change_is_told_to_the_audit(database: Database) -> None:
    project = made(database, overlap=1)
    projects.change_settings(database, None, project, ProjectSettings(overlap=2, gold_share=0.1))
    with database.read() as session:
        detail = session.scalars(select(AuditEntry.detail).order_by(AuditEntry.id.desc())).first()
    assert detail == {"project": project, "changed": {"overlap": [1, 2], "gold_share": [0.0, 0.1]}}


def test_closing_and_reopening_twice_is_told_once(database: Database) -> None:
    project = made(database)
    for verb in (projects.close, projects.close, projects.reopen, projects.reopen):
        verb(database, None, project)
    assert [action for _, action in actions(database)] == ["project.create", "project.close", "project.reopen"]
    assert projects.list_projects(database, None)[0].closed_at is None


def test_a_closed_project_says_since_when(database: Database) -> None:
    project = made(database)
    projects.close(database, None, project)
    assert projects.list_projects(database, None)[0].closed_at == database.now()


def test_finding_by_name_lists_what_there_is(database: Database) -> None:
    project = made(database)
    assert projects.project_named(database, None, "films") == project
    with pytest.raises(NotFound) as caught:
        projects.project_named(database, None, "film")
    assert caught.value.problems == ("films",)


def test_an_annotator_may_do_none_of_it(database: Database) -> None:
    (annotator,) = people(database, 1)
    project = made(database)
    settings = ProjectSettings(overlap=9)
    for attempt in (
        lambda: projects.create_project(database, annotator, "mine", "comparison", settings, "text"),
        lambda: projects.list_projects(database, annotator),
        lambda: projects.project_settings(database, annotator, project),
        lambda: projects.project_named(database, annotator, "films"),
        lambda: projects.change_settings(database, annotator, project, settings),
        lambda: projects.close(database, annotator, project),
        lambda: projects.reopen(database, annotator, project),
        lambda: guidelines.publish(database, annotator, project, "mine"),
        lambda: guidelines.versions(database, annotator, project),
        lambda: guidelines.difference(database, annotator, project, 1, 1),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    (line,) = projects.list_projects(database, None)
    assert (line.settings.overlap, line.guideline_version, line.closed_at) == (1, 1, None)


def test_no_such_project(database: Database) -> None:
    with pytest.raises(NotFound):
        projects.project_settings(database, None, 7)
    with pytest.raises(NotFound):
        projects.close(database, None, 7)
