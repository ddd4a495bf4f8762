"""The overview and adjudication in a real browser: what refreshes itself, what is drawn, and a decision."""

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from labeling_app.store.tables import Decision
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, add_items, people, some_items
from tests.labeling_app.web.browsing import Annotator
from tests.labeling_app.web.running import Server

pytestmark = pytest.mark.slow


def test_a_lead_follows_the_work_and_decides(server: Server, browser: Browser) -> None:
    project = a_project(server.database, overlap=3, rationale="optional")
    items = add_items(server.database, project, some_items(60))
    three = people(server.database, 3)
    for number, item in enumerate(items):
        for place, user in enumerate(three):
            strength = (2, 1, -2)[place] if number % 5 == 0 else (2, 3, 2)[place]
            said, order = choice(strength, rationale="it says why"), (number % 2, 1 - number % 2)
            judge(server.database, item, user, said, order=order, seconds=9 + number % 7)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    dora = Annotator(context.new_page())
    page = dora.page
    dora.enter(server, "dora")
    page.wait_for_url("**/lead/**")
    page.goto(f"{server.address}/lead/projects/{project}/")
    assert page.inner_text("#labels-today").split()[0] == "180" and page.inner_text("#disputes").split()[0] == "12"
    assert page.locator(".plot svg[role=img]").count() >= 5
    widths = page.eval_on_selector_all(".plot svg", "all => all.map(one => one.getBoundingClientRect().width)")
    assert min(widths) > 250
    dora.picture("overview")

    page.click("th a:has-text('Time')")
    page.wait_for_url("**sort=seconds**")
    assert page.get_attribute("th:has-text('Time')", "aria-sort") == "descending"

    for scheme, width in (("dark", 1280), ("light", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        dora.picture(f"overview, {scheme}, {width}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})

    page.goto(f"{server.address}/lead/projects/{project}/adjudication")
    dora.picture("adjudication, queue")
    page.click("#begin")
    page.wait_for_selector("input[name=decision]", state="attached")
    assert "1 of 12 to decide" in page.inner_text("h1")
    page.check("input[name=decision][value='2']", force=True)
    page.fill("#note", "The second says why.")
    dora.picture("adjudication, item")
    page.click("button:has-text('Decide')")
    page.wait_for_selector(".said")
    assert "Decided: B clearly better." in page.inner_text(".said") and "1 of 11 to decide" in page.inner_text("h1")
    with server.database.read() as session:
        assert [one.answer for one in session.scalars(select(Decision))] == [choice(2)]
    assert dora.hosts == {server.address.removeprefix("http://")} and dora.complaints == []
    context.close()


def test_the_figures_refresh_themselves(server: Server, browser: Browser) -> None:
    project = a_project(server.database)
    (first, second), (ana,) = add_items(server.database, project, some_items(2)), people(server.database, 1)
    judge(server.database, first, ana, choice(1))
    context = browser.new_context()
    dora = Annotator(context.new_page())
    page = dora.page
    dora.enter(server, "dora")
    page.wait_for_url("**/lead/**")
    page.goto(f"{server.address}/lead/projects/{project}/")
    assert page.inner_text("#labels-today").split()[0] == "1"
    judge(server.database, second, ana, choice(1))
    # Half a minute between two looks; the page is never loaded again as a whole.
    page.evaluate("window.sameDocument = true")
    expect(page.locator("#labels-today")).to_contain_text("2 in all")
    assert page.evaluate("window.sameDocument") and dora.complaints == []
    context.close()
