"""What the labeling page says, in words. Plain functions of what the verbs return."""

from itertools import pairwise
from typing import Any

from labeling_app.answers import Answer
from labeling_app.web.pages.render import plain
from labeling_app.work.labels import Feedback, Receipt
from labeling_app.work.tasks import IdleReason, Progress

SIDES = ("A", "B")
MUCH_LONGER, WORTH_SAYING = 2.0, 40

# A heading, one sentence, and what to do.
NOTICES: dict[IdleReason, tuple[str, str]] = {
    "finished": ("All done", "Everything that this project asks for is judged. Choose another project, or rest."),
    "waiting": ("Nothing free right now", "What is left is in other hands. Look again in a few minutes."),
    "empty": ("No items yet", "The lead has not put in any items. Look again later."),
    "closed": ("This project is closed", "What you said is kept. Choose another project."),
    "paused": ("Your account is paused", "What you said is kept. Ask the lead."),
    "unqualified": ("Not qualified", "The test set was not passed. Ask the lead what to do next."),
    "consent": ("The guidelines", "Read them, and agree to them before you judge."),
}
NO_PROJECT = ("No project yet", "The lead has not begun a project. Look again later.")


def saved_in_words(receipt: Receipt) -> str:
    if receipt.late:
        return "✓ saved; the item had gone to somebody else in the meantime"
    return "✓ corrected" if receipt.revision > 1 else "✓ saved"


def feedback_in_words(feedback: Feedback) -> str:
    verdict = "Right." if feedback.right else f"Expected: {answer_in_words(feedback.expected)}."
    why = (feedback.explanation or "").strip()
    return f"{verdict} {why[:1].upper()}{why[1:]}".strip()


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
