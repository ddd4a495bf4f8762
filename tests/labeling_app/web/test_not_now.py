"""A store that can't be reached or written to: said with 503 on every way in, without a word of the driver's."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from labeling_app.store import Database
from labeling_app.web.security import COOKIE
from labeling_app.web.server import create_entrance
from tests.labeling_app.web.lead.visiting import ADDRESS, PAGE, seen
from tests.labeling_app.web.running import PASSWORD, account

WAYS = [
    ("GET", "/"),
    ("GET", "/lead/"),
    ("POST", "/lead/projects"),
    ("GET", "/app/"),
    ("POST", "/app/gradio_api/queue/join"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/invitation/token"),
    ("POST", "/invitation/token"),
]
SECRETS = ("zebedee", "psycopg", "socket", "connection")


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[TestClient]:
    """The application over a server that isn't there, and a browser that has a session."""
    database = Database(f"postgresql+psycopg://zebedee@/labels?host={tmp_path}")
    app = create_entrance(database, host="127.0.0.1", port=7860)
    client = TestClient(app, base_url=ADDRESS, headers={"origin": ADDRESS}, follow_redirects=False)
    client.cookies.set(COOKIE, "token")
    yield client
    client.close()
    database.close()


@pytest.mark.parametrize(("method", "path"), WAYS)
def test_a_store_that_can_not_be_reached(
    unreachable: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    for headers in (PAGE, {"accept": "application/json"}):
        answer = unreachable.request(method, path, headers=headers, data={"username": "ana"} if "log" in path else None)
        assert answer.status_code == 503 and answer.headers["retry-after"] == "10", answer.text
        assert not any(word in answer.text for word in (*SECRETS, str(tmp_path)))
        assert "content-security-policy" in answer.headers
    assert "database can't be used" in answer.json()["error"]
    logged = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert any(str(tmp_path) in one for one in logged)  # where the server's own people look


def test_the_page_leads_to_itself(unreachable: TestClient) -> None:
    page = seen(unreachable.get("//elsewhere.example/lead", headers=PAGE | {"cookie": "session=x"}))
    assert all(not link.startswith("//") for link in page.links())
    assert "/lead/people" in seen(unreachable.get("/lead/people", headers=PAGE)).links()


def test_whether_the_store_answers_is_told_without_details(unreachable: TestClient) -> None:
    answer = unreachable.get("/healthz")
    assert answer.status_code == 503 and answer.json() == {"status": "The database can't be used."}


def test_a_full_disk_at_the_login_is_no_wrong_password(sqlite_database: Database) -> None:
    account(sqlite_database, "ana")
    sqlite_database.engine.dispose()

    @event.listens_for(sqlite_database.engine, "connect")
    def _nothing_more(connection, record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA query_only=ON")

    app = create_entrance(sqlite_database, host="127.0.0.1", port=7860)
    with TestClient(app, base_url=ADDRESS, headers={"origin": ADDRESS, **PAGE}) as client:
        answer = client.post("/login", data={"username": "ana", "password": PASSWORD})
    assert answer.status_code == 503 and "Not now" in seen(answer).words and "nothing was stored" in answer.text
