"""Where the labeling page has to be careful: a tab left alone, keys pressed too early, answers that wait."""

import json
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, expect

from labeling_app.accounts.people import find_person
from tests.labeling_app.made import a_project, publish
from tests.labeling_app.web.browsing import JOIN, PATIENCE_MS, Gate
from tests.labeling_app.web.events import events_of
from tests.labeling_app.web.running import PASSWORD, Server

pytestmark = pytest.mark.slow


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Let the page go on until something holds."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def sent_by(page: Page, server: Server) -> list[str]:
    """The elements whose events the page has sent, in order; it grows."""
    names = {event.number: event.targets[0] for event in events_of(server.session("ana"))}
    found: list[str] = []

    def note(request: Request) -> None:
        if "/queue/join" in request.url:
            found.append(names[json.loads(request.post_data or "{}")["fn_index"]])

    page.on("request", note)
    return found


def pending(page: Page) -> list[str]:
    """The names under which the tab keeps answers that are not known to be stored."""
    return list(page.evaluate("Object.keys(sessionStorage).filter(name => name.endsWith(':pending'))"))


def test_a_tab_that_is_left_alone_gives_its_item_back(server, ana):
    a_project(server.database, items=2)
    ana.page.clock.install()
    ana.enter(server, "ana")
    ana.drawn("")
    sent = sent_by(ana.page, server)
    ana.page.clock.fast_forward("01:01")
    until(ana.page, lambda: sent == ["do-stay"])
    ana.page.clock.fast_forward("06:00")
    ana.page.clock.fast_forward("06:00")
    ana.page.keyboard.press("g")  # here again; whatever was sent in between stands before it
    until(ana.page, lambda: "do-read-guidelines" in sent)
    assert sent == ["do-stay", "do-read-guidelines"]
    ana.page.clock.fast_forward("01:01")
    until(ana.page, lambda: sent[2:] == ["do-stay"])


def test_no_answer_is_taken_while_another_item_is_on_its_way(server, ana):
    first = a_project(server.database, items=4, guidelines="Be kind.")
    a_project(server.database, items=4)
    page, keys, gate = ana.page, ana.page.keyboard, Gate(ana.page, JOIN)
    ana.enter(server, "ana")
    ana.drawn("")
    ana.press("1")

    def too_early(begin: Callable[[], object]) -> None:
        before = ana.item
        with gate.closed() as waiting:
            begin()
            until(page, lambda: bool(waiting))
            page.evaluate("document.activeElement.blur()")  # of the list of projects
            keys.press("7")
            assert pending(page) == []
        ana.drawn(before)

    too_early(lambda: keys.press("u"))
    ana.press("2")  # corrected
    keys.press("h")
    entry = page.locator("#past li button").first
    expect(entry).to_be_visible()
    too_early(entry.click)
    ana.press("3")
    page.click("#project input")
    too_early(page.get_by_role("option").nth(1).click)
    expect(ana.at("agree")).to_be_visible()
    ana.agree()
    ana.press("4")
    assert [label.revision for label in server.labels()] == [1, 2, 3, 1]
    assert [label.project_id == first for label in server.labels()] == [False, False, False, True]


def test_a_version_that_came_while_one_read_is_read_first(server, ana):
    project = a_project(server.database, items=1, guidelines="# Rules\n\nBe kind.")
    ana.enter(server, "ana")
    ana.says("guidelines", "Be kind.")
    publish(server.database, project, "# Rules\n\nBe kinder.")
    ana.page.click("#agree")
    ana.says("newer", "newer version")
    ana.says("guidelines", "Be kinder.")
    ana.agree()
    expect(ana.at("newer")).to_have_count(0)


def test_an_answer_that_is_not_saved_stays_its_own_persons(server, ana):
    a_project(server.database, items=4)
    page, gate = ana.page, Gate(ana.page, JOIN)
    ana.enter(server, "ana")
    ana.drawn("")
    item = ana.item
    gate.cut()
    page.keyboard.press("1")
    ana.says("banner", "not saved yet")
    (name,) = pending(page)
    assert name == f"labeling:{find_person(server.database, None, 'ana')}:pending"
    gate.handle = lambda route: route.fulfill(status=401)
    page.context.clear_cookies()  # her session has ended
    page.goto(f"{server.address}/login")
    gate.open()
    log_in(page, "ben")
    ana.drawn("")
    ana.press("7")
    assert [label.user_id for label in server.labels()] == [find_person(server.database, None, "ben")]
    page.click("#log-out")
    page.wait_for_selector("#username")
    assert pending(page) == [name]
    log_in(page, "ana")
    until(page, lambda: len(server.labels()) == 2)
    until(page, lambda: pending(page) == [])
    assert str(server.labels()[1].assignment_id) == item


def log_in(page: Page, name: str) -> None:
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("button")


def test_whoever_can_not_log_out_keeps_what_is_not_saved(server, ana):
    a_project(server.database, items=2)
    page, gate = ana.page, Gate(ana.page, JOIN)
    ana.enter(server, "ana")
    ana.drawn("")
    page.on("dialog", lambda dialog: dialog.accept())
    gate.cut()
    page.route("**/logout", lambda route: route.abort())
    page.keyboard.press("1")
    ana.says("banner", "not saved yet")
    page.click("#log-out")
    ana.says("banner", "still logged in")
    assert len(pending(page)) == 1
    gate.open()
    until(page, lambda: len(server.labels()) == 1)
