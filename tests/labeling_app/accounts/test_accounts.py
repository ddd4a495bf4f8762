"""Coming in: invitations, passwords, sessions, and what ends them."""

import pytest
from sqlalchemy import select

from labeling_app.accounts.invitations import accept, invite, look
from labeling_app.accounts.passwords import verify_password
from labeling_app.accounts.people import create_person, find_person, list_people, pause, resume
from labeling_app.accounts.sessions import log_in, log_out, user_of
from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.store.tables import AuditEntry, Invitation, Item, Role, Session, User
from labeling_app.work.claims import next_task
from tests.labeling_app.clock import Clock
from tests.labeling_app.made import a_lead, a_project, people

PASSWORD = "correct horse battery"


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
