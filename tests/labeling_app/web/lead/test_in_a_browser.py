"""A lead's five minutes, in a real browser: a project is begun, filled and staffed, and its labels come out."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.labeling_app.web.browsing import PATIENCE_MS, Annotator
from tests.labeling_app.web.running import PASSWORD, Server

pytestmark = pytest.mark.slow

LOOKS = {
    "": {"viewport": {"width": 1280, "height": 860}},
    "-dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 390, "height": 844}},
}


def visitor(browser: Browser, **options: object) -> Annotator:
    return Annotator(browser.new_context(**options).new_page())  # type: ignore[arg-type]


def come_in(person: Annotator, server: Server, name: str) -> None:
    person.enter(server, name)
    person.page.wait_for_url(re.compile(r"/lead/$"))


def test_a_project_from_its_beginning_to_its_export(browser: Browser, server: Server, tmp_path: Path) -> None:
    rows = [{"prompt": f"Film {n}", "responses": [f"dull {n}", f"great <b>{n}</b>"]} for n in range(3)]
    file = tmp_path / "films.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    dora = visitor(browser, **LOOKS[""])
    page = dora.page
    come_in(dora, server, "dora")
    expect(page.locator("h1")).to_have_text("Begin your first project")
    dora.picture("lead-empty")
    page.click("main a.button")
    page.fill("#name", "Films")
    page.fill("#overlap", "1")
    page.click("text=Begin the project")
    expect(page.locator(".said")).to_contain_text("“Films” is begun")
    page.set_input_files("#file", file)
    page.click("text=Look at it first")
    expect(page.locator("main")).to_contain_text("great <b>0</b>")
    expect(page.locator("main")).to_contain_text("What it will cost")
    dora.picture("lead-import")
    page.click("button[value=import]")
    expect(page.locator(".said")).to_contain_text("3 items added")
    invite(page)
    dora.picture("lead-link")
    label(browser, server, page.inner_text("#link").strip())
    page.goto(f"{server.address}/lead/")
    expect(page.locator(".project")).to_contain_text("1 of 3 judgements")
    page.click(".project h2 a")
    page.click(".tabs >> text=Export")
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.click("text=Download")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        (row,) = (json.loads(line) for line in archive.read("labels/preferences.jsonl").splitlines())
    assert row["chosen"].startswith(("dull", "great")) and row["prompt"].startswith("Film")
    assert page.url.endswith("/export")
    assert dora.hosts == {server.address.removeprefix("http://")} and dora.complaints == []
    pictures(browser, server)


def invite(page: Page) -> None:
    page.click(".sections >> text=People")
    page.fill("#name", "ana")
    page.click("text=Make a link for them")
    expect(page.locator("#link")).to_contain_text("/invitation/")


def label(browser: Browser, server: Server, link: str) -> None:
    """Ana follows her link, agrees to the guidelines, and judges an item."""
    ana = visitor(browser)
    ana.page.goto(link)
    ana.page.fill("#password", PASSWORD)
    ana.page.fill("#again", PASSWORD)
    ana.page.click("button")
    expect(ana.page.locator("h1")).to_have_text("Your password is set")
    ana.enter(server, "ana")
    ana.agree()
    ana.press("1")
    expect(ana.page.locator("#saved")).to_contain_text("saved")
    ana.page.context.close()


def pictures(browser: Browser, server: Server) -> None:
    """Every page in each look: none is wider than its window, and no script complains."""
    for look, options in LOOKS.items():
        dora = visitor(browser, **options)
        come_in(dora, server, "dora")
        for name in ("", "projects/new", "people", "log", *(f"projects/1/{tab}" for tab in TABS)):
            dora.page.goto(f"{server.address}/lead/{name}")
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert dora.page.evaluate(wider) <= 0, name
            dora.picture(f"lead-{name.rpartition('/')[2] or 'projects'}{look}")
        assert dora.complaints == []
        dora.page.context.close()


TABS = ("items", "guidelines", "export", "settings")
