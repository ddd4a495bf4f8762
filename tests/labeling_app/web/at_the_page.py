"""Somebody at the labeling page without a browser: what the page's script sends, and what it is told."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.labeling_app.web.events import Tab, shown


@dataclass
class Desk:
    """The page as somebody has it open.

    Attributes:
        shown: the newest values of its components, by their elem_id.
    """

    client: httpx.Client
    shown: dict[str, Any] = field(default_factory=lambda: {"state": "{}", "panel": "{}", "project": None})

    def __post_init__(self) -> None:
        self.tab = Tab(self.client)

    @property
    def state(self) -> dict[str, Any]:
        """What the page's script was told last of the item."""
        return dict(json.loads(self.shown["state"]))

    @property
    def panel(self) -> dict[str, Any]:
        """What was opened last beside it."""
        return dict(json.loads(self.shown["panel"]))

    def load(self) -> dict[str, Any]:
        """Load the page."""
        return self.click("page")

    def click(self, name: str, **facts: Any) -> dict[str, Any]:
        """Click a button by its elem_id, with what the script tells; returns what changes, by elem_id."""
        event = self.tab.event(name)
        told = json.dumps({"item": self.state.get("item", ""), **facts})
        answer = self.tab.run(event, event.filled({"project": self.shown["project"], "facts": told}))
        assert answer.get("success"), answer
        changed = shown(event, answer)
        self.shown |= changed
        return changed

    def say(self, answer: dict[str, Any], submission: str | None = None) -> dict[str, Any]:
        """Send an answer to the item that is shown."""
        name = "do-send-ranking" if self.state.get("mode") == "ranking" else "do-send"
        return self.click(name, answer=answer, submission=submission or uuid.uuid4().hex, seconds=1.5)
