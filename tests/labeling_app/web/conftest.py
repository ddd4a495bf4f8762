"""What the tests in a browser share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.labeling_app.web.browsing import Annotator, chromium
from tests.labeling_app.web.running import Server, account, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        yield browser


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on a file of its own, with two annotators."""
    with running(f"sqlite:///{tmp_path / 'labels.db'}") as server:
        account(server.database, "ana")
        account(server.database, "ben")
        yield server


@pytest.fixture
def ana(browser: Browser) -> Iterator[Annotator]:
    """A browser of her own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Annotator(context.new_page())
    context.close()
