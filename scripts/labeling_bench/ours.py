"""Our server, and an annotator at its page who sends over HTTP what the page sends, and nothing else.

The events are read from the page's own description: which components an event takes, which ones it changes, and
whether it goes through Gradio's queue. So whatever becomes of the page, this sends what a browser would.
"""

import json
import secrets
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from labeling_bench.processes import MeasureFailed, free_port, serving

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
API = "/app/gradio_api"
# The form as the page's script has it before anything is chosen.
EMPTY_DRAFT = {"selected": None, "order": [], "rationale": "", "ratings": {}, "unsafe": [], "edits": {}}


@contextmanager
def our_server(folder: Path, database: str) -> Iterator[str]:
    """The app on a store, in a process of its own; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "labeling_app", "serve", "--db", database, "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with serving(command, f"{address}/healthz", folder, {"PYTHONPATH": str(ROOT)}):
        yield address


@dataclass
class OurAnnotator:
    """Somebody with the labelling page open."""

    address: str
    name: str
    client: httpx.AsyncClient = field(init=False)
    config: dict[str, Any] = field(init=False)
    values: dict[int, Any] = field(init=False)
    ids: dict[str, int] = field(init=False)
    session: str = field(default_factory=lambda: secrets.token_hex(6))

    async def begin(self) -> None:
        """Log in, load the page, and get the first item."""
        self.client = httpx.AsyncClient(base_url=self.address, headers={"origin": self.address}, timeout=60)
        entered = await self.client.post("/login", data={"username": self.name, "password": PASSWORD})
        if entered.status_code != 303:
            raise MeasureFailed(f"{self.name} was not let in.", remedy="see the server's log.")
        self.config = (await self.client.get("/app/config")).json()
        self.values = {one["id"]: one["props"].get("value") for one in self.config["components"]}
        self.ids = {one["props"].get("elem_id"): one["id"] for one in self.config["components"]}
        await self._send(self._event(None, "load"))
        if not self._told("item"):
            raise MeasureFailed("The page shows no item.", remedy="see the server's log.")

    async def answer(self, thinking: float) -> dict[str, float]:
        """Judge the item that is shown; seconds until the next one is here, and this one is saved."""
        submission = str(uuid.uuid4())
        facts = {
            "item": self._told("item"),
            "draft": EMPTY_DRAFT,
            "here": True,
            "answer": {"kind": "choice", "strength": -1},
            "submission": submission,
            "seconds": thinking,
            "idle": 0,
        }
        self.values[self.ids["facts"]] = json.dumps(facts)
        event = self._event(self.ids["do-send"], "click")
        began = time.perf_counter()
        await self._send(event)
        took = time.perf_counter() - began
        if self._told("stored") == submission and not self._told("item"):
            raise MeasureFailed("There are no more items.", remedy="measure with more items, or for fewer seconds.")
        if self._told("stored") != submission or self._told("item") == facts["item"]:
            raise MeasureFailed(
                "An answer was not saved.", remedy=f"the page was told {self.values[self.ids['state']]}"
            )
        return {"answer and next": took}

    async def end(self) -> None:
        await self.client.aclose()

    def _told(self, name: str) -> str:
        """What the server told the page's script last."""
        return str(json.loads(self.values[self.ids["state"]] or "{}").get(name, ""))

    def _event(self, component: int | None, kind: str) -> dict[str, Any]:
        """The event that reaches the server when this happens to that component; `load` happens to the page."""
        for event in self.config["dependencies"]:
            for target, name in event["targets"]:
                if name == kind and component in (None, target) and event["backend_fn"]:
                    return dict(event)
        raise MeasureFailed(f"The page has no event {kind!r}.", remedy="this bench is older than the page.")

    async def _send(self, event: dict[str, Any]) -> None:
        body = {
            "data": [self.values[number] for number in event["inputs"]],
            "event_data": None,
            "fn_index": event["id"],
            "trigger_id": event["targets"][0][0],
            "session_hash": self.session,
        }
        output = await (self._queued(body) if event["queue"] is not False else self._at_once(body))
        for number, change in zip(event["outputs"], output["data"], strict=True):
            if not isinstance(change, dict) or change.get("__type__") != "update":
                self.values[number] = change
            elif "value" in change:
                self.values[number] = change["value"]

    async def _at_once(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(f"{API}/run/predict", json=body)
        if answer.status_code != 200:
            raise MeasureFailed(f"An event was answered by {answer.status_code}.", remedy="see the server's log.")
        return dict(answer.json())

    async def _queued(self, body: dict[str, Any]) -> dict[str, Any]:
        joined = await self.client.post(f"{API}/queue/join", json=body)
        if joined.status_code != 200:
            raise MeasureFailed(f"An event was answered by {joined.status_code}.", remedy="see the server's log.")
        found: dict[str, Any] | None = None
        async with self.client.stream("GET", f"{API}/queue/data", params={"session_hash": self.session}) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line[6:]) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise MeasureFailed("An event failed.", remedy="see the server's log.")
                    found = message["output"]
                elif message.get("msg") == "close_stream":
                    break
        if found is None:
            raise MeasureFailed("An event got no answer.", remedy="see the server's log.")
        return found
