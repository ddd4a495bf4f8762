"""Adjudication by its pages: the queue, a decision, and what several leads do at once."""

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from labeling_app.lead.adjudication import decide
from labeling_app.store.tables import Decision, Item, ItemKind, Role
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_lead, a_project, add_items, people, some_items
from tests.labeling_app.web.lead.visiting import Site, seen
from tests.labeling_app.web.running import account

HOSTILE = "<script>hacked()</script><form action='/logout'>"


@pytest.fixture
def dora(site: Site) -> TestClient:
    return site.session("dora")


@pytest.fixture
def disputed(site: Site) -> tuple[int, list[int]]:
    """A project with three items on which two people disagree, the first one most; and its items."""
    project = a_project(site.database, overlap=2, rationale="optional")
    items = add_items(site.database, project, some_items(3))
    ann, ben = people(site.database, 2)
    for item, strength in zip(items, (3, 2, 1), strict=True):
        judge(site.database, item, ann, choice(-strength, rationale="the *first* says more"))
        judge(site.database, item, ben, choice(strength))
    return project, items


def decisions(site: Site) -> list[tuple[int, dict, str | None]]:
    with site.database.read() as session:
        return [(one.item_id, one.answer, one.note) for one in session.scalars(select(Decision).order_by(Decision.id))]


def test_the_queue_begins_with_the_most_disputed(site: Site, dora: TestClient, disputed: tuple[int, list[int]]) -> None:
    project, items = disputed
    page = seen(dora.get(f"/lead/projects/{project}/adjudication"))
    assert "People disagree on 3 items" in page.words and "prompt 0" in page.words
    found = [link for link in page.links() if "/adjudication/" in link]
    assert found == [f"/lead/projects/{project}/adjudication/{item}" for item in (items[0], *items)]
    assert "A much better" in page.words and "B much better" in page.words


def test_a_decision_leads_to_the_next_item(site: Site, dora: TestClient, disputed: tuple[int, list[int]]) -> None:
    project, items = disputed
    address = f"/lead/projects/{project}/adjudication"
    page = seen(dora.get(f"{address}/{items[0]}"))
    assert "1 of 3 to decide" in page.words and "response 0.0" in page.words and "the *first* says more" in page.words
    assert page.field("seen") == ""
    sent = {"decision": "-2", "note": "it says why", "seen": ""}
    answer = dora.post(f"{address}/{items[0]}", data=sent)
    assert answer.headers["location"] == f"{address}/{items[1]}"
    page = seen(dora.get(answer.headers["location"]))
    assert "Decided: A clearly better." in page.words and "1 of 2 to decide" in page.words
    assert decisions(site) == [(items[0], choice(-2), "it says why")]
    dora.post(f"{address}/{items[1]}", data={"decision": "both_bad", "seen": ""})
    answer = dora.post(f"{address}/{items[2]}", data={"decision": "skip", "seen": ""})
    assert answer.headers["location"] == address and "Nothing to decide" in seen(dora.get(address)).words
    assert [said["kind"] for _, said, _ in decisions(site)] == ["choice", "both_bad", "skip"]
    page = seen(dora.get(f"{address}/{items[0]}"))
    assert "Decide again" in page.words and "it says why" in page.words and page.field("seen")


def test_people_are_pseudonyms_until_asked_for(site: Site, dora: TestClient, disputed: tuple[int, list[int]]) -> None:
    project, items = disputed
    address = f"/lead/projects/{project}/adjudication/{items[0]}"
    page = seen(dora.get(address))
    assert "person-3" in page.words and "annotator-3" not in page.words
    page = seen(dora.get(f"{address}?names=yes"))
    assert "annotator-3" in page.words and "person-3" not in page.words
    assert f"/lead/projects/{project}/adjudication/{items[1]}?names=yes" in page.links()


def test_a_decided_item_becomes_gold(site: Site, dora: TestClient, disputed: tuple[int, list[int]]) -> None:
    project, items = disputed
    address = f"/lead/projects/{project}/adjudication/{items[0]}"
    answer = dora.post(address, data={"decision": "1", "note": "so it is", "gold": "yes", "seen": ""})
    assert "It is a gold item now" in seen(dora.get(answer.headers["location"])).words
    with site.database.read() as session:
        item = session.get_one(Item, items[0])
        assert item.kind is ItemKind.gold and item.expected == {"answer": choice(1), "explanation": "so it is"}
    assert "This is a gold item" in seen(dora.get(address)).words


def test_the_second_of_two_leads_is_shown_what_the_first_decided(
    site: Site, dora: TestClient, disputed: tuple[int, list[int]]
) -> None:
    project, items = disputed
    address = f"/lead/projects/{project}/adjudication/{items[0]}"
    known = seen(dora.get(address)).field("seen")
    decide(site.database, a_lead(site.database), items[0], choice(3), "so be it")
    answer = dora.post(address, data={"decision": "-1", "note": "mine", "seen": known})
    page = seen(answer)
    assert answer.status_code == 400 and "has decided this item in the meantime" in page.words
    assert "so be it" in page.words and "mine" in page.words  # nothing that was typed is lost
    assert [tag["value"] for kind, tag in page.tags if kind == "input" and "checked" in tag] == ["-1"]
    assert len(decisions(site)) == 1
    again = dora.post(address, data={"decision": "-1", "note": "mine", "seen": page.field("seen")})
    assert again.status_code == 303 and [said["strength"] for _, said, _ in decisions(site)] == [3, -1]


@pytest.mark.parametrize(
    "sent", [{}, {"decision": ""}, {"decision": "4"}, {"decision": "x"}, {"decision": "skip", "gold": "yes"}]
)
def test_what_can_not_be_decided_is_said(
    site: Site, dora: TestClient, disputed: tuple[int, list[int]], sent: dict[str, str]
) -> None:
    project, items = disputed
    answer = dora.post(f"/lead/projects/{project}/adjudication/{items[0]}", data={"note": "kept", "seen": "", **sent})
    assert answer.status_code == 400 and "kept" in seen(answer).words and decisions(site) == []


def test_a_ranking_is_decided_by_places(site: Site, dora: TestClient) -> None:
    project = a_project(site.database, mode="ranking", overlap=2)
    (item,) = add_items(site.database, project, some_items(1, responses=3))
    for user, ranks in zip(people(site.database, 2), ([1, 2, 3], [3, 2, 1]), strict=True):
        judge(site.database, item, user, {"kind": "ranking", "ranks": ranks})
    address = f"/lead/projects/{project}/adjudication/{item}"
    assert "1 > 2 > 3" in seen(dora.get(address)).words
    answer = dora.post(address, data={"rank-1": "2", "rank-2": "1", "rank-3": "", "seen": ""})
    page = seen(answer)
    assert answer.status_code == 400 and "Not every response has a place" in page.words
    assert [tag["value"] for kind, tag in page.tags if kind == "option" and "selected" in tag] == ["2", "1"]
    answer = dora.post(address, data={"rank-1": "3", "rank-2": "1", "rank-3": "1", "seen": ""})
    assert answer.status_code == 303
    assert decisions(site) == [(item, {"kind": "ranking", "ranks": [3, 1, 1]}, None)]


def test_hostile_texts_stay_text(site: Site, dora: TestClient) -> None:
    project = a_project(site.database, overlap=2, rationale="optional")
    content = {"prompt": HOSTILE, "responses": [HOSTILE, f"![x](http://evil.example/x.png) {HOSTILE}"]}
    (item,) = add_items(site.database, project, [content])
    for user, strength in zip(people(site.database, 2), (-1, 1), strict=True):
        judge(site.database, item, user, choice(strength, rationale=HOSTILE))
    decide(site.database, a_lead(site.database), item, choice(1), HOSTILE)
    page = seen(dora.get(f"/lead/projects/{project}/adjudication/{item}"))
    assert page.words.count("<script>hacked()</script>") == 6
    assert [tag.get("action") for kind, tag in page.tags if kind == "form"] == [
        "/logout",
        f"/lead/projects/{project}/adjudication/{item}",
    ]
    assert not [tag for kind, tag in page.tags if kind == "img" or (kind == "script" and "src" not in tag)]


def test_who_may_not_decide(site: Site, dora: TestClient, disputed: tuple[int, list[int]]) -> None:
    project, items = disputed
    address = f"/lead/projects/{project}/adjudication"
    account(site.database, "emil", Role.lead)
    for path in (address, f"{address}/{items[0]}"):
        assert site.visitor().get(path).headers["location"] == "/login"
        answer = site.session("ana").get(path)
        assert answer.status_code == 403 and "prompt" not in answer.text
    sent = {"decision": "1", "seen": ""}
    assert site.visitor().post(f"{address}/{items[0]}", data=sent).status_code == 401
    assert site.session("ana").post(f"{address}/{items[0]}", data=sent).status_code == 403
    answer = dora.post(f"{address}/{items[0]}", data=sent, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    other = a_project(site.database)
    elsewhere = f"/lead/projects/{other}/adjudication/{items[0]}"
    for path in (elsewhere, f"{address}/0", f"{address}/x", f"{address}/{'9' * 40}"):
        assert dora.get(path).status_code == 404 and dora.post(path, data=sent).status_code == 404
    assert decisions(site) == []
