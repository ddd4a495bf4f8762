"""What the labeling page's events answer, over Gradio's own HTTP."""

import json
from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import select

from labeling_app.accounts.people import find_person
from labeling_app.lead.questions import inbox
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, Consent, Draft, ItemKind, Label, Role
from labeling_app.work.notes import ask, reply
from tests.labeling_app.made import a_lead, a_project, checks, publish
from tests.labeling_app.web.at_the_page import Desk
from tests.labeling_app.web.running import Server, account, running

FIRST, SECOND = {"kind": "choice", "strength": -3}, {"kind": "choice", "strength": 2}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(f"sqlite:///{tmp_path_factory.mktemp('page') / 'labels.db'}") as server:
        account(server.database, "ana")
        yield server


@pytest.fixture
def store(server: Server) -> Database:
    return server.database


def at_page(server: Server, *, tests: int = 0, **project: object) -> Desk:
    """Ana at a new project, with its first item on the page, or what stands before it: so many tests."""
    made = a_project(server.database, **project)  # type: ignore[arg-type]
    if tests:
        expected = [{"kind": "both_bad"}] * tests
        checks(server.database, made, expected, ItemKind.qualification, explanation="neither is true")
    desk = Desk(server.session("ana"))
    desk.load()
    desk.shown["project"] = made
    desk.click("again")
    return desk


def labels(store: Database, desk: Desk) -> list[Label]:
    query = select(Label).where(Label.project_id == desk.shown["project"]).order_by(Label.id)
    with store.read() as session:
        return list(session.scalars(query))


def test_an_answer_changes_only_what_it_must(server, store):
    desk = at_page(server, items=3)
    changed = desk.say(FIRST, "one")
    assert sorted(changed) == ["progress", "prompt", "response-a", "response-b", "saved", "state"]
    assert changed["saved"] == "✓ saved" and desk.state["stored"] == "one"
    assert f"of-{desk.state['item']}" in changed["response-a"] and f"of-{desk.state['item']}" in changed["prompt"]


def test_an_answer_that_is_sent_again_is_stored_once_and_says_so(server, store):
    desk = at_page(server, items=3)
    first = desk.state["item"]
    desk.say(FIRST, "same")
    following = desk.state["item"]
    desk.shown["state"] = json.dumps({"item": first, "mode": "comparison"})  # it was not heard
    changed = desk.say(FIRST, "same")
    assert (desk.state["stored"], desk.state["item"]) == ("same", following) and "saved" in changed["saved"]
    assert len(labels(store, desk)) == 1


def test_what_is_refused_is_said_and_changes_nothing_else(server, store):
    desk = at_page(server, items=1, axes=[{"name": "clarity"}])
    assert desk.state["axes"][0]["name"] == "clarity" and desk.state["by_enter"]
    changed = desk.say(FIRST, "incomplete")
    assert sorted(changed) == ["saved", "state"] and "clarity: expected 2 from 1 to 5" in changed["saved"]
    assert desk.state["submission"] == "incomplete" and not desk.state["again"]
    assert labels(store, desk) == []


def test_everything_that_can_be_asked_is_stored(server, store):
    wanted = {"rationale": "required", "edit": True, "safety_flag": True, "axes": [{"name": "clarity"}]}
    desk = at_page(server, items=1, **wanted)
    assert len(desk.state["texts"]) == 2 and desk.state["safety"] and desk.state["rationale"] == "required"
    said = SECOND | {"ratings": {"clarity": [1, 5]}, "edit": "better", "unsafe": [0], "rationale": "why"}
    desk.say(said)
    (label,) = labels(store, desk)
    assert {"edit": "better", "rationale": "why"}.items() <= label.answer.items()
    assert desk.state["phase"] == "notice" and desk.state["notice"][0] == "All done"


def test_a_draft_comes_back(server, store):
    desk = at_page(server, items=1, rationale="optional", axes=[{"name": "clarity"}])
    draft = {"selected": SECOND, "ratings": {"clarity": [None, 3]}, "rationale": "東" * 19_000}
    desk.click("do-draft", draft=draft)
    again = Desk(server.session("ana"))
    again.load()
    assert again.shown["project"] == desk.shown["project"]  # the one of the item that is held
    assert again.state["draft"] == draft
    with store.read() as session:
        assert session.get_one(Draft, int(desk.state["item"])).content == draft


def test_feedback_stands_beside_its_own_item(server, store):
    desk = at_page(server, tests=2, items=1)
    assert desk.shown["progress"] == "test item 1 of 2"
    before = desk.shown["prompt"]
    changed = desk.say(FIRST, "mine")
    assert list(changed) == ["state"] and desk.shown["prompt"] == before
    assert desk.state["feedback"] == {"right": False, "words": "Expected: both bad. Neither is true"}
    assert desk.state["stored"] == "mine"
    desk.click("again")
    assert desk.shown["progress"] == "test item 2 of 2"


def test_history_and_a_correction(server, store):
    desk = at_page(server, items=3)
    first = desk.state["item"]
    desk.say(FIRST)
    desk.say(SECOND)
    desk.click("do-read-history")
    newest, oldest = desk.panel["answers"]
    assert (newest["said"], oldest["said"]) == ("B clearly better", "A much better")
    assert (newest["side"], oldest["side"]) == ("b", "a") and not desk.panel["more"]
    desk.click("do-read-history", before=newest["assignment"])
    assert [one["assignment"] for one in desk.panel["answers"]] == [oldest["assignment"]]
    desk.shown["state"] = json.dumps({"item": str(oldest["assignment"])})
    desk.click("do-reopen")
    assert desk.state["item"] == f"{first}c" and desk.state["given"] == FIRST and "A much" in desk.state["said"]
    desk.say(SECOND)
    assert [label.revision for label in labels(store, desk)] == [1, 1, 2]


def test_a_thread_with_the_lead(server, store):
    desk, lead = at_page(server, items=2), a_lead(store)
    earlier = desk.state["item"]
    desk.say(FIRST)
    desk.click("do-write", question="Is <b>this</b> about the film?")
    assert desk.panel["lines"] == [{"author": "You", "mine": True, "text": "Is <b>this</b> about the film?"}]
    (waiting,) = inbox(store, lead, desk.shown["project"])
    reply(store, lead, waiting.assignment_id, "Yes.")
    reply(store, lead, int(earlier), "Well judged.")
    desk.click("do-read-thread")
    assert [line["author"] for line in desk.panel["lines"]] == ["You", "Lead"]
    (elsewhere,) = desk.panel["elsewhere"]
    assert (elsewhere["assignment"], elsewhere["text"]) == (int(earlier), "Well judged.")
    desk.click("do-write", question="  ")
    assert "1 to 20,000 characters" in desk.panel["refused"]


def test_what_the_lead_wrote_is_news_when_the_page_is_loaded(server, store):
    desk, lead = at_page(server, items=1), a_lead(store)
    ask(store, find_person(store, None, "ana"), int(desk.state["item"]), "?")
    reply(store, lead, int(desk.state["item"]), "!")
    desk.load()
    assert json.loads(desk.shown["news"])["unread"] == 1


def test_the_page_leads_a_lead_to_the_leads_pages_and_nobody_else(server, store):
    account(store, "dora", Role.lead)
    found = {}
    for name in ("ana", "dora"):
        desk = Desk(server.session(name))
        desk.load()
        found[name] = json.loads(desk.shown["news"])["leads"]
    assert found == {"ana": False, "dora": True}


def test_new_guidelines_are_shown_with_what_changed(server, store):
    desk = at_page(server, items=1, guidelines="# Rules\n\nBe kind.")
    assert desk.state["phase"] == "consent"
    desk.click("do-read-guidelines")
    assert (desk.panel["consented"], desk.panel["changes"]) == (False, []) and "Be kind." in desk.shown["guidelines"]
    desk.click("agree", guideline=desk.panel["id"])
    assert desk.state["phase"] == "work"
    publish(store, desk.shown["project"], "# Rules\n\nBe kinder.")
    assert "guidelines have changed" in desk.say(FIRST, "too early")["saved"]
    desk.click("do-read-guidelines")
    assert desk.panel["changes"] == [
        ["same", "# Rules"],
        ["same", ""],
        ["removed", "Be kind."],
        ["added", "Be kinder."],
    ]
    desk.click("agree", guideline=desk.panel["id"])
    desk.say(FIRST)
    assert len(labels(store, desk)) == 1


def test_one_agrees_to_what_one_has_read(server, store):
    desk = at_page(server, items=1, guidelines="Be kind.")
    desk.click("do-read-guidelines")
    read = desk.panel["id"]
    newer = publish(store, desk.shown["project"], "Be kinder.")
    changed = desk.click("agree", guideline=read)
    assert "There is a newer version of the guidelines" in json.loads(changed["state"])["refused"]
    with store.read() as session:
        assert session.scalars(select(Consent).where(Consent.guideline_id.in_((read, newer)))).all() == []
    desk.click("do-read-guidelines")
    desk.click("agree", guideline=desk.panel["id"])
    assert desk.state["phase"] == "work"


def test_a_state_says_whose_it_is(server, store):
    desk = at_page(server, items=1)
    ana = find_person(store, None, "ana")
    assert desk.state["person"] == ana
    desk.say({"kind": "choice", "strength": 30}, "refused")
    assert "refused" in desk.state and desk.state["person"] == ana


def test_staying_keeps_the_item(server, store):
    desk = at_page(server, items=1)
    held = int(desk.state["item"])

    def lease() -> datetime:
        with store.read() as session:
            return session.get_one(Assignment, held).lease_until

    before = lease()
    assert "unread" in json.loads(desk.click("do-stay")["news"])
    assert lease() > before


def test_a_ranking_has_its_own_event(server, store):
    desk = at_page(server, mode="ranking", items=2)
    assert desk.state["count"] == 3
    changed = desk.say({"kind": "ranking", "ranks": [2, 1, 2]})
    assert "response-a" not in changed and f"of-{desk.state['item']}" in changed["response-3"]
    assert changed["response-4"] == ""
    assert len(labels(store, desk)) == 1
