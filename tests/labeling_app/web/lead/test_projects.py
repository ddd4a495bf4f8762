"""Beginning a project, changing its settings, closing it."""

import pytest

from labeling_app.lead import guidelines, projects
from labeling_app.store.tables import Project
from tests.labeling_app.made import a_project
from tests.labeling_app.web.lead.visiting import Site, actions, seen, send, settings_fields

NEW = "/lead/projects/new"


def test_a_project_is_begun_and_listed(site: Site) -> None:
    dora = site.session("dora")
    form = seen(dora.get(NEW))
    assert form.field("overlap") == "2" and form.field("qualification_pass") == "80"
    fields = settings_fields(name="films", mode="ranking", guidelines="# Be *fair*", overlap="3")
    fields |= {
        "gold_share": "7.5",
        "repeat_share": "5",
        "rationale": "optional",
        "show_pace": "yes",
        "lease_minutes": "2,5",
    }
    page = seen(send(dora, NEW, **fields))
    assert "“films” is begun" in page.words
    (project,) = projects.list_projects(site.database, None)
    settings = project.settings
    assert (project.name, project.mode, settings.overlap, settings.rationale) == ("films", "ranking", 3, "optional")
    assert (settings.gold_share, settings.repeat_share, settings.lease_minutes) == (0.075, 0.05, 2.5)
    assert settings.show_pace and settings.qualification_pass == 0.8
    assert guidelines.versions(site.database, None, project.id)[0].text == "# Be *fair*"
    assert "films" in seen(dora.get("/lead/")).words
    assert actions(site.database) == ["project.create"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": " "}, "no name for a project"),
        ({"name": "taken"}, "There is a project 'taken' already"),
        ({"guidelines": " "}, "Guidelines have 1 to 100,000 characters"),
        ({"overlap": "0"}, "People who judge each item: should be greater than or equal to 1"),
        ({"overlap": ""}, "People who judge each item"),
        ({"overlap": "9" * 400}, "People who judge each item"),
        ({"gold_share": "nan"}, "Hidden gold items: expected a number of percent"),
        ({"repeat_share": "-1"}, "Hidden repeats: expected a number of percent"),
        ({"gold_share": "40", "repeat_share": "40"}, "more checking than work"),
        ({"lease_minutes": "inf"}, "A silent page keeps its item for"),
        ({"rationale": "perhaps"}, "A reason in words"),
    ],
)
def test_what_can_not_be_is_said_and_what_was_typed_is_kept(site: Site, changed: dict[str, str], said: str) -> None:
    there = a_project(site.database)
    with site.database.write() as session:
        session.get_one(Project, there).name = "taken"
    dora = site.session("dora")
    fields = settings_fields(name="films", guidelines="<script>typed()</script>", expected_seconds="77") | changed
    answer = dora.post(NEW, data=fields)
    page = seen(answer)
    assert answer.status_code == 400 and said in page.words
    assert page.field("name") == fields["name"] and page.field("expected_seconds") == "77"
    if "guidelines" not in changed:
        assert "<script>typed()</script>" in page.words and "<script>typed" not in answer.text
    assert len(projects.list_projects(site.database, None)) == 1 and actions(site.database) == []


def test_a_hostile_name_stays_text(site: Site) -> None:
    name = "\"><img src=x onerror=alert(1)>'{{ 7*7 }}"
    dora = site.session("dora")
    send(dora, NEW, **settings_fields(name=name, guidelines="x"))
    for address in ("/lead/", "/lead/projects/1/items", "/lead/projects/1/settings", "/lead/log"):
        page = seen(dora.get(address))
        assert name in page.words and not [tag for tag in page.tags if tag[0] == "img"], address


def test_settings_are_shown_changed_and_noted(site: Site) -> None:
    project = a_project(site.database, items=3, overlap=2, seed=11, gold_share=0.07)
    dora = site.session("dora")
    address = f"/lead/projects/{project}/settings"
    assert seen(dora.get(address)).field("gold_share") == "7"
    assert "nothing was changed" in seen(send(dora, address, **settings_fields(gold_share="7"))).words
    assert actions(site.database) == []
    assert "Saved." in seen(send(dora, address, **settings_fields(gold_share="7", overlap="4"))).words
    (line,) = projects.list_projects(site.database, None)
    assert (line.settings.overlap, line.slots_total, line.settings.seed) == (4, 12, 11)
    assert actions(site.database) == ["project.change"]
    refused = dora.post(address, data=settings_fields(overlap="many"))
    assert refused.status_code == 400 and seen(refused).field("overlap") == "many"
    assert projects.project_settings(site.database, None, project).overlap == 4


def test_a_project_is_closed_and_opened_again(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    assert "The project is closed." in seen(send(dora, f"/lead/projects/{project}/close")).words
    assert projects.list_projects(site.database, None)[0].closed_at is not None
    assert "This project is closed" in seen(dora.get(f"/lead/projects/{project}/items")).words
    send(dora, f"/lead/projects/{project}/reopen")
    assert projects.list_projects(site.database, None)[0].closed_at is None
    assert actions(site.database) == ["project.close", "project.reopen"]


def test_an_address_that_is_only_looked_at_changes_nothing(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    assert dora.get(f"/lead/projects/{project}/close").status_code == 405
    assert projects.list_projects(site.database, None)[0].closed_at is None
