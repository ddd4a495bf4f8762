"""The labeling page in a real browser, by keys and by clicks."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from labeling_app.store.tables import Assignment, Draft, Item, Label
from tests.labeling_app.made import a_project
from tests.labeling_app.web.browsing import Annotator
from tests.labeling_app.web.running import Server

pytestmark = pytest.mark.slow

HOSTILE = [
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>",
    "<div id='rate-a3' style='position:fixed;inset:0'>over everything</div>",
    "![a picture](http://evil.example/pixel.png) [a link](javascript:window.hacked=1)",
    "<form action='http://evil.example'><input name='password'></form>",
    "${window.hacked = 1} {{ window.hacked = 1 }} {% raw %}",
    "\u202egnirts desrever\u202c and \u05e9\u05dc\u05d5\u05dd",
    "<i>" * 10_500,
    "> " * 3_000 + "deep",
    "```python\nprint('code')\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n**unclosed *marks `here",
    "long " * 20_000,
]


@pytest.fixture
def ana(browser: Browser, server: Server) -> Iterator[Annotator]:
    """A browser of her own, in which nothing went wrong and nothing left the host."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    annotator = Annotator(context.new_page())
    yield annotator
    assert annotator.hosts == {server.address.removeprefix("http://")}
    assert annotator.complaints == []
    context.close()


def wait_for_draft(server: Server, text: str) -> None:
    """Drafts are sent a moment after the keys."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with server.database.read() as session:
            if any(draft.content.get("rationale") == text for draft in session.scalars(select(Draft))):
                return
        time.sleep(0.1)
    raise TimeoutError(f"no draft says {text!r}")


def answers(server: Server) -> list[dict]:
    """What was said of candidate 0, as the log has it."""
    with server.database.read() as session:
        return list(session.scalars(select(Label.answer).order_by(Label.id)))


def test_twenty_items_by_keys_and_clicks(server, ana):
    a_project(server.database, items=25, guidelines="# Be *kind*")
    ana.enter(server, "ana")
    ana.page.wait_for_selector("#agree")
    ana.says("guidelines", "Be kind")
    ana.picture("guidelines")
    ana.agree()
    for key in "1234567":
        ana.press(key)
        ana.says("saved", "saved")
    for name in ("rate-a3", "rate-a2", "rate-a1", "rate-tie", "rate-b1", "rate-b2", "rate-b3"):
        ana.click(name)
    ana.press("x")
    ana.click("both-bad")
    ana.press("s", "2")
    ana.click("skip", "skip-3")
    ana.press("4")
    ana.press("4")
    ana.picture("comparison")
    ana.says("progress", "18 by you")
    said = answers(server)
    assert len(said) == 20
    # Every strength was given twice, once by a key and once by a click; the order of the sides is the server's.
    shown = [-3, -2, -1, 0, 1, 2, 3] * 2
    with server.database.read() as session:
        orders = session.scalars(select(Assignment.order).order_by(Assignment.id).limit(14)).all()
    stored = [answer["strength"] * (1 if order[0] == 0 else -1) for answer, order in zip(said, orders, strict=False)]
    assert stored == shown
    assert [answer["kind"] for answer in said[14:]] == ["both_bad", "both_bad", "skip", "skip", "choice", "choice"]
    assert said[16]["reason"] == "I can't judge this subject"


def test_undo_and_correct(server, ana):
    a_project(server.database, items=3)
    ana.enter(server, "ana")
    ana.drawn("")
    first = ana.text("response-a")
    ana.press("1")
    ana.press("u")
    ana.says("given", "A much better")
    ana.says("response-a", first)
    ana.press("7")
    ana.says("saved", "corrected")
    with server.database.read() as session:
        labels = session.scalars(select(Label).order_by(Label.id)).all()
    assert [label.revision for label in labels] == [1, 2]
    assert labels[0].answer["strength"] == -labels[1].answer["strength"]


def test_a_reload_in_the_middle_keeps_item_and_draft(server, ana):
    a_project(server.database, items=3, rationale="optional")
    ana.enter(server, "ana")
    ana.drawn("")
    item, response = ana.item, ana.text("response-a")
    ana.page.keyboard.press("2")  # only marks: this project asks for more than the choice
    ana.page.click("#rationale textarea")
    ana.page.keyboard.type("because of 123 x s u")
    wait_for_draft(server, "because of 123 x s u")
    assert ana.item == item and answers(server) == []  # and keys are dead while one types
    ana.reload()
    ana.drawn("")
    assert ana.item == item
    ana.says("response-a", response)
    expect(ana.page.locator("#rationale textarea")).to_have_value("because of 123 x s u")
    ana.press("2", "Enter")
    (answer,) = answers(server)
    assert answer["rationale"] == "because of 123 x s u" and abs(answer["strength"]) == 2


def test_two_annotators_at_once(server, browser, ana):
    a_project(server.database, items=6)
    context = browser.new_context()
    ben = Annotator(context.new_page())
    for annotator, name in ((ana, "ana"), (ben, "ben")):
        annotator.enter(server, name)
        annotator.drawn("")
    assert ana.text("response-a") != ben.text("response-a")
    for annotator in (ana, ben, ana, ben):
        annotator.press("4")
    with server.database.read() as session:
        judged = session.execute(select(Label.item_id, Label.user_id)).all()
    assert len({item for item, _ in judged}) == 4 and len({user for _, user in judged}) == 2
    context.close()


def test_a_ranking_by_keys_and_by_clicks(server, ana):
    a_project(server.database, mode="ranking", items=3)
    ana.enter(server, "ana")
    ana.drawn("")
    shown = [ana.text(f"response-{number}")[-1] for number in (1, 2, 3)]
    assert sorted(shown) == ["0", "1", "2"] and not ana.page.is_visible("#response-4")
    ana.picture("ranking")
    ana.page.keyboard.press("Enter")  # nothing is ranked yet
    ana.page.keyboard.press("2")
    ana.page.keyboard.press("3")
    ana.page.keyboard.press("Backspace")
    ana.page.keyboard.press("1")
    ana.page.keyboard.press("=")
    ana.press("3", "Enter")  # the second is the best, the others tie
    ana.click("rank-3", "rank-1", "rank-2", "submit-ranking")
    first, second = answers(server)
    best = int(shown[1])
    assert first["ranks"] == [1 if candidate == best else 2 for candidate in range(3)]
    assert sorted(second["ranks"]) == [1, 2, 3]
    ana.press("u")
    ana.says("given", "3 > 1 > 2")


def test_all_done_is_a_page_of_its_own(server, ana):
    a_project(server.database, items=1)
    ana.enter(server, "ana")
    ana.drawn("")
    ana.press("1")
    ana.says("notice", "All done")
    expect(ana.at("response-a")).to_be_hidden()
    ana.picture("finished")


def test_hostile_responses_stay_text(server, ana):
    items = [
        {
            "prompt": [{"role": "system", "content": f"number {number} of all"}, {"role": "user", "content": text}],
            "responses": [text, f"{text} again"],
        }
        for number, text in enumerate(HOSTILE)
    ]
    a_project(server.database, items=items)
    ana.enter(server, "ana")
    ana.drawn("")
    for number in range(len(HOSTILE)):
        ana.says("prompt", f"number {number} of all")
        assert ana.page.evaluate("window.hacked") is None
        assert ana.page.locator("[id='rate-a3']").count() == 1
        shown = ana.page.locator("#prompt, #response-a, #response-b")
        assert shown.locator("script, img, form, input, iframe, [onerror], [style*=fixed]").count() == 0
        if number == 1:
            for name in ("response-a", "response-b"):
                ana.says(name, "<div id='rate-a3'")
        if number == 8:
            expect(shown.locator("pre code")).not_to_have_count(0)
            marked, rest = "[id='response-a'] pre .code-nb", "[id='response-a'] pre"
            colours = [ana.page.locator(one).evaluate("one => getComputedStyle(one).color") for one in (marked, rest)]
            assert colours[0] != colours[1]
            ana.picture("code")
            expect(shown.locator("table")).not_to_have_count(0)
        ana.press("4")
    assert len(answers(server)) == len(HOSTILE)


def test_on_a_phone_and_in_the_dark(server, browser):
    a_project(server.database, items=2)
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    ana = Annotator(context.new_page())
    ana.enter(server, "ana")
    ana.drawn("")
    a, b = ana.page.locator(".card-a").bounding_box(), ana.page.locator(".card-b").bounding_box()
    assert a and b and b["y"] >= a["y"] + a["height"]  # one under the other
    assert ana.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    ana.picture("phone, dark")
    ana.click("rate-b3")
    assert len(answers(server)) == 1
    context.close()


def test_an_ended_session_is_said(server, browser):
    a_project(server.database, items=2)
    context = browser.new_context()
    ana = Annotator(context.new_page())
    ana.enter(server, "ana")
    ana.drawn("")
    context.clear_cookies()
    ana.page.keyboard.press("1")
    ana.says("banner", "session has ended")
    assert answers(server) == []
    context.close()


def test_the_store_counts_what_the_page_did(server, ana):
    a_project(server.database, items=2)
    began = time.monotonic()
    ana.enter(server, "ana")
    ana.drawn("")
    time.sleep(1.2)
    ana.press("1")
    passed = time.monotonic() - began
    with server.database.read() as session:
        (label,) = session.scalars(select(Label)).all()
        assert session.get_one(Item, label.item_id).open_slots == 0
    assert 1.0 < label.seconds + label.idle_seconds < passed
