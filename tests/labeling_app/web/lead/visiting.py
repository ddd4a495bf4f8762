"""Visitors of the lead's pages, without a browser: what is asked and answered is what a browser would see."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from fastapi import FastAPI
from sqlalchemy import select
from starlette.routing import Mount
from starlette.testclient import TestClient

from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry
from labeling_app.web.lead.uploads import Waiting
from labeling_app.web.server import create_entrance
from tests.labeling_app.clock import Clock
from tests.labeling_app.web.running import PASSWORD

ADDRESS = "http://127.0.0.1:7860"
PAGE = {"accept": "text/html"}


@dataclass
class Site:
    """The real application in this process, without the work at /app: Gradio leaves event loops behind."""

    database: Database
    clock: Clock
    app: FastAPI = field(init=False)
    clients: list[TestClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = create_entrance(self.database, host="127.0.0.1", port=7860)

    def waiting(self) -> list[Waiting]:
        """The uploads that wait for a word."""
        (mount,) = (route for route in self.app.routes if isinstance(route, Mount) and route.path == "/lead")
        return mount.app.state.uploads.waiting()  # type: ignore[attr-defined, no-any-return]

    def visitor(self) -> TestClient:
        """A browser without a session."""
        client = TestClient(self.app, base_url=ADDRESS, headers={"origin": ADDRESS, **PAGE}, follow_redirects=False)
        self.clients.append(client)
        return client

    def session(self, name: str) -> TestClient:
        """A browser that has logged in."""
        client = self.visitor()
        answer = client.post("/login", data={"username": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass(frozen=True)
class Seen:
    """A page as a browser understands it: its words, and its tags with their attributes."""

    words: str
    tags: list[tuple[str, dict[str, str | None]]]

    def field(self, name: str) -> str | None:
        """What the input of that name holds."""
        return next((tag.get("value") for kind, tag in self.tags if kind == "input" and tag.get("name") == name), None)

    def links(self) -> list[str]:
        return [str(tag["href"]) for kind, tag in self.tags if kind == "a"]


def seen(answer: Any) -> Seen:
    """A page that was answered."""
    assert answer.headers["content-type"].startswith("text/html"), answer.headers
    reader = _Read()
    reader.feed(answer.text)
    return Seen(re.sub(r"\s+", " ", " ".join(reader.words)).strip(), reader.tags)


def send(client: TestClient, address: str, **fields: Any) -> Any:
    """Send a form, and look where that leads to."""
    answer = client.post(address, data=fields)
    return client.get(answer.headers["location"]) if answer.status_code == 303 else answer


def settings_fields(**changed: str) -> dict[str, str]:
    """The fields of a form with a project's settings, as a browser sends them."""
    shares = dict.fromkeys(("gold_share", "repeat_share"), "0") | {"qualification_pass": "80"}
    times = {"lease_minutes": "10", "expected_seconds": "30", "rest_minutes": "45"}
    return {"overlap": "2", "rationale": "off"} | shares | times | changed


def actions(database: Database) -> list[str]:
    """What the audit log has, oldest first, without what prepared the test."""
    with database.read() as session:
        found = session.scalars(select(AuditEntry).where(AuditEntry.actor_id.is_not(None)).order_by(AuditEntry.id))
        return [entry.action for entry in found]
