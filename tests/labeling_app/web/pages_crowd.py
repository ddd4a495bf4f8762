"""Annotators who work through the real server by the page's own events, and don't give up when it goes away."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.labeling_app.web.events import Event, Tab, shown

ROUGH = (httpx.TransportError, httpx.StreamError)
GIVE_UP_AFTER = 600


@dataclass
class Crowd:
    """What a crowd was told.

    Attributes:
        acknowledged: submission ids that the page was told are stored.
        handed: (person, item) of everything that was shown to somebody.
        refused: whatever else the page was told, which nobody should ever be.
    """

    project: int
    events: list[Event]
    acknowledged: list[str] = field(default_factory=list)
    handed: set[tuple[str, str]] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, clients: dict[str, httpx.Client]) -> None:
        """Let everybody work, each in a thread, until they are told to stop."""
        for name, client in clients.items():
            thread = threading.Thread(target=self._guarded, args=(Worker(self, name, client),))
            self.threads.append(thread)
            thread.start()

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many answers more are acknowledged."""
        wanted = len(self.acknowledged) + more
        self._wait_until(lambda: len(self.acknowledged) >= wanted)

    def wait_for_all(self) -> None:
        """Until everybody has had an item."""
        self._wait_until(lambda: len({name for name, _ in list(self.handed)}) == len(self.threads))

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + GIVE_UP_AFTER
        while not holds():
            assert time.monotonic() < deadline and any(thread.is_alive() for thread in self.threads), self.refused
            time.sleep(0.02)

    def _guarded(self, worker: "Worker") -> None:
        try:
            worker.work()
        except BaseException as error:
            self.refused.append(f"{worker.name}: {error!r}")


@dataclass
class Worker:
    """One annotator. Like the page's script, an answer is sent again, under its id, until it is said to be stored."""

    crowd: Crowd
    name: str
    client: httpx.Client
    pending: dict[str, Any] | None = None

    def work(self) -> None:
        while not self.crowd.stop.is_set():
            try:
                self._at_the_page()
            except ROUGH:
                time.sleep(0.2)  # the server is gone; the page is loaded again when it is back

    def _at_the_page(self) -> None:
        tab = Tab(self.client, events=self.crowd.events)
        state = self._state(tab.event("page"), tab.load())
        while state is not None and not self.crowd.stop.is_set():
            if self.pending is None:
                if not state.get("item"):
                    time.sleep(0.2)  # everything is in others' hands
                    return
                self.crowd.handed.add((self.name, str(state["item"])))
                self.pending = {
                    "item": state["item"],
                    "answer": {"kind": "choice", "strength": 1},
                    "submission": uuid.uuid4().hex,
                    "seconds": 1,
                }
            state = self._sent(tab)

    def _sent(self, tab: Tab) -> dict[str, Any] | None:
        """Send what is pending; the page's next state, or None where it has to be loaded again."""
        assert self.pending is not None
        event = tab.event("do-send")
        data = event.filled({"project": self.crowd.project, "facts": json.dumps(self.pending)})
        state = self._state(event, tab.run(event, data))
        if state is None:
            return None
        if state.get("stored") == self.pending["submission"]:
            self.crowd.acknowledged.append(self.pending["submission"])
            self.pending = None
        elif not state.get("again"):
            self.crowd.refused.append(f"{self.name}: {state}")
            return None
        return state

    def _state(self, event: Event, answer: dict[str, Any]) -> dict[str, Any] | None:
        """What the page's script is told; None where the event didn't end well, as when the server ends amid it."""
        told = shown(event, answer).get("state")
        if answer.get("refused") in (401, 403, 404, 422):
            self.crowd.refused.append(f"{self.name}: {answer}")
        if not isinstance(told, str):
            time.sleep(0.1)
            return None
        state: dict[str, Any] = json.loads(told)
        if "locked" in told:
            self.crowd.refused.append(f"{self.name}: {told}")
        return state
