"""What else the labeling page does in a real browser: all that can be asked for, what opens beside, a lost network."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from labeling_app.accounts.people import find_person
from labeling_app.store.tables import Assignment, ItemKind
from labeling_app.work.notes import reply
from tests.labeling_app.made import a_lead, a_project, checks, publish
from tests.labeling_app.web.browsing import JOIN, Gate

pytestmark = pytest.mark.slow

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "Review a film."},
]
TEXTS = ["The gorgeous camera work lifts a story.", "The dull camera work lifts no story."]


def test_all_that_can_be_asked_by_keys_alone(server, ana):
    a_project(
        server.database,
        items=[{"prompt": CHAT, "responses": TEXTS}] * 2,
        rationale="optional",
        axes=[{"name": "clarity", "description": "easy to follow?"}, {"name": "truth", "low": 0, "high": 3}],
        edit=True,
        safety_flag=True,
    )
    ana.enter(server, "ana")
    ana.drawn("")
    keys = ana.page.keyboard
    keys.press("p")
    expect(ana.at("prompt").get_by_text("Be brief.")).to_be_visible()  # the earlier turns, unfolded
    keys.press("d")
    ana.page.wait_for_function("CSS.highlights.get('differs')?.size === 4")  # gorgeous, a; dull, no
    keys.press("Enter")
    ana.says("missing", "Choose a side first")
    keys.press("2")
    keys.press("Enter")
    ana.says("missing", "clarity")
    keys.press("r")
    for digit in "5320":
        keys.press(digit)
    keys.press("f")
    keys.press("Space")
    keys.press("e")
    keys.press("Control+End")
    keys.type(" Indeed 1 x.")
    keys.press("Escape")
    keys.press("w")
    keys.type("because")
    ana.picture("everything asked")
    ana.reload()  # all of it is a draft
    ana.drawn("")
    expect(ana.page.locator("#rationale textarea")).to_have_value("because")
    expect(ana.page.locator("#edit textarea")).to_have_value(re.compile(r"Indeed 1 x\.$"))
    expect(ana.page.locator("#rate-a2")).to_have_attribute("aria-pressed", "true")
    ana.press("Enter")
    ana.says("saved", "saved")
    (label,) = server.labels()
    with server.database.read() as session:
        order = session.get_one(Assignment, label.assignment_id).order
    answer = label.answer
    assert answer["strength"] == (-2 if order[0] == 0 else 2)
    assert answer["ratings"] == {"clarity": [[5, 3][at] for at in order], "truth": [[2, 0][at] for at in order]}
    assert answer["unsafe"] == [order[0]] and answer["rationale"] == "because"
    assert answer["edit"] == f"{TEXTS[order[0]]} Indeed 1 x."
    assert ana.complaints == []


def test_what_opens_beside_the_work(server, ana):
    database = server.database
    project = a_project(database, items=3, guidelines="# Rules\n\nBe kind.")
    checks(database, project, [{"kind": "both_bad"}], ItemKind.qualification, explanation="neither is true")
    ana.enter(server, "ana")
    ana.agree()
    keys = ana.page.keyboard
    keys.press("x")
    ana.says("feedback", "Right. Neither is true")
    expect(ana.at("response-a")).to_contain_text("qualification 0")  # its own item
    ana.picture("feedback")
    ana.press("Enter")
    ana.press("1")
    keys.press("h")
    entry = ana.page.locator("#past li").first
    expect(entry).to_contain_text("A much better")
    ana.picture("history")
    before = ana.item
    entry.get_by_role("button").click()
    ana.drawn(before)
    ana.says("given", "A much better")
    ana.press("7")
    ana.says("saved", "corrected")
    keys.press("t")
    expect(ana.page.locator("#question textarea")).to_be_focused()
    keys.type("Is this about the film?")
    keys.press("Enter")
    expect(ana.page.locator("#lines li")).to_have_count(1)
    with database.read() as session:
        first, held = session.scalars(select(Assignment.id).order_by(Assignment.id)).all()[1:3]
    lead = a_lead(database)
    reply(database, lead, held, "Yes, <b>only</b> about the film.")
    reply(database, lead, first, "Well judged.")
    keys.press("Escape")
    keys.press("t")
    expect(ana.page.locator("#lines li").nth(1)).to_contain_text("<b>only</b>")
    expect(ana.page.locator("#elsewhere")).to_contain_text("Well judged.")
    ana.picture("thread")
    keys.press("Escape")
    keys.press("g")
    expect(ana.at("guidelines")).to_be_visible()
    keys.press("Escape")
    keys.press("?")
    expect(ana.at("keys-help")).to_contain_text("the words that differ")
    keys.press("Escape")
    expect(ana.at("keys-help")).not_to_be_visible()
    publish(database, project, "# Rules\n\nBe kinder.")
    ana.reload()
    expect(ana.at("changes")).to_contain_text("Be kinder.")
    ana.picture("new guidelines")
    ana.agree()
    assert ana.item == str(held)
    assert [label.revision for label in server.labels()] == [1, 1, 2]


def test_an_answer_is_sent_until_it_is_stored(server, ana):
    a_project(server.database, items=4)
    page, sending, hearing = ana.page, Gate(ana.page, JOIN), Gate(ana.page, "**/queue/data*")
    ana.enter(server, "ana")
    ana.drawn("")
    first = ana.item
    sending.cut()
    page.keyboard.press("1")
    page.wait_for_selector("#banner")
    ana.says("banner", "not saved yet")
    assert server.labels() == [] and ana.item == first
    sending.open()
    page.wait_for_function("before => ![before, ''].includes(document.documentElement?.dataset.item || '')", arg=first)
    assert [label.answer["kind"] for label in server.labels()] == ["choice"]
    second = ana.item
    hearing.cut()  # it arrives, and the page doesn't hear of it
    page.keyboard.press("7")
    page.wait_for_selector("#banner")
    hearing.open()
    page.wait_for_function(
        "before => ![...before, ''].includes(document.documentElement?.dataset.item || '')", arg=[first, second]
    )
    assert [label.revision for label in server.labels()] == [1, 1]
    assert len({label.submission_id for label in server.labels()}) == 2


def test_names_for_a_screen_reader(server, ana):
    a_project(server.database, items=2, rest_minutes=50)
    ana.enter(server, "ana")
    ana.drawn("")
    page = ana.page
    for role, name in (
        ("region", "Prompt"),
        ("region", "Response A"),
        ("button", "A is much better, key 1"),
        ("button", "equally good, key 4"),
        ("button", "Both are bad, key X"),
        ("group", "Which response is better?"),
    ):
        expect(page.get_by_role(role, name=name)).to_be_visible()
    for _ in range(2):  # also after Gradio has drawn an answer
        expect(ana.at("saved")).to_have_attribute("aria-live", "polite")
        ana.press("4")
        if not ana.item:
            break
    assert page.evaluate(
        "async () => (await import('/static/annotate/differs.js')).alone([...'abcd'], [...'xbcy'])"
    ) == [[0, 3], [0, 3]]


def test_a_reminder_to_rest(server, ana):
    a_project(server.database, items=1, rest_minutes=50)
    ana.enter(server, "ana")
    ana.drawn("")
    expect(ana.at("rest")).to_have_count(0)
    ana.page.evaluate(
        "name => sessionStorage.setItem(name, JSON.stringify({since: Date.now() - 51 * 60000, until: Date.now()}))",
        f"labeling:{find_person(server.database, None, 'ana')}:work",
    )
    ana.says("rest", "worked for 51 minutes")
    ana.picture("rest")
    ana.page.get_by_role("button", name="remind me later").click()
    expect(ana.at("rest")).to_have_count(0)
