"""Guidelines by the page: a preview, versions, and what changed."""

from labeling_app.lead import guidelines
from labeling_app.work.claims import next_task
from labeling_app.work.tasks import Idle
from tests.labeling_app.made import a_project, agree, people
from tests.labeling_app.web.lead.visiting import Site, actions, seen, send


def test_a_preview_publishes_nothing_and_keeps_what_was_typed(site: Site) -> None:
    project = a_project(site.database, guidelines="# Be kind")
    dora = site.session("dora")
    address = f"/lead/projects/{project}/guidelines"
    assert "# Be kind" in seen(dora.get(address)).words
    page = seen(dora.post(address, data={"do": "preview", "text": "# Be **fair** <img src=x>"}))
    assert ("strong", {}) in page.tags and "# Be **fair** <img src=x>" in page.words
    assert not [tag for tag in page.tags if tag[0] == "img"]
    assert len(guidelines.versions(site.database, None, project)) == 1 and actions(site.database) == []


def test_a_version_is_published_and_asks_for_consent(site: Site) -> None:
    project = a_project(site.database, items=1, guidelines="# Be kind")
    (user,) = people(site.database, 1)
    agree(site.database, project, [user])
    assert not isinstance(next_task(site.database, user, project), Idle)
    dora = site.session("dora")
    page = seen(send(dora, f"/lead/projects/{project}/guidelines", do="publish", text="# Be kind\r\n\r\nand fair"))
    assert "Version 2 is published" in page.words and "agree" in page.words
    found = next_task(site.database, user, project)
    assert isinstance(found, Idle) and found.reason == "consent"
    assert [one.version for one in guidelines.versions(site.database, None, project)] == [2, 1]
    assert actions(site.database) == ["guidelines.publish"]


def test_what_is_refused_keeps_what_was_typed(site: Site) -> None:
    project = a_project(site.database, guidelines="same")
    dora = site.session("dora")
    for text, said in (
        ("same", "This is the text of version 1."),
        ("", "1 to 100,000"),
        ("x" * 100_001, "shorten them"),
    ):
        answer = dora.post(f"/lead/projects/{project}/guidelines", data={"do": "publish", "text": text})
        page = seen(answer)
        assert answer.status_code == 400 and said in page.words.replace("Shorten", "shorten")
        assert text in page.words


def test_what_changed_is_shown_by_words(site: Site) -> None:
    project = a_project(site.database, guidelines="Be kind to all.\nStay <b>short</b>.")
    dora = site.session("dora")
    send(dora, f"/lead/projects/{project}/guidelines", do="publish", text="Be fair to all.\nStay <b>short</b>.\nRest.")
    answer = dora.get(f"/lead/projects/{project}/guidelines/difference?old=1&new=2")
    for part in ("<del>kind</del>", "<ins>fair</ins>", "<ins>Rest.</ins>", "Stay &lt;b&gt;short&lt;/b&gt;."):
        assert part in answer.text
    for query in ("old=1&new=9", "old=x&new=2", "", "old=-1&new=" + "9" * 40):
        assert dora.get(f"/lead/projects/{project}/guidelines/difference?{query}").status_code == 404
