"""Coming in and going out, and who is not let in."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from labeling_app.accounts.invitations import invite
from labeling_app.accounts.people import create_person, pause
from labeling_app.store.tables import Base, Role
from tests.labeling_app.made import a_project
from tests.labeling_app.web.running import PASSWORD, Server, account, running

PAGE = {"accept": "text/html"}
# Routes of Gradio that it answers to anybody by itself, and others that its pages use.
GUARDED = [
    "/app/config",
    "/app/theme.css",
    "/app/manifest.json",
    "/app/gradio_api/startup-events",
    "/app/gradio_api/app_id",
    "/app/gradio_api/info",
    "/app/gradio_api/heartbeat/x",
    "/app/gradio_api/queue/data?session_hash=x",
    "/app/gradio_api/queue/status",
    "/app/gradio_api/file=/etc/passwd",
]
EVENTS = [f"/app/gradio_api/{name}" for name in ("queue/join", "run/predict", "call/handle", "upload")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a project, an annotator and one who is paused."""
    folder: Path = tmp_path_factory.mktemp("server")
    with running(f"sqlite:///{folder / 'labels.db'}") as server:
        account(server.database, "ana")
        account(server.database, "ben")
        a_project(server.database, items=5)
        yield server


def dump(server: Server) -> list:
    """Everything that is stored, but for what a look at a page changes: the time of a session's last request."""
    tables = [table.name for table in Base.metadata.sorted_tables if table.name not in ("session", "login_failure")]
    with server.database.read() as session:
        return [session.execute(text(f'SELECT * FROM "{name}"')).all() for name in tables]


def test_the_way_in_and_out(server):
    client = server.client()
    assert client.get("/", headers=PAGE).headers["location"] == "/app/"
    assert client.get("/app/", headers=PAGE).headers["location"] == "/login"
    page = client.get("/login")
    assert page.status_code == 200 and 'name="username"' in page.text and 'name="password"' in page.text
    entered = client.post("/login", data={"username": "ana", "password": PASSWORD})
    assert entered.headers["location"] == "/app/"
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    assert client.get("/app/", headers=PAGE).status_code == 200
    token = client.cookies["session"]
    assert client.post("/logout").headers["location"] == "/login?ended=true"
    # The token is dead, not only forgotten by the browser.
    assert server.client().get("/app/config", headers={"cookie": f"session={token}"}).status_code == 401


def test_a_wrong_password_is_said_without_saying_what_was_wrong(server):
    client = server.client()
    said = [client.post("/login", data={"username": name, "password": "wrong password"}) for name in ("ana", "nobody")]
    assert [one.status_code for one in said] == [401, 401]
    assert said[0].text.replace("ana", "") == said[1].text.replace("nobody", "")


def test_a_person_comes_in_by_their_link(server):
    person = create_person(server.database, None, "cleo", Role.annotator)
    link = f"/invitation/{invite(server.database, None, person)}"
    client = server.client()
    assert "Welcome, cleo" in client.get(link).text
    assert client.post(link, data={"password": PASSWORD, "again": "another one"}).status_code == 400
    assert client.post(link, data={"password": "short", "again": "short"}).status_code == 400
    assert client.post(link, data={"password": PASSWORD, "again": PASSWORD}).status_code == 200
    assert client.post(link, data={"password": PASSWORD, "again": PASSWORD}).status_code == 404
    assert server.session("cleo").get("/app/", headers=PAGE).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
def test_nothing_of_the_work_is_told_to_nobody(server, path):
    answer = server.client().get(path)
    assert answer.status_code == 401 and answer.json() == {"error": "Your session has ended. Log in again."}


@pytest.mark.parametrize("path", EVENTS)
def test_no_event_runs_for_nobody_nor_for_the_paused_nor_from_another_page(server, path):
    paused_person = account(server.database, f"paused by {path}")
    paused = server.session(f"paused by {path}")
    pause(server.database, None, paused_person, "because")
    ana = server.session("ana")
    before = dump(server)
    body = {"fn_index": 0, "data": [1, "1", "{}", ""], "session_hash": "x"}
    assert server.client().post(path, json=body).status_code == 401
    assert paused.post(path, json=body).status_code == 401
    for origin in ("http://evil.example", "null", f"{server.address}.evil.example"):
        assert ana.post(path, json=body, headers={"origin": origin}).status_code == 403
    assert ana.post(path, json=body, headers={"origin": "", "sec-fetch-site": "cross-site"}).status_code == 403
    assert dump(server) == before


def test_another_host_name_is_refused(server):
    assert server.client().get("/login", headers={"host": "evil.example"}).status_code == 421


def test_a_forwarded_host_is_not_believed(server):
    ana = server.session("ana")
    for path in ("/app/", "/app/config"):
        answer = ana.get(path, headers=PAGE | {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
        assert answer.status_code == 200 and "evil.example" not in answer.text


def test_a_password_is_never_sent_back(server):
    for fields in (
        {"username": "ana", "password": "secret" * 100},
        {"password": "secret" * 10},
        {"username": "x" * 300},
    ):
        answer = server.client().post("/login", data=fields)
        assert answer.status_code == 401 and "secret" not in answer.text


def test_no_page_describes_the_api(server):
    ana = server.session("ana")
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert ana.get(path).status_code == 404


def test_a_large_body_is_refused(server):
    ana = server.session("ana")
    assert ana.post("/app/gradio_api/queue/join", content=b"x" * 1_000_001).status_code == 413
    parts = (b"x" * 100_000 for _ in range(20))  # a body that doesn't say how long it is
    with suppress(httpx.TransportError):  # the server may hang up in the middle of it, which is a refusal too
        assert ana.post("/app/gradio_api/queue/join", content=parts).status_code >= 400


def test_pages_carry_the_policy(server):
    for answer in (server.client().get("/login"), server.session("ana").get("/app/", headers=PAGE)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe-eval" not in policy
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
        nonce = policy.split("'nonce-")[1].split("'")[0]
        assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"')


def test_own_origin_alone_may_read(server):
    ana = server.session("ana")
    answer = ana.get("/app/config", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
