"""The page's events, sent by hand: whatever is put into them, a person can touch only what is theirs."""

import json
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from labeling_app.store.tables import Assignment, AssignmentStatus, Label, User
from labeling_app.work.claims import next_task
from labeling_app.work.tasks import Task
from tests.labeling_app.made import a_project
from tests.labeling_app.web.events import Tab
from tests.labeling_app.web.running import Server, account, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(f"sqlite:///{tmp_path_factory.mktemp('events') / 'labels.db'}") as server:
        account(server.database, "ana")
        account(server.database, "ben")
        yield server


def events(client: httpx.Client) -> list[dict]:
    """Every event of the page that reaches the server."""
    return [event for event in client.get("/app/config").json()["dependencies"] if event["backend_fn"]]


def send(client: httpx.Client, event: dict, data: list) -> dict:
    """Run an event as the page does, and return what it answers."""
    number = event["id"]
    body = {"data": data[: len(event["inputs"])], "fn_index": number, "session_hash": f"hash-{number}", "trigger_id": 0}
    joined = client.post("/app/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return {"refused": joined.status_code}
    with client.stream("GET", f"/app/gradio_api/queue/data?session_hash=hash-{number}") as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") in ("process_completed", "close_stream"):
                return dict(message)
    return {}


def task_of(server: Server, user: int, project: int) -> Task:
    task = next_task(server.database, user, project)
    assert isinstance(task, Task)
    return task


def test_anothers_item_can_neither_be_answered_nor_seen(server):
    project = a_project(server.database, items=[{"prompt": "secret", "responses": ["one", "two"]}])
    ana, ben = (person.id for person in people(server))
    held = task_of(server, ana, project)
    client = server.session("ben")
    facts = forged(held)
    before = labels(server)
    for event in events(client):
        answer = send(client, event, [project, facts])
        assert "secret" not in json.dumps(answer)
    assert labels(server) == before
    with server.database.read() as session:
        assignment = session.get_one(Assignment, held.assignment_id)
        assert (assignment.user_id, assignment.status) == (ana, AssignmentStatus.open)
        assert session.scalars(select(Assignment).where(Assignment.user_id == ben)).all() == []


DEEP = "[" * 100_000
LARGE = json.dumps({"item": "9" * 19, "answer": {"kind": "choice", "strength": 10**30}, "before": 10**30})
ODD = json.dumps(
    {"item": ["1"], "answer": [], "submission": 5, "seconds": "x", "draft": 3, "question": {}, "before": -1}
)
NONSENSE = [[], [None] * 2, ["x", "x"], [1, {"a": 1}], [10**30, "{"], [True, DEEP], [1, LARGE], [1, ODD], [1.5, "[]"]]


@pytest.mark.parametrize("data", NONSENSE)
def test_nonsense_is_answered_without_a_trace_of_the_program(server, data):
    client = server.session("ben")
    for event in events(client):
        told = json.dumps(send(client, event, data))
        assert "Traceback" not in told and "labeling_app" not in told and "sqlalchemy" not in told.lower()


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"session_hash": ' + "[" * 100_000, "[]", "{}", "1", '{"session_hash": 1}']
)
def test_what_is_no_event_is_refused(server, body):
    answer = server.session("ana").post("/app/gradio_api/queue/join", content=body)
    assert answer.status_code == 422 and answer.json() == {"error": "This is no event of the page."}


def test_the_order_of_the_sides_is_not_told(server):
    item = {"prompt": "p", "responses": ["one", "two"], "origins": ["model-x", "model-y"]}
    project = a_project(server.database, items=[item])
    client = server.session("ana")
    for event in events(client):
        told = json.dumps(send(client, event, [project, "{}"]))
        assert "model-x" not in told and "shown_order" not in told and '"order"' not in told


def test_what_is_called_by_name_is_checked_too(server):
    # Gradio hides a private event's name, and runs it all the same.
    project = a_project(server.database, items=[{"prompt": "secret", "responses": ["one", "two"]}])
    ana = next(person.id for person in people(server) if person.name == "ana")
    held = task_of(server, ana, project)
    client, before = server.session("ben"), labels(server)
    facts = forged(held)
    for event in events(client):
        body = {"data": [project, facts][: len(event["inputs"])]}
        client.post(f"/app/gradio_api/call/{event['api_name']}", json=body)
    send(client, events(client)[0], [project, facts])  # what was called before has run by now
    assert labels(server) == before


def test_a_page_of_before_a_restart_goes_on(server):
    project = a_project(server.database, items=2)
    ana = next(person.id for person in people(server) if person.name == "ana")
    held, before = task_of(server, ana, project), labels(server)
    tab = Tab(server.session("ana"))  # never loaded: Gradio knows nothing of what it had offered to this page
    facts = {"item": str(held.assignment_id), "answer": {"kind": "choice", "strength": 3}, "submission": "kept"}
    event = tab.event("do-send")
    told = tab.run(event, event.filled({"project": project, "facts": json.dumps(facts)}))
    assert told["success"] and "saved" in json.dumps(told) and len(labels(server)) == len(before) + 1


def forged(held: Task) -> str:
    """Everything that an event could want, about another's item."""
    said = {"answer": {"kind": "choice", "strength": 3}, "submission": "forged", "seconds": 1}
    more = {"draft": {"rationale": "mine now"}, "question": "whose is it?", "before": 10**6}
    return json.dumps({"item": str(held.assignment_id)} | said | more)


def people(server: Server) -> list:
    with server.database.read() as session:
        return list(session.scalars(select(User).where(User.name.in_(("ana", "ben"))).order_by(User.name)))


def labels(server: Server) -> list[str]:
    with server.database.read() as session:
        return list(session.scalars(select(Label.uid).order_by(Label.id)))
