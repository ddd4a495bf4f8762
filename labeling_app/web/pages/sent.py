"""What an event of the page brings.

Nothing of it is believed: who acts is the session's person alone, and the item that the browser names is looked up
among this person's own.
"""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from labeling_app.errors import NotFound
from labeling_app.web.pages.view import CORRECTION

LONGEST_FACTS = 300_000
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Sent:
    """One event.

    Attributes:
        user: the session's person.
        facts: what the page's script tells: the item, an answer, times, a submission id.
    """

    user: int
    project: int
    facts: dict[str, Any]

    @property
    def item(self) -> str:
        return self.text("item")

    @property
    def assignment(self) -> int:
        """The assignment that the event is about.

        Raises:
            NotFound: it names none.
        """
        digits = self.item.removesuffix(CORRECTION)
        if not digits.isdecimal() or len(digits) > 19 or int(digits) > LARGEST_ID:
            raise NotFound("There is no such item in your hands.", remedy="load the page again.")
        return int(digits)

    @property
    def is_first_answer(self) -> bool:
        """Whether the page shows an item in somebody's hands, and not an answer that is looked at again."""
        return bool(self.item) and not self.item.endswith(CORRECTION)

    def text(self, name: str) -> str:
        value = self.facts.get(name, "")
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float:
        value = self.facts.get(name, 0)
        return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else 0.0

    def table(self, name: str) -> dict[str, Any]:
        value = self.facts.get(name)
        return value if isinstance(value, dict) else {}


def sent(project: object, facts: object, request: gr.Request) -> Sent:
    """An event as it came: the project's dropdown, the script's facts, and who asks."""
    number = project if isinstance(project, int) and 0 <= project <= LARGEST_ID else 0
    return Sent(int(request.username or 0), number, _facts(facts))


def _facts(facts: object) -> dict[str, Any]:
    try:
        found = json.loads(facts[:LONGEST_FACTS] or "{}") if isinstance(facts, str) else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
