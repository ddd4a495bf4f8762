"""Guidelines come in versions, and what changed between two can be seen."""

import pytest

from labeling_app.errors import NotFound, Refused
from labeling_app.lead import guidelines, projects
from labeling_app.lead.guidelines import Line
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from tests.labeling_app.made import a_lead


@pytest.fixture
def project(database: Database) -> int:
    first = "# Films\n\nPrefer the kinder one."
    return projects.create_project(database, None, "films", "comparison", ProjectSettings(), first)


def test_versions_are_numbered_and_kept(database: Database, project: int) -> None:
    lead = a_lead(database)
    assert guidelines.publish(database, lead, project, "# Films\n\nPrefer the truer one.\r\n") == 2
    second, first = guidelines.versions(database, lead, project)
    assert (second.version, second.author, second.text) == (2, "lead-1", "# Films\n\nPrefer the truer one.")
    assert (first.version, first.author, first.created_at) == (1, None, database.now())


def test_the_difference_line_by_line(database: Database, project: int) -> None:
    guidelines.publish(database, None, project, "# Films\n\nPrefer the truer one.\nSkip spam.")
    assert guidelines.difference(database, None, project, 1, 2) == [
        Line("same", "# Films"),
        Line("same", ""),
        Line("removed", "Prefer the kinder one."),
        Line("added", "Prefer the truer one."),
        Line("added", "Skip spam."),
    ]
    assert {line.kind for line in guidelines.difference(database, None, project, 2, 2)} == {"same"}
    with pytest.raises(NotFound, match="version 3"):
        guidelines.difference(database, None, project, 1, 3)


def test_the_same_text_asks_nobody_again(database: Database, project: int) -> None:
    with pytest.raises(Refused, match="version 1"):
        guidelines.publish(database, None, project, "# Films\n\nPrefer the kinder one.\n")
    guidelines.publish(database, None, project, "Other.")
    assert guidelines.publish(database, None, project, "# Films\n\nPrefer the kinder one.") == 3


@pytest.mark.parametrize("text", ["", "  \n", "x" * 100_001])
def test_empty_and_endless_guidelines_are_refused(database: Database, project: int, text: str) -> None:
    with pytest.raises(Refused, match="characters"):
        guidelines.publish(database, None, project, text)


def test_no_such_project(database: Database) -> None:
    for attempt in (guidelines.publish, guidelines.versions):
        with pytest.raises(NotFound):
            attempt(database, None, 7, *(["text"] if attempt is guidelines.publish else []))
