"""What opens beside the work: guidelines, history, thread; plain values that the page's script draws as text."""

from typing import Any

from labeling_app.store import Database
from labeling_app.web.pages.render import plain, text_html
from labeling_app.web.pages.sent import Sent
from labeling_app.web.pages.words import answer_in_words
from labeling_app.work import notes
from labeling_app.work.consent import changes_since, current_guidelines
from labeling_app.work.history import Past, past

SHOWN_AT_ONCE = 30
LONGEST_SNIPPET = 240


def guidelines(database: Database, told: Sent) -> tuple[dict[str, Any], str]:
    """The newest version as HTML, and what changed since the version that this person had agreed to."""
    current = current_guidelines(database, told.user, told.project)
    changes = [] if current.consented else changes_since(database, told.user, told.project)
    panel = {
        "kind": "guidelines",
        "id": current.id,
        "version": current.version,
        "consented": current.consented,
        "changes": [[line.kind, line.text] for line in changes],
    }
    return panel, text_html(current.text)


def history(database: Database, told: Sent) -> dict[str, Any]:
    """Own answers, the newest first; `before` in the facts goes on from the end of what is shown."""
    before = int(told.number("before")) or None
    found = past(database, told.user, told.project, limit=SHOWN_AT_ONCE, before=before)
    return {
        "kind": "history",
        "more": len(found) == SHOWN_AT_ONCE,
        "before": before,
        "answers": [_answer(one) for one in found],
    }


def thread(database: Database, told: Sent) -> dict[str, Any]:
    """The thread about the item on the page, and where else the lead has answered."""
    lines = notes.own_thread(database, told.user, told.assignment) if told.item else []
    answered = notes.answered(database, told.user, told.project)
    return {
        "kind": "thread",
        "item": told.item,
        "lines": [
            {"author": "You" if line.mine else line.author, "mine": line.mine, "text": line.text} for line in lines
        ],
        "elsewhere": [
            {"assignment": one.assignment_id, "prompt": snippet(one.prompt), "text": snippet(one.text)}
            for one in answered
        ],
    }


def write(database: Database, told: Sent) -> dict[str, Any]:
    """Write to the lead, and read the thread again."""
    notes.ask(database, told.user, told.assignment, told.text("question"))
    return thread(database, told) | {"written": True}


def snippet(text: Any) -> str:
    """The end of a prompt, or the beginning of another text, on one line."""
    words = " ".join(plain(text[-1:] if isinstance(text, list) else text).split())
    return words if len(words) <= LONGEST_SNIPPET else words[:LONGEST_SNIPPET] + " …"


def _answer(one: Past) -> dict[str, Any]:
    answer = one.answer
    return {
        "assignment": one.assignment_id,
        "prompt": snippet(one.prompt),
        "responses": [snippet(response) for response in one.responses],
        "said": answer_in_words(answer),
        "side": "" if not answer.strength else "a" if answer.strength < 0 else "b",
        "rationale": answer.rationale or "",
        "at": one.at.isoformat(),
        "revision": one.revision,
        "late": one.late,
    }
