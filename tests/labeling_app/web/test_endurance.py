"""Fifty annotators at the real server, which is killed ten times: whatever it has said to be stored is stored, once."""

from collections import Counter

import httpx
import pytest
from sqlalchemy import func, select

from labeling_app.accounts.people import create_person
from labeling_app.accounts.sessions import log_in
from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from labeling_app.store.tables import Assignment, AssignmentStatus, Item, Label, Role, User
from tests.labeling_app.made import a_project
from tests.labeling_app.web.events import events_of
from tests.labeling_app.web.pages_crowd import Crowd
from tests.labeling_app.web.running import PASSWORD, Server, account, free_port, started, stop

PEOPLE, ITEMS, OVERLAP, KILLS, BETWEEN_KILLS = 50, 2_000, 3, 10, 20


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_ten_times_while_fifty_people_work(database_url: str) -> None:
    database = Database(database_url)
    migrate(database)
    project = a_project(database, items=ITEMS, overlap=OVERLAP)
    port = free_port()
    process, address = started(database_url, port)
    server = Server(address, database)
    try:
        clients = {name: browser_of(server, name) for name in people(database)}
        crowd = Crowd(project, events_of(next(iter(clients.values()))))
        crowd.begin(clients)
        for _ in range(KILLS):
            crowd.wait_for(BETWEEN_KILLS)
            process.kill()
            process.wait()
            assert_whole(database, crowd)
            process, _ = started(database_url, port)
        crowd.wait_for(BETWEEN_KILLS)
        crowd.wait_for_all()
        crowd.end()
    finally:
        for client in server.clients:
            client.close()
        stop(process)
    assert crowd.refused == []
    assert_whole(database, crowd)
    assert len(crowd.acknowledged) >= (KILLS + 1) * BETWEEN_KILLS
    database.close()


def people(database: Database) -> list[str]:
    """The names of new people. They share one password, and so its hash, which takes long to make."""
    first = account(database, "person-0")
    names = [f"person-{number}" for number in range(PEOPLE)]
    others = [create_person(database, None, name, Role.annotator) for name in names[1:]]
    with database.write() as session:
        password_hash = session.get_one(User, first).password_hash
        for person in others:
            session.get_one(User, person).password_hash = password_hash
    return names


def browser_of(server: Server, name: str) -> httpx.Client:
    """A browser whose session was opened beside the server: logging in is not what is tested here."""
    client = server.client()
    client.cookies.set("session", log_in(server.database, name, PASSWORD, "10.0.0.1"))
    return client


def assert_whole(database: Database, crowd: Crowd) -> None:
    """What was acknowledged is stored once; nobody judged an item twice; no item is in more hands than it may be."""
    told = list(crowd.acknowledged)
    taken = Assignment.status.in_((AssignmentStatus.open, AssignmentStatus.done))
    with database.read() as session:
        stored = Counter(session.scalars(select(Label.submission_id)))
        twice = select(Label.item_id).group_by(Label.item_id, Label.user_id).having(func.count() > 1)
        judged_twice = session.scalars(twice).all()
        hands = select(Assignment.item_id, func.count().label("n")).where(taken).group_by(Assignment.item_id).subquery()
        slots = session.execute(
            select(Item.open_slots, func.coalesce(hands.c.n, 0)).outerjoin(hands, hands.c.item_id == Item.id)
        ).all()
    assert set(told) <= set(stored) and len(set(told)) == len(told)
    assert max(stored.values()) == 1 and judged_twice == []
    assert {free + held for free, held in slots} == {OVERLAP} and min(free for free, _ in slots) >= 0
