"""What the labeling page shows, as plain values: texts for its Gradio components, and the state that its script draws.

Prompts, responses and guidelines are Markdown, rendered on the server. All else is a small JSON object in a hidden
field: what the item asks for, what was said or typed so far, and whether the last answer is stored.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from labeling_app.web.pages.render import plain, prompt_html, response_html
from labeling_app.web.pages.words import (
    NO_PROJECT,
    NOTICES,
    answer_in_words,
    feedback_in_words,
    lengths_in_words,
    progress_in_words,
    saved_in_words,
)
from labeling_app.work.labels import Receipt
from labeling_app.work.tasks import Idle, Progress, Task

CORRECTION = "c"  # behind the number of an item that is looked at again


@dataclass(frozen=True)
class View:
    """One state of the page.

    Attributes:
        item: what names this state of the page; the page takes keys again when it has drawn it. Empty without an item.
        state: what the page's script draws (`labeling_app/web/static/annotate/page.js` lists it).
    """

    item: str
    state: dict[str, Any]
    prompt: str = ""
    responses: tuple[str, ...] = ()
    progress: str = ""
    saved: str = ""
    ranks: bool = False

    def told(self, person: int) -> str:
        """The state for the page's script, which keeps nothing of one person for another."""
        return in_json(self.state | {"item": self.item, "person": person})


def in_json(state: dict[str, Any]) -> str:
    """A state as text; no two are alike, so that the page sees that it was answered."""
    return json.dumps({"turn": secrets.token_hex(4), **state}, ensure_ascii=False, separators=(",", ":"))


def no_project() -> View:
    return View("", {"phase": "notice", "notice": NO_PROJECT})


def view_of(found: Task | Idle, receipt: Receipt | None = None, submission: str = "") -> View:
    """The page of a task, or of the reason why there is none.

    Args:
        receipt: of the answer that was stored just before, under the submission id.
    """
    saved = "" if receipt is None else saved_in_words(receipt)
    stored = submission if receipt is not None else ""
    if isinstance(found, Idle):
        phase = "consent" if found.reason == "consent" else "notice"
        state = {"phase": phase, "notice": NOTICES[found.reason], "stored": stored} | shares(found.progress)
        return View("", state, progress=progress_in_words(found.progress), saved=saved)
    item = f"{found.assignment_id}{CORRECTION if found.given else ''}"
    return View(
        item=item,
        state=_state_of(found) | {"stored": stored},
        prompt=prompt_html(found.prompt, item),
        responses=tuple(response_html(response, item) for response in found.responses),
        progress=progress_in_words(found.progress, found.qualification),
        saved=saved,
        ranks=found.mode == "ranking",
    )


def feedback_state(receipt: Receipt, submission: str) -> str:
    """A qualification item is answered, and stays on the page beside what is said of the answer."""
    if receipt.feedback is None:
        raise ValueError("this was no qualification item")
    feedback = {"right": receipt.feedback.right, "words": feedback_in_words(receipt.feedback)}
    return in_json({"phase": "feedback", "stored": submission, "feedback": feedback})


def shares(progress: Progress | None) -> dict[str, Any]:
    """How much of the work is done, for the bar on top."""
    if progress is None or progress.wanted <= 0:
        return {}
    return {"share": round(min(progress.team / progress.wanted, 1.0), 4)}


def _state_of(task: Task) -> dict[str, Any]:
    settings = task.settings
    state: dict[str, Any] = {
        "phase": "work",
        "mode": task.mode,
        "count": len(task.responses),
        "by_enter": task.mode == "ranking" or settings.more_than_the_choice,
        "rationale": settings.rationale,
        "rest": settings.rest_minutes,
        "version": task.guideline_version,
    } | shares(task.progress)
    if settings.axes:
        state["axes"] = [axis.model_dump() for axis in settings.axes]
    if settings.safety_flag:
        state["safety"] = True
    if settings.edit and task.mode == "comparison":
        state["texts"] = [plain(response) for response in task.responses]
    if lengths := lengths_in_words(task.responses):
        state["lengths"] = lengths
    if task.given is not None:
        state |= {"given": task.given.as_json(), "said": answer_in_words(task.given)}
    if task.draft is not None:
        state["draft"] = task.draft
    return state
