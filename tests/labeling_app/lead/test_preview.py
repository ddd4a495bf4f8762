"""A look at an import says what the import then does, and writes nothing."""

import pytest
from sqlalchemy import func, select

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.lead.imports import import_items
from labeling_app.lead.preview import preview
from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry, Item, ItemKind
from tests.labeling_app.made import a_lead, a_project, people

ROWS = [
    {"prompt": "p0", "responses": ["a", "b"]},
    {"prompt": "p0", "responses": ["b", "a"]},  # the same, in another order
    {"prompt": "p1", "responses": ["a"]},
    {"prompt": "p2", "responses": ["a", "a"], "models": ["m1"]},
    {"prompt": "p3", "chosen": "a", "rejected": "b"},
]


def test_a_look_says_what_the_import_does(database: Database) -> None:
    lead, project = a_lead(database), a_project(database)
    found = preview(database, lead, project, ROWS, ItemKind.work)
    assert (found.fresh, found.known, found.judged, found.bad_rows) == (2, 1, 1, 2)
    assert [(one.place.number, one.field) for one in found.problems if one.place] == [
        (3, "responses"),
        (4, "responses"),
        (4, "models"),
    ]
    assert [one.prompt for one in found.samples] == ["p0", "p3"]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Item)) == 0
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0
    report = import_items(database, lead, project, ROWS, skip_bad=True)
    assert (report.added, report.known, report.judged, report.problems) == (2, 1, 1, found.problems)
    after = preview(database, lead, project, ROWS, ItemKind.work)
    assert (after.fresh, after.known, after.bad_rows, after.samples) == (0, 3, 2, [])


def test_what_is_there_as_another_kind_is_a_bad_row(database: Database) -> None:
    project = a_project(database)
    row = {"prompt": "p", "responses": ["a", "b"]}
    import_items(database, None, project, [row])
    gold = row | {"expected": {"kind": "choice", "strength": 1}}
    found = preview(database, None, project, [gold], ItemKind.gold)
    assert (found.fresh, found.known, found.bad_rows) == (0, 0, 1) and "as a work item" in found.problems[0].message


def test_only_leads_look_and_only_at_what_is_there(database: Database) -> None:
    (annotator,) = people(database, 1)
    project = a_project(database)
    with pytest.raises(NotAllowed):
        preview(database, annotator, project, ROWS, ItemKind.work)
    with pytest.raises(NotFound):
        preview(database, None, 999, ROWS, ItemKind.work)
    with pytest.raises(Refused, match="no rows"):
        preview(database, None, project, [], ItemKind.work)
