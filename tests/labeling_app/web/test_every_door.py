"""Every route and every event, as the application itself lists them, tried by those who may not.

A route or an event that is added is tried with the others: under /lead a lead alone gets anywhere, under /app nobody
without a session does and what the page doesn't use leads nowhere, and whatever else there is must be named here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from labeling_app.accounts.people import pause
from labeling_app.store.database import utc_now
from labeling_app.store.tables import Assignment, Base, Label, Role, Session
from labeling_app.web.used_routes import is_used
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Task
from tests.labeling_app.made import a_project
from tests.labeling_app.web.events import DATA, JOIN, Event, Tab, events_of
from tests.labeling_app.web.every_route import filled, routes_of
from tests.labeling_app.web.running import Server, account, running

SECRET = "kept-from-others"
# Outside of /app and /lead anybody gets an answer from these alone.
PUBLIC = {
    ("GET", "/"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/invitation/{token}"),
    ("POST", "/invitation/{token}"),
    ("GET", "/healthz"),
    ("GET", "/favicon.ico"),
    ("GET", "/static/{path:path}"),
    ("POST", "/static/{path:path}"),
}
# A form with something in the fields that many forms have.
FORM = {"name": "forged", "reason": "forged", "text": SECRET, "password": "forged password", "again": "forged password"}
FOREIGN = ["http://evil.example", "null"]


@dataclass(frozen=True)
class House:
    """A running server with people in it.

    Attributes:
        ana, ben, dora, paused, expired: browsers that have logged in; dora leads, the last two may no longer come in.
        held, done: assignments of ana's, of items that nobody else may see.
    """

    server: Server
    project: int
    users: dict[str, int]
    ana: httpx.Client
    ben: httpx.Client
    dora: httpx.Client
    paused: httpx.Client
    expired: httpx.Client
    held: int
    done: int
    routes: list[tuple[str, str]]

    def path(self, path: str) -> str:
        values = {"project": str(self.project), "project_id": str(self.project), "person": str(self.users["ana"])}
        return filled(path, values)

    def under(self, folder: str) -> list[tuple[str, str]]:
        """The routes there."""
        return [(method, path) for method, path in self.routes if path == folder or path.startswith(f"{folder}/")]

    def everything(self, but: tuple[str, ...] = ("session", "login_failure", "known_browser")) -> dict[str, list[Any]]:
        """All that is stored, but for what coming in changes."""
        tables = [table.name for table in Base.metadata.sorted_tables if table.name not in but]
        with self.server.database.read() as session:
            return {name: list(session.execute(text(f'SELECT * FROM "{name}"'))) for name in tables}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = f"sqlite:///{tmp_path_factory.mktemp('doors') / 'labels.db'}"
    with running(url) as server:
        database = server.database
        users = {name: account(database, name) for name in ("ana", "ben", "paused", "expired")}
        users["dora"] = account(database, "dora", Role.lead)
        items = [{"prompt": f"{SECRET} {n}", "responses": [f"{SECRET} a", f"{SECRET} b"]} for n in range(2)]
        project = a_project(database, items=items)
        done = task_of(next_task(database, users["ana"], project))
        answer = {"kind": "choice", "strength": 1}
        submit(database, users["ana"], done.assignment_id, answer, "first", seconds=1)
        held = task_of(next_task(database, users["ana"], project))
        clients = {name: server.session(name) for name in users}
        pause(database, None, users["paused"], "because")
        end_session(server, users["expired"])
        # Of the routes only the paths are asked for: what the second application's store holds is of no matter.
        routes = routes_of(url)
        yield House(server, project, users, held=held.assignment_id, done=done.assignment_id, routes=routes, **clients)


def task_of(found: object) -> Task:
    assert isinstance(found, Task)
    return found


def end_session(server: Server, user: int) -> None:
    with server.database.write() as session:
        ago = utc_now() - timedelta(seconds=1)
        session.execute(update(Session).where(Session.user_id == user).values(expires_at=ago))


def ask(client: httpx.Client, method: str, path: str, **headers: str) -> httpx.Response:
    """A request with a form, or a body that an event could have."""
    if method in ("GET", "HEAD", "OPTIONS"):
        with client.stream(method, path, headers=headers) as answer:  # some never end
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
            return answer
    if path.startswith("/app"):
        body = {"data": [1, "1", "{}", "", ""], "fn_index": 0, "session_hash": "x", "event_data": None}
        return client.request(method, path, json=body, headers=headers)
    return client.request(method, path, data=FORM, headers=headers)


def told(answer: httpx.Response) -> str:
    return answer.text if answer.is_stream_consumed else ""


def test_every_route_is_known(house):
    """What stands outside of /app and /lead has no guard, so each such route is named."""
    outside = {one for one in house.routes if not one[1].startswith(("/app", "/lead"))}
    assert outside == PUBLIC
    # The walk has found what it was to find: FastAPI's, Gradio's, and those that Gradio includes.
    assert {("GET", "/lead/"), ("GET", "/app/config"), ("POST", "/app/gradio_api/upload")} <= set(house.routes)


@pytest.mark.parametrize("who", ["nobody", "paused", "expired"])
def test_without_a_session_nothing_is_told_or_written(house, who):
    client = house.server.client() if who == "nobody" else getattr(house, who)
    before, tried = house.everything(), 0
    for method, path in [*house.under("/app"), *house.under("/lead")]:
        answer = ask(client, method, house.path(path))
        assert answer.status_code == 401, (method, path)
        assert method == "HEAD" or answer.json() == {"error": "Your session has ended. Log in again."}
        page = ask(client, method, house.path(path), accept="text/html")
        assert (page.status_code, page.headers.get("location")) in ((303, "/login"), (401, None)), (method, path)
        tried += 1
    assert tried > 40 and house.everything() == before


def test_what_is_open_to_all_tells_nothing(house):
    before = house.everything()
    for method, path in sorted(PUBLIC):
        answer = ask(house.server.client(), method, house.path(path))
        assert SECRET not in told(answer) and "Traceback" not in told(answer)
    assert house.everything() == before


def test_the_leads_pages_are_for_leads(house):
    before, routes = house.everything(), house.under("/lead")
    for method, path in routes:
        for accepted in ("*/*", "text/html"):
            answer = ask(house.ana, method, house.path(path), accept=accepted)
            assert answer.status_code == 403 and SECRET not in told(answer), (method, path)
    assert house.everything() == before
    # And leads do get somewhere: the refusals above are not those of pages that aren't there.
    assert house.dora.get("/lead/").status_code == 200
    for method, path in routes:
        if method == "GET":
            assert ask(house.dora, method, house.path(path)).status_code in (200, 303, 404), (method, path)


def test_nothing_is_changed_from_another_origin(house):
    before = house.everything(but=("login_failure", "known_browser"))
    changing = [(method, path) for method, path in house.routes if method not in ("GET", "HEAD", "OPTIONS")]
    assert len(changing) > 20
    for method, path in changing:
        for origin in FOREIGN:
            assert ask(house.dora, method, house.path(path), origin=origin).status_code == 403, (method, path)
        cross = {"origin": "", "sec-fetch-site": "cross-site"}
        assert ask(house.dora, method, house.path(path), **cross).status_code == 403, (method, path)
    assert house.everything(but=("login_failure", "known_browser")) == before


def test_what_the_page_does_not_use_leads_nowhere(house):
    before, refused = house.everything(), set()
    for method, path in house.under("/app"):
        below = house.path(path).removeprefix("/app")
        if not is_used(method, below):
            assert ask(house.ana, method, house.path(path)).status_code == 404, (method, path)
            refused.add(below)
    for word in ("upload", "file=1", "file/1", "info", "proxy=1", "component_server", "api/1", "call/1", "run/1"):
        assert f"/gradio_api/{word}" in refused, word
    assert house.everything() == before
    for path in (
        "/assets/../../gradio_api/info",
        "/gradio_api/file=/etc/passwd",
        "/static/.env",
        "/no/such",
        "/config/",
    ):
        answer = house.ana.request("GET", httpx.URL(house.server.address).copy_with(raw_path=f"/app{path}".encode()))
        assert answer.status_code == 404, path


def forged(house: House, event: Event, item: str, answer: object = None, submission: str = "") -> list[Any]:
    """What the event brings when somebody writes into it whatever suits them."""
    answer = {"kind": "choice", "strength": 3} if answer is None else answer
    facts = {
        "item": item,
        "answer": answer,
        "selected": answer,
        "submission": submission or f"forged {event.number} {item}",
        "seconds": 1,
        "by_enter": False,
        "draft": {"rationale": "forged"},
        "question": "forged",
        "order": [1, 0],
        "shown_order": [1, 0],
        "user": house.users["ana"],
        "user_id": house.users["ana"],
    }
    return event.filled({"project": house.project, "item": item, "facts": json.dumps(facts), "rationale": ""})


def test_no_event_runs_without_a_session_or_from_another_origin(house):
    before, events = house.everything(), events_of(house.ana)
    assert len(events) > 10
    for event in events:
        data = forged(house, event, str(house.held))
        for client in (house.server.client(), house.paused, house.expired):
            assert Tab(client, events=events).joined(event, data).status_code == 401
        body = {"data": data, "fn_index": event.number, "session_hash": "x"}
        for origin in FOREIGN:
            assert house.ana.post(JOIN, json=body, headers={"origin": origin}).status_code == 403
    assert house.everything() == before


def test_no_event_shows_or_changes_what_is_in_another_persons_hands(house):
    tab = Tab(house.ben)
    assert tab.load()["success"]  # that ben has looked is noted; nothing else of it may change
    before = house.everything()
    for event in tab.events:
        for item in (str(house.held), f"{house.held}c", str(house.done), f"{house.done}c"):
            answer = tab.run(event, forged(house, event, item))
            assert answer["success"], (event, item, answer)  # it came as far as our own code, which refused it
            assert SECRET not in json.dumps(answer), (event, item)
            assert house.everything() == before, (event, item)


def test_no_event_is_reached_by_its_name(house):
    before = house.everything()
    for event in events_of(house.ana):
        for way in ("run", "api", "call", "call/v2"):
            answer = house.ana.post(f"/app/gradio_api/{way}/{event.api_name}", json={"data": []})
            assert answer.status_code == 404
    assert house.everything() == before


def test_what_one_page_is_told_is_heard_by_no_other_person(house):
    ana = Tab(house.ana)
    event = ana.event("page")
    assert ana.joined(event, event.filled({"project": None, "facts": "{}"})).status_code == 200
    # Ben names ana's session hash, and gets what is his under it: he is told that there is nothing, or waits in vain.
    with house.ben.stream("GET", DATA, params={"session_hash": ana.session_hash}) as stream:
        for line in stream.iter_lines():
            assert SECRET not in line
            if "error" in line or "heartbeat" in line or "close_stream" in line:
                break
    with house.ana.stream("GET", DATA, params={"session_hash": ana.session_hash}) as stream:
        assert any(SECRET in line for line in stream.iter_lines())


def test_sides_are_the_servers_whatever_the_page_says_of_them(house):
    """Last: it answers what ana holds."""
    tab = Tab(house.ana)
    assert SECRET in json.dumps(tab.load())
    event, before = tab.event("do-send", "submit"), house.everything()
    for answer in ({"kind": "choice", "strength": 99}, {"kind": "choice", "strength": 1, "order": [1, 0]}, [], "x"):
        told = tab.run(event, forged(house, event, str(house.held), answer))
        assert "Not saved" in json.dumps(told), answer
        assert house.everything() == before
    tab.run(event, forged(house, event, str(house.held)))
    with house.server.database.read() as session:
        label = session.scalars(select(Label).where(Label.assignment_id == house.held)).one()
        order = session.get_one(Assignment, house.held).order
    # B was called much better: 3 where the server had put the second candidate there.
    assert label.answer["strength"] == (3 if order == [0, 1] else -3) and label.user_id == house.users["ana"]
