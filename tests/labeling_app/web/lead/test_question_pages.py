"""Questions by their pages: those who wait first, an answer, and closing."""

import pytest
from starlette.testclient import TestClient

from labeling_app.lead.questions import inbox
from labeling_app.store.tables import Role
from labeling_app.work.notes import ask, own_thread
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, add_items, people, some_items
from tests.labeling_app.web.lead.visiting import Site, seen
from tests.labeling_app.web.running import account

HOSTILE = "<script>hacked()</script><form action='/logout'>"


@pytest.fixture
def dora(site: Site) -> TestClient:
    return site.session("dora")


@pytest.fixture
def asked(site: Site) -> tuple[int, int, int]:
    """A project, somebody who asked, and the assignment about which they did."""
    project = a_project(site.database, rationale="optional")
    (item,) = add_items(site.database, project, some_items(1))
    (cleo,) = people(site.database, 1)
    assignment = judge(site.database, item, cleo, choice(2, rationale=HOSTILE), order=(1, 0))
    ask(site.database, cleo, assignment, f"Which one? {HOSTILE}")
    return project, cleo, assignment


def test_a_question_is_answered_beside_its_item(site: Site, dora: TestClient, asked: tuple[int, int, int]) -> None:
    project, cleo, assignment = asked
    address = f"/lead/projects/{project}/questions"
    page = seen(dora.get(address))
    assert "1 waits for an answer" in page.words and f"{address}/{assignment}" in page.links()
    page = seen(dora.get(f"{address}/{assignment}"))
    assert "response 0.0" in page.words and "A clearly better" in page.words  # as it was shown: the sides swapped
    answer = dora.post(f"{address}/{assignment}", data={"text": "The first.", "do": "send", "seen": page.field("seen")})
    assert answer.headers["location"] == f"{address}/{assignment}"
    assert [line.text for line in own_thread(site.database, cleo, assignment)][1:] == ["The first."]
    page = seen(dora.get(f"{address}/{assignment}"))
    assert "The first." in page.words and "Sent." in page.words
    answer = dora.post(f"{address}/{assignment}", data={"text": "", "do": "close", "seen": page.field("seen")})
    assert answer.headers["location"] == address
    assert [one.closed for one in inbox(site.database, None, project)] == [True]
    assert "Nobody waits" in seen(dora.get(address)).words


def test_hostile_words_stay_text(site: Site, dora: TestClient, asked: tuple[int, int, int]) -> None:
    project, _, assignment = asked
    for path, forms in (("", 1), (f"/{assignment}", 2)):
        page = seen(dora.get(f"/lead/projects/{project}/questions{path}"))
        assert HOSTILE in page.words and len([tag for kind, tag in page.tags if kind == "form"]) == forms
        assert not [tag for kind, tag in page.tags if kind == "script" and "src" not in tag]


def test_what_is_refused_is_kept_on_the_page(site: Site, dora: TestClient, asked: tuple[int, int, int]) -> None:
    project, _, assignment = asked
    address = f"/lead/projects/{project}/questions/{assignment}"
    assert dora.post(address, data={"text": "  ", "do": "send"}).status_code == 400
    answer = dora.post(address, data={"text": "x" * 20_001, "do": "send"})
    assert answer.status_code == 400 and "x" * 20_001 in seen(answer).words
    assert dora.post(address, data={"text": "", "do": "close", "seen": "999"}).status_code == 404
    assert [one.waiting for one in inbox(site.database, None, project)] == [True]


def test_who_may_not_read_or_write(site: Site, dora: TestClient, asked: tuple[int, int, int]) -> None:
    project, _, assignment = asked
    address = f"/lead/projects/{project}/questions"
    account(site.database, "emil", Role.lead)
    for path in (address, f"{address}/{assignment}"):
        assert site.visitor().get(path).headers["location"] == "/login"
        answer = site.session("ana").get(path)
        assert answer.status_code == 403 and "Which one?" not in answer.text
    sent = {"text": "so", "do": "send"}
    assert site.visitor().post(f"{address}/{assignment}", data=sent).status_code == 401
    assert site.session("ana").post(f"{address}/{assignment}", data=sent).status_code == 403
    other = a_project(site.database)
    elsewhere = f"/lead/projects/{other}/questions/{assignment}"
    for path in (elsewhere, f"{address}/0", f"{address}/x"):
        assert dora.get(path).status_code == 404 and dora.post(path, data=sent).status_code == 404
    assert len(inbox(site.database, None, project)) == 1 and inbox(site.database, None, project)[0].messages == 1
