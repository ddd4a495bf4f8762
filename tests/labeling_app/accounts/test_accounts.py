"""Coming in: invitations, passwords, sessions, and what ends them."""

import threading

import pytest
from sqlalchemy import select

from labeling_app.accounts.invitations import accept, invite, look
from labeling_app.accounts.passwords import verify_password
from labeling_app.accounts.people import create_person, find_person, list_people, pause, resume
from labeling_app.accounts.sessions import log_in, log_out, user_of
from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry, Invitation, Item, LoginFailure, Role, Session, User
from labeling_app.work.claims import next_task
from tests.labeling_app.clock import Clock
from tests.labeling_app.made import a_lead, a_project, people

PASSWORD = "correct horse battery"


@pytest.fixture
def ana(database: Database) -> int:
    """An annotator with a password."""
    person = create_person(database, None, "Ana", Role.annotator)
    accept(database, invite(database, None, person), PASSWORD)
    return person


def test_in_by_an_invitation_and_out_again(database, ana):
    token = log_in(database, " ANA ", PASSWORD, "10.0.0.1")
    person = user_of(database, token)
    assert person is not None and (person.id, person.name, person.role) == (ana, "ana", Role.annotator)
    log_out(database, token)
    log_out(database, token)
    assert user_of(database, token) is None


def test_no_secret_is_stored(database, ana):
    link = invite(database, None, ana)
    token = log_in(database, "ana", PASSWORD, "10.0.0.1")
    with database.read() as session:
        stored = [
            *session.scalars(select(User.password_hash)),
            *session.scalars(select(Session.token_hash)),
            *session.scalars(select(Invitation.token_hash)),
        ]
    assert not any(secret in str(value) for value in stored for secret in (PASSWORD, link, token))
    assert any(str(value).startswith("$argon2id$") for value in stored)


def test_a_link_works_once_and_for_a_week(database, clock: Clock):
    person = create_person(database, None, "ana", Role.annotator)
    first = invite(database, None, person)
    second = invite(database, None, person)
    with pytest.raises(NotFound, match="used up"):
        look(database, first)  # a new link ends the old one
    assert look(database, second) == "ana" and accept(database, second, PASSWORD) == person
    with pytest.raises(NotFound):
        accept(database, second, PASSWORD)
    third = invite(database, None, person)
    clock.forward(days=7, seconds=1)
    with pytest.raises(NotFound):
        accept(database, third, PASSWORD)
    with pytest.raises(NotFound):
        look(database, "made up")


def test_a_new_password_ends_the_sessions_of_the_old_one(database, ana):
    token = log_in(database, "ana", PASSWORD, "10.0.0.1")
    accept(database, invite(database, None, ana), "another long password")
    assert user_of(database, token) is None
    with pytest.raises(NotAllowed):
        log_in(database, "ana", PASSWORD, "10.0.0.1")
    log_in(database, "ana", "another long password", "10.0.0.1")


@pytest.mark.parametrize("password", ["short", "x" * 201, "Ana"])
def test_a_weak_password_is_refused_and_the_link_stays(database, password):
    person = create_person(database, None, "ana", Role.annotator)
    link = invite(database, None, person)
    with pytest.raises(Refused):
        accept(database, link, password)
    accept(database, link, PASSWORD)


def test_sessions_expire_unused_and_in_the_end(database, ana, clock: Clock):
    unused = log_in(database, "ana", PASSWORD, "10.0.0.1")
    clock.forward(hours=12, seconds=1)
    assert user_of(database, unused) is None
    used = log_in(database, "ana", PASSWORD, "10.0.0.1")
    for _ in range(27):
        clock.forward(hours=11.9)
        assert user_of(database, used) is not None
    clock.forward(days=1)
    assert user_of(database, used) is None
    log_in(database, "ana", PASSWORD, "10.0.0.1")
    with database.read() as session:
        assert len(session.scalars(select(Session)).all()) == 1  # the expired ones are gone


def test_wrong_names_and_passwords_are_told_apart_by_nothing(database, ana):
    said = []
    for name, password in (("ana", "wrong password"), ("nobody", PASSWORD)):
        with pytest.raises(NotAllowed) as raised:
            log_in(database, name, password, "10.0.0.1")
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert not verify_password(None, "a password that nobody has")


def test_guessing_is_throttled_by_name(database, ana, clock: Clock):
    for attempt in range(5):
        with pytest.raises(NotAllowed, match="wrong"):
            log_in(database, "ana", "wrong password", f"10.0.0.{attempt}")
    with pytest.raises(NotAllowed, match="too many"):
        log_in(database, "ana", PASSWORD, "10.0.0.9")
    clock.forward(minutes=16)
    log_in(database, "ana", PASSWORD, "10.0.0.9")
    with database.read() as session:
        assert session.scalars(select(LoginFailure.key).where(LoginFailure.key == "name:ana")).all() == []


def test_guessing_is_throttled_by_address(database, ana):
    for attempt in range(30):
        with pytest.raises(NotAllowed, match="wrong"):
            log_in(database, f"name-{attempt}", "wrong password", "10.0.0.1")
    with pytest.raises(NotAllowed, match="too many"):
        log_in(database, "ana", PASSWORD, "10.0.0.1")
    log_in(database, "ana", PASSWORD, "10.0.0.2")


def test_many_guesses_at_once_are_throttled_too(database, ana, monkeypatch):
    looked_at = []

    def counted(stored, password):
        looked_at.append(password)
        return verify_password(stored, password)

    monkeypatch.setattr("labeling_app.accounts.sessions.verify_password", counted)

    def guess() -> None:
        with pytest.raises(NotAllowed):
            log_in(database, "ana", "wrong password", "10.0.0.1")

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked_at) == 5


def test_a_new_link_ends_the_throttle(database, ana):
    for _ in range(5):
        with pytest.raises(NotAllowed):
            log_in(database, "ana", "wrong password", "10.0.0.1")
    accept(database, invite(database, None, ana), PASSWORD)
    log_in(database, "ana", PASSWORD, "10.0.0.1")


def test_pausing_ends_sessions_and_gives_back_what_is_held(database, ana):
    lead, project = a_lead(database), a_project(database, items=1)
    token = log_in(database, "ana", PASSWORD, "10.0.0.1")
    next_task(database, ana, project)
    pause(database, lead, ana, "on holiday", withhold=True)
    assert user_of(database, token) is None
    with pytest.raises(NotAllowed, match="paused"):
        log_in(database, "ana", PASSWORD, "10.0.0.1")
    with database.read() as session:
        assert session.scalars(select(Item.open_slots)).all() == [1]
    (line,) = [person for person in list_people(database, lead) if person.name == "ana"]
    assert (line.paused_reason, line.withheld) == ("on holiday", True)
    resume(database, lead, ana)
    log_in(database, "ana", PASSWORD, "10.0.0.1")
    (line,) = [person for person in list_people(database, lead) if person.name == "ana"]
    assert (line.paused_reason, line.withheld) == (None, False)


def test_only_leads_manage_people(database, ana):
    (other,) = people(database, 1)
    for verb in (
        lambda: create_person(database, other, "eve", Role.lead),
        lambda: list_people(database, other),
        lambda: pause(database, other, ana, "because"),
        lambda: resume(database, other, ana),
        lambda: invite(database, other, ana),
        lambda: find_person(database, other, "ana"),
    ):
        with pytest.raises(NotAllowed, match="Only a lead"):
            verb()
    with database.read() as session:
        actors = session.scalars(select(AuditEntry.actor_id)).all()
        assert set(actors) == {None} and session.get_one(User, ana).paused_at is None


def test_names_are_unique_whatever_their_case(database, ana):
    for name in ("ANA", " ana "):
        with pytest.raises(Refused, match="already"):
            create_person(database, None, name, Role.annotator)
    for name in ("", "  ", "x" * 81, "a\nb"):
        with pytest.raises(Refused, match="printable"):
            create_person(database, None, name, Role.annotator)
    with pytest.raises(NotFound):
        find_person(database, None, "eve")


def test_what_leads_do_is_written_down(database):
    lead = a_lead(database)
    person = create_person(database, lead, "ana", Role.annotator)
    pause(database, lead, person, "too fast")
    with database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.actor_id, entry.action) for entry in entries] == [(lead, "person.create"), (lead, "person.pause")]
    assert entries[1].detail == {"person": person, "reason": "too fast", "withhold": False}
