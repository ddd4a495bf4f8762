"""A real browser: Debian's Chromium, driven by Playwright."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, Playwright, Route, expect

from tests.labeling_app.web.running import PASSWORD, Server

QUIET = ["no-first-run", "disable-gpu", "disable-quic", "disable-background-networking"]
QUIET += ["disable-component-update", "disable-sync", "no-sandbox"]
CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
JOIN = "**/queue/join*"  # by which the page sends its events
CUT_OFF = ("AbortError", "Connection errored out", "ERR_ABORTED")
# The tests share a few cores with others: a page may be slow, and none of them says anything of how slow.
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)


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

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        # As on a plain HTTP address of a host that isn't this one.
        self.page.add_init_script("delete Crypto.prototype.randomUUID")

    def enter(self, server: Server, name: str) -> None:
        """Log in; the page is on its way then."""
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

    def reload(self) -> None:
        """Load the page again. A request that is under way is cut off then, and Gradio complains of it."""
        before = len(self.complaints)
        self.page.reload()
        said = self.complaints[before:]
        self.complaints[before:] = [one for one in said if not any(words in one for words in CUT_OFF)]

    @property
    def item(self) -> str:
        """What names the item that is drawn."""
        return str(self.page.evaluate("document.documentElement?.dataset.item || ''"))

    def drawn(self, before: str) -> None:
        """Wait until another item than that is drawn."""
        self.page.wait_for_function("before => (document.documentElement?.dataset.item || '') !== before", arg=before)

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

    def at(self, name: str) -> Locator:
        """An element by its id, for `expect`, which waits until it is as it should be."""
        return self.page.locator(f"[id='{name}']")

    def says(self, name: str, text: str) -> None:
        """Wait until an element says this, among other things: Gradio may draw it after the item."""
        expect(self.at(name)).to_contain_text(text)

    def text(self, name: str) -> str:
        """The text of an element that has one."""
        expect(self.at(name)).to_have_text(re.compile(r"\S"))
        return self.page.inner_text(f"[id='{name}']").strip()

    def picture(self, name: str) -> None:
        """Keep a screenshot where LABELING_SCREENSHOTS names a folder."""
        if folder := os.environ.get("LABELING_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png")


class Gate:
    """Where requests of a page can be held back or cut off. It is there from the page's beginning: Chromium sometimes
    lets a request through that follows on a gate which was put up a moment before."""

    def __init__(self, page: Page, requests: str):
        self.handle: Callable[[Route], object] = Route.continue_
        page.route(requests, lambda route: self.handle(route))

    def open(self) -> None:
        self.handle = Route.continue_

    def cut(self) -> None:
        """Like a network that is gone."""
        self.handle = Route.abort

    @contextmanager
    def closed(self) -> Iterator[list[Route]]:
        """Requests are on their way for as long as this lasts."""
        waiting: list[Route] = []
        self.handle = waiting.append
        yield waiting
        self.open()
        for route in waiting:
            route.continue_()
