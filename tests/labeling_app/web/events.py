"""The page's events, sent without a browser: what a person with tools could send."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

JOIN, DATA = "/app/gradio_api/queue/join", "/app/gradio_api/queue/data"


@dataclass(frozen=True)
class Event:
    """One event of the page.

    Attributes:
        number: by which it is called.
        names: that Gradio gives it, and the elements that set it off.
        inputs: element id and type of each component whose value it brings.
        outputs: element ids, in the order of what is answered.
    """

    number: int
    api_name: str
    targets: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]

    def filled(self, values: dict[str, Any]) -> list[Any]:
        """What the event brings: these values by element id, and something of the right kind for all others."""
        return [values.get(name, SOMETHING.get(kind)) for name, kind in self.inputs]


SOMETHING: dict[str, Any] = {"textbox": "forged", "number": 1, "checkbox": True, "dropdown": 1, "radio": 1, "slider": 1}


def events_of(client: httpx.Client) -> list[Event]:
    """Every event that reaches the server, as the page itself is told."""
    config = client.get("/app/config").json()
    known = {one["id"]: (one["props"].get("elem_id") or f"#{one['id']}", one["type"]) for one in config["components"]}
    return [
        Event(
            number=one["id"],
            api_name=str(one["api_name"]),
            targets=tuple(known.get(target, ("page", ""))[0] for target, _ in one["targets"]),
            inputs=tuple(known[component] for component in one["inputs"]),
            outputs=tuple(known[component][0] for component in one["outputs"]),
        )
        for one in config["dependencies"]
        if one["backend_fn"]
    ]


@dataclass
class Tab:
    """The page as it is open in somebody's browser: Gradio knows it by its session hash."""

    client: httpx.Client
    session_hash: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.events = self.events or events_of(self.client)

    def event(self, *targets: str) -> Event:
        """The event that one of these elements sets off."""
        return next(event for event in self.events if set(targets) & set(event.targets))

    def load(self) -> dict[str, Any]:
        """What happens when the page is opened. Only then does Gradio take a project that it has offered there."""
        event = self.event("page")
        return self.run(event, event.filled({"project": None, "facts": "{}"}))

    def joined(self, event: Event, data: list[Any]) -> httpx.Response:
        """Put an event into the queue."""
        body = {"data": data, "fn_index": event.number, "session_hash": self.session_hash, "trigger_id": 0}
        return self.client.post(JOIN, json=body)

    def run(self, event: Event, data: list[Any]) -> dict[str, Any]:
        """Run an event as the page does; what it answers, or `{"refused": status}`."""
        answer = self.joined(event, data)
        if answer.status_code != 200:
            return {"refused": answer.status_code}
        with self.client.stream("GET", DATA, params={"session_hash": self.session_hash}) as stream:
            if stream.status_code != 200:
                return {"refused": stream.status_code}
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") in ("process_completed", "close_stream"):
                    return dict(message)
        return {}


def shown(event: Event, answer: dict[str, Any]) -> dict[str, Any]:
    """What the page would show then: values by element id; nothing for elements that stay as they are."""
    found = {}
    for name, value in zip(event.outputs, answer.get("output", {}).get("data", []), strict=False):
        if not isinstance(value, dict):
            found[name] = value
        elif "value" in value:
            found[name] = value["value"]
    return found
