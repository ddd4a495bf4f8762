"""The audit log with the names that belong to its numbers."""

import pytest

from labeling_app.accounts import people as accounts
from labeling_app.accounts.forget import forget
from labeling_app.errors import NotAllowed
from labeling_app.lead.audit_log import entries
from labeling_app.lead.projects import create_project
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.store.tables import Role
from tests.labeling_app.made import a_lead, people


def test_names_stand_for_numbers_until_they_are_forgotten(database: Database) -> None:
    lead = a_lead(database)
    ana = accounts.create_person(database, lead, "ana", Role.annotator)
    project = create_project(database, lead, "films", "comparison", ProjectSettings(), "x")
    accounts.log_out(database, lead, ana)
    accounts.pause(database, None, ana, "a rest")
    pause, out, begun, added = entries(database, lead)
    assert (pause.actor, pause.action, pause.person) == (None, "person.pause", "ana")
    assert pause.detail == {"reason": "a rest", "withhold": False}
    assert (out.actor, out.action, out.person, out.detail) == ("lead-1", "person.log_out", "ana", {})
    assert (begun.project, begun.project_id, begun.detail["mode"]) == ("films", project, "comparison")
    assert (added.action, added.at) == ("person.create", database.now())
    forget(database, lead, ana)
    assert {one.person for one in entries(database, lead)} == {f"forgotten-{ana}", None}


def test_it_is_read_backwards_in_parts(database: Database) -> None:
    for number in range(5):
        accounts.create_person(database, None, f"person {number}", Role.annotator)
    first = entries(database, None, limit=2)
    second = entries(database, None, before=first[-1].id, limit=2)
    assert [one.person for one in first + second] == ["person 4", "person 3", "person 2", "person 1"]


def test_only_leads_read_it(database: Database) -> None:
    (annotator,) = people(database, 1)
    with pytest.raises(NotAllowed):
        entries(database, annotator)
