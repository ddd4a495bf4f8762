"""From a key or a click in a real Chromium until the next item is drawn and the answer is said to be saved.

The page's own clock is read: from the input event's time to the frame after the one in which both were there.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from labeling_bench.figures import summary
from labeling_bench.ours import PASSWORD, our_server
from labeling_bench.processes import MeasureFailed
from labeling_bench.stores import filled

CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
BUTTONS = ("rate-a3", "rate-a2", "rate-a1", "rate-tie", "rate-b1", "rate-b2", "rate-b3")
PATIENCE = 60_000
WARM_UP = 5

STOPWATCH = """() => {
  const shown = () => ({
    item: document.documentElement.dataset.item || "",
    prompt: document.getElementById("prompt")?.textContent || "",
    saved: document.getElementById("saved")?.textContent || "",
  });
  const watch = { took: [], began: null, before: shown() };
  const begin = (event) => {
    if (!event.isTrusted || watch.began !== null) return;
    Object.assign(watch, { began: event.timeStamp, before: shown() });
  };
  addEventListener("keydown", begin, true);
  addEventListener("click", begin, true);
  const look = () => {
    const now = shown();
    const isNext = now.item && now.item !== watch.before.item && now.prompt !== watch.before.prompt;
    if (watch.began !== null && isNext && now.saved.includes("✓")) {
      const began = watch.began;
      requestAnimationFrame(() => { watch.took.push(performance.now() - began); watch.began = null; look(); });
    } else requestAnimationFrame(look);
  };
  look();
  window.stopwatch = watch;
}"""


def measure(items: int, answers: int, scratch: Path | None, console: Console) -> dict[str, Any]:
    """Answer so many items by keys and so many by clicks.

    Raises:
        MeasureFailed: there is no Chromium.
    """
    program = next(filter(None, map(shutil.which, CANDIDATES)), None)
    if program is None:
        raise MeasureFailed("There is no Chromium.", remedy="install it: apt-get install chromium")
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        with console.status(f"{items:,} items: filling the store"):
            database, _, _ = filled(Path(folder) / "labels.db", items, ["annotator"], password=PASSWORD)
            database.close()
        with (
            our_server(Path(folder), str(database.path)) as address,
            sync_playwright() as playwright,
            console.status(f"{items:,} items: {answers} answers by keys, {answers} by clicks"),
        ):
            browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(PATIENCE)
            _enter(page, address)
            keys = [_took(page, by_key=True, number=number) for number in range(WARM_UP + answers)][WARM_UP:]
            clicks = [_took(page, by_key=False, number=number) for number in range(answers)]
            version = browser.version
            browser.close()
    return {"items": items, "chromium": version, "key": summary(keys), "click": summary(clicks)}


def _enter(page: Page, address: str) -> None:
    page.goto(f"{address}/app/")
    page.fill("#username", "annotator")
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_function("() => document.documentElement.dataset.item")
    page.evaluate(STOPWATCH)


def _took(page: Page, *, by_key: bool, number: int) -> float:
    """Seconds for one answer."""
    known = page.evaluate("stopwatch.took.length")
    choice = number % len(BUTTONS)
    if by_key:
        page.keyboard.press(str(choice + 1))
    else:
        page.click(f"#{BUTTONS[choice]}")
    page.wait_for_function("known => stopwatch.took.length > known", arg=known)
    return float(page.evaluate("stopwatch.took.at(-1)")) / 1000
