"""A real browser: Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright

from tests.labeling_app.web.running import PASSWORD, Server

QUIET = ["no-first-run", "disable-gpu", "disable-quic", "disable-background-networking"]
QUIET += ["disable-component-update", "disable-sync", "no-sandbox"]
CANDIDATES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The browser, closed at the end."""
    program = next(filter(None, map(shutil.which, CANDIDATES)), None)
    if program is None:
        raise FileNotFoundError("the tests need Chromium: apt-get install chromium (scripts/test.sh does it as root)")
    browser = playwright.chromium.launch(executable_path=program, args=[f"--{option}" for option in QUIET])
    yield browser
    browser.close()


@dataclass
class Annotator:
    """Somebody at the labeling page.

    Attributes:
        hosts: every host that the page has asked for anything.
        complaints: errors in the browser's console and in scripts.
    """

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def enter(self, server: Server, name: str) -> None:
        """Log in, and wait for the page."""
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{server.address}/app/")
        self.page.fill("#username", name)
        self.page.fill("#password", PASSWORD)
        self.page.click("button")

    def agree(self) -> None:
        self.page.click("#agree")
        self.page.wait_for_selector("#response-a", state="visible")
        self.drawn("")

    @property
    def item(self) -> str:
        """What names the item that is drawn."""
        return str(self.page.evaluate("document.documentElement.dataset.item || ''"))

    def drawn(self, before: str) -> None:
        """Wait until another item than that is drawn."""
        self.page.wait_for_function("before => (document.documentElement.dataset.item || '') !== before", arg=before)

    def press(self, *keys: str) -> None:
        """Press keys that end in the next item."""
        before = self.item
        for key in keys:
            self.page.keyboard.press(key)
        self.drawn(before)

    def click(self, *names: str) -> None:
        """Click what ends in the next item."""
        before = self.item
        for name in names:
            self.page.click(f"#{name}")
        self.drawn(before)

    def says(self, name: str) -> str:
        """The text of an element, once Gradio has taken its own remarks on progress out of it."""
        quiet = "name => !document.getElementById(name).innerText.includes('processing')"
        self.page.wait_for_function(quiet, arg=name)
        return self.page.inner_text(f"#{name}").strip()

    def picture(self, name: str) -> None:
        """Keep a screenshot where LABELING_SCREENSHOTS names a folder."""
        if folder := os.environ.get("LABELING_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png")
