"""The audit log, as a lead reads it."""

from labeling_app.accounts import people
from labeling_app.lead import projects
from labeling_app.settings import ProjectSettings
from tests.labeling_app.web.lead.visiting import Site, seen


def test_what_was_done_is_told_in_words(site: Site) -> None:
    (dora,) = (line.id for line in people.list_people(site.database, None) if line.name == "dora")
    (ana,) = (line.id for line in people.list_people(site.database, None) if line.name == "ana")
    project = projects.create_project(site.database, dora, "films", "comparison", ProjectSettings(), "# Be fair")
    projects.change_settings(site.database, dora, project, ProjectSettings(overlap=3))
    people.pause(site.database, dora, ana, "<b>rest</b>", withhold=True)
    page = seen(site.session("dora").get("/lead/log"))
    for said in (
        "dora began the project films",
        "dora changed the settings of films overlap: 1 → 3",
        "dora paused ana reason: <b>rest</b>",
        "the command line added ana",
        "05 Jan 2026, 09:00",
    ):
        assert said in page.words
    assert ("b", {}) not in page.tags


def test_it_is_read_a_page_at_a_time(site: Site) -> None:
    for number in range(60):
        projects.create_project(site.database, None, f"project-{number:02}", "comparison", ProjectSettings(), "x")
    dora = site.session("dora")
    page = seen(dora.get("/lead/log"))
    assert "project-59" in page.words and "project-10" in page.words and "project-09 " not in page.words
    (older,) = (link for link in page.links() if "before=" in link)
    page = seen(dora.get(older))
    assert "project-09" in page.words and "project-10" not in page.words and "added ana" in page.words
    assert not [link for link in page.links() if "before=" in link]
    for odd in ("x", "-1", "9" * 40, "0"):
        assert dora.get(f"/lead/log?before={odd}").status_code == 200
