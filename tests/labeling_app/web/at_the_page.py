"""The labeling page without a browser: its events over HTTP, as the page's script sends them."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Desk:
    """Somebody at the page.

    Attributes:
        shown: the newest values of the page's components, by their elem_id.
    """

    client: httpx.Client
    shown: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.client.get("/app/config").json()
        self.names = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
        self.events = [event for event in config["dependencies"] if event["backend_fn"]]
        self.shown = {"facts": "{}"}

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
        return self.run(next(event for event in self.events if event["targets"][0][1] == "load"))

    def click(self, name: str, **facts: Any) -> dict[str, Any]:
        """Click a button by its elem_id, with what the script tells; returns what changes, by elem_id."""
        self.shown["facts"] = json.dumps({"item": self.state.get("item", "") if "state" in self.shown else "", **facts})
        return self.run(
            next(
                event
                for event in self.events
                if any(self.names.get(component) == name and kind == "click" for component, kind in event["targets"])
            )
        )

    def say(self, answer: dict[str, Any], submission: str | None = None, **facts: Any) -> dict[str, Any]:
        """Send an answer to the item that is shown."""
        name = "do-send-ranking" if self.state.get("mode") == "ranking" else "do-send"
        return self.click(name, answer=answer, submission=submission or uuid.uuid4().hex, seconds=1.5, **facts)

    def run(self, event: dict[str, Any]) -> dict[str, Any]:
        data = [self.shown.get(str(self.names[component])) for component in event["inputs"]]
        session = uuid.uuid4().hex
        body = {"data": data, "fn_index": event["id"], "session_hash": session, "trigger_id": 0}
        joined = self.client.post("/app/gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        changed: dict[str, Any] = {}
        with self.client.stream("GET", f"/app/gradio_api/queue/data?session_hash={session}") as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    for component, value in zip(event["outputs"], message["output"]["data"], strict=True):
                        if not isinstance(value, dict) or value.get("__type__") != "update":
                            changed[str(self.names[component])] = value
                        elif "value" in value:
                            changed[str(self.names[component])] = value["value"]
                    break
        self.shown |= changed
        return changed
