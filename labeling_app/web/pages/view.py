"""What the labeling page shows, as plain values: the Gradio components get them, and tests read them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labeling_app.answers import Answer
from labeling_app.web.pages.render import plain, prompt_html, response_html
from labeling_app.work.labels import Receipt
from labeling_app.work.tasks import Idle, IdleReason, Progress, Task

SIDES = ("A", "B")
CORRECTION = "c"  # behind the number of an item that is looked at again
MUCH_LONGER, WORTH_SAYING = 2.0, 40

NOTICES: dict[IdleReason, str] = {
    "finished": "### All done\nEverything that this project asks for is judged. Choose another project, or rest.",
    "waiting": "### Nothing free right now\nWhat is left is in other hands. Look again in a few minutes.",
    "empty": "### No items yet\nThe lead has not put in any items. Look again later.",
    "closed": "### This project is closed\nWhat you said is kept. Choose another project.",
    "paused": "### Your account is paused\nWhat you said is kept. Ask the lead.",
    "unqualified": "### Not qualified\nThe test set was not passed. Ask the lead what to do next.",
    "consent": "### The guidelines\nRead them, and agree to them before you judge.",
}


@dataclass(frozen=True)
class View:
    """One state of the page.

    Attributes:
        item: what names this state of the page; the page takes keys again when it has drawn it. Empty without an item.
        notice: what is said where there is no item.
        given: the answer so far in words, where an item is looked at again.
    """

    item: str
    notice: str
    prompt: str = ""
    responses: tuple[str, ...] = ()
    lengths: str = ""
    progress: str = ""
    saved: str = ""
    given: str = ""
    rationale: str = ""
    ranks: bool = False
    asks_consent: bool = False
    wants_rationale: bool = False
    submits_by_enter: bool = False


def view_of(found: Task | Idle, receipt: Receipt | None = None) -> View:
    """The page of a task, or of the reason why there is none."""
    saved = "" if receipt is None else saved_in_words(receipt)
    if isinstance(found, Idle):
        return View(
            item="",
            notice=NOTICES[found.reason],
            progress=progress_in_words(found.progress),
            saved=saved,
            asks_consent=found.reason == "consent",
        )
    draft = found.draft or {}
    given = found.given
    rationale = draft.get("rationale") or (given.rationale if given else None) or ""
    return View(
        item=f"{found.assignment_id}{CORRECTION if given else ''}",
        notice="",
        prompt=prompt_html(found.prompt),
        responses=tuple(response_html(response) for response in found.responses),
        lengths=lengths_in_words(found.responses),
        progress=progress_in_words(found.progress, found.qualification),
        saved=saved,
        given="" if given is None else f"You said: **{answer_in_words(given)}**. Choose again to correct it.",
        rationale=str(rationale),
        ranks=found.mode == "ranking",
        wants_rationale=found.settings.rationale != "off",
        submits_by_enter=found.settings.more_than_the_choice,
    )


def saved_in_words(receipt: Receipt) -> str:
    if receipt.feedback is not None:
        verdict = "Right." if receipt.feedback.right else f"Expected: {answer_in_words(receipt.feedback.expected)}."
        return f"{verdict} {receipt.feedback.explanation or ''}".strip()
    if receipt.late:
        return "✓ saved; the item had gone to somebody else in the meantime"
    return "✓ corrected" if receipt.revision > 1 else "✓ saved"


def progress_in_words(progress: Progress | None, qualification: tuple[int, int] | None = None) -> str:
    if qualification is not None:
        return f"test item {qualification[0]} of {qualification[1]}"
    if progress is None:
        return ""
    pace = "" if progress.seconds_per_item is None else f" · {progress.seconds_per_item:.0f} s each"
    return f"{progress.mine:,} by you · {progress.team:,} of {progress.wanted:,} by all{pace}"


def answer_in_words(answer: Answer) -> str:
    """A judgement of what was shown, as a person would say it."""
    if answer.kind == "skip":
        return f"skipped: {answer.reason}"
    if answer.kind == "both_bad":
        return "both bad"
    if answer.ranks is not None:
        return ranking_in_words(answer.ranks)
    strength = answer.strength or 0
    if strength == 0:
        return "equal"
    return f"{SIDES[strength > 0]} {('a bit better', 'clearly better', 'much better')[abs(strength) - 1]}"


def ranking_in_words(ranks: list[int]) -> str:
    """The responses' numbers, the best first: "2 > 1 = 3"."""
    best_first = sorted(range(len(ranks)), key=lambda number: ranks[number])
    words = [str(best_first[0] + 1)]
    for before, number in pairwise(best_first):
        words += ["=" if ranks[number] == ranks[before] else ">", str(number + 1)]
    return " ".join(words)


def lengths_in_words(responses: list[Any]) -> str:
    """A note where one of two responses is much longer: length is easily taken for quality."""
    words = [len(plain(response).split()) for response in responses]
    if len(words) != 2 or max(words) < WORTH_SAYING or max(words) < MUCH_LONGER * max(min(words), 1):
        return ""
    longer = SIDES[words[1] > words[0]]
    return f"{longer} is much longer: {words[0]:,} and {words[1]:,} words."
