"""Behind a proxy with HTTPS: the page works there, and its cookies go nowhere else."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright
from sqlalchemy import func, select

from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from labeling_app.store.tables import Label
from tests.labeling_app.made import a_project
from tests.labeling_app.web.browsing import Annotator, chromium
from tests.labeling_app.web.running import Server, account, free_port, started, stop
from tests.labeling_app.web.tls import https_before


@pytest.mark.slow
def test_the_page_by_https(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    database, inner = Database(url), free_port()
    migrate(database)
    account(database, "ana")
    a_project(database, items=3)
    with https_before(inner, tmp_path) as port:
        name = f"localhost:{port}"
        process, _ = started(url, inner, "--https", "--name", name)
        try:
            with sync_playwright() as playwright, chromium(playwright) as browser:
                context = browser.new_context(ignore_https_errors=True)
                ana, asked = Annotator(context.new_page()), set()
                ana.page.on("request", lambda request: asked.add(urlsplit(request.url)[:2]))
                ana.enter(Server(f"https://{name}", database), "ana")
                ana.drawn("")
                ana.press("1")
                cookies = {cookie["name"]: cookie for cookie in context.cookies(f"https://{name}/login")}
                context.close()
        finally:
            stop(process)
    assert asked == {("https", name)} and ana.complaints == []
    assert set(cookies) == {"session", "browser"}
    assert all(one["secure"] and one["httpOnly"] and one["sameSite"] == "Strict" for one in cookies.values())
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Label)) == 1
    database.close()
