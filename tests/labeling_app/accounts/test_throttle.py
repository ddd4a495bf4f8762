"""Guessing takes ever longer, and keeps nobody out who has a browser of their own."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from labeling_app.accounts.browsers import MOST_OF_ONE, remember
from labeling_app.accounts.forget import forget
from labeling_app.accounts.invitations import accept, invite
from labeling_app.accounts.people import create_person
from labeling_app.accounts.sessions import log_in
from labeling_app.accounts.throttle import BY_ADDRESS, BY_BROWSER, BY_NAME, Allowance, count_attempt, in_words, keys_of
from labeling_app.errors import NotAllowed, Throttled
from labeling_app.store import Database
from labeling_app.store.tables import KnownBrowser, LoginFailure, Role
from tests.labeling_app.accounts.conftest import PASSWORD
from tests.labeling_app.clock import Clock


def wrong(database: Database, name: str = "ana", address: str = "10.0.0.1", browser: str | None = None) -> None:
    """A guess that is looked at."""
    with pytest.raises(NotAllowed, match="wrong"):
        log_in(database, name, "wrong password", address, browser)


def guess_names(database: Database, addresses: list[str]) -> None:
    """Guesses for other names, from these addresses; the slow hashing of what is guessed is left out."""
    for number, address in enumerate(addresses):
        count_attempt(database, keys_of(f"name-{number}", address, None))


def wait_of(database: Database, name: str = "ana", address: str = "10.0.0.1", browser: str | None = None) -> int:
    """The seconds for which even the right password isn't looked at."""
    with pytest.raises(Throttled, match="too many") as raised:
        log_in(database, name, PASSWORD, address, browser)
    return raised.value.seconds


def test_waits_double_up_to_the_most():
    allowance = Allowance(free=2, first=timedelta(seconds=30), most=timedelta(minutes=3))
    waits = [allowance.wait_after(failures).total_seconds() for failures in (0, 1, 2, 3, 4, 5, 6, 10_000)]
    assert waits == [0, 0, 30, 60, 120, 180, 180, 180]


def test_each_failure_more_doubles_the_wait_for_a_name(database, ana, clock: Clock):
    for attempt in range(5):
        wrong(database, address=f"10.0.0.{attempt}")
    waits = []
    for attempt in range(9):
        waits.append(wait_of(database, address=f"10.0.1.{attempt}"))
        clock.forward(seconds=waits[-1] - 1)
        assert wait_of(database, address=f"10.0.1.{attempt}") == 1  # attempts that come too early change nothing
        clock.forward(seconds=1)
        wrong(database, address=f"10.0.1.{attempt}")
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_the_right_password_ends_the_waits_of_a_name(database, ana, clock: Clock):
    for _ in range(5):
        wrong(database)
    clock.forward(seconds=30)
    log_in(database, "ana", PASSWORD, "10.0.0.9")
    with database.read() as session:
        assert session.scalars(select(LoginFailure).where(LoginFailure.key == "name:ana")).all() == []
    wrong(database)


def test_a_day_without_failures_ends_them_too(database, ana, clock: Clock):
    for _ in range(5):
        wrong(database)
    clock.forward(days=1)
    wrong(database)
    with database.read() as session:
        assert len(session.scalars(select(LoginFailure).where(LoginFailure.key == "name:ana")).all()) == 1


def test_guessing_many_names_waits_for_the_address(database, ana, clock: Clock):
    guess_names(database, ["10.0.0.1"] * 30)
    assert wait_of(database) == 10
    log_in(database, "ana", PASSWORD, "10.0.0.2")
    # An own account forgives an address nothing.
    clock.forward(seconds=10)
    log_in(database, "ana", PASSWORD, "10.0.0.1")
    wrong(database, "somebody")
    assert wait_of(database) == 20


def test_one_network_of_ipv6_is_one_address(database, ana):
    guess_names(database, [f"2001:db8:1:2:{number:x}::7" for number in range(30)])
    assert wait_of(database, address="2001:db8:1:2:ffff::1") == 10
    log_in(database, "ana", PASSWORD, "2001:db8:1:3::1")
    assert keys_of("a", "::ffff:10.0.0.1", None) == keys_of("a", "10.0.0.1", None)
    assert keys_of("a", "unknown", None) == {"name:a": BY_NAME, "address:unknown": BY_ADDRESS}


def test_many_guesses_at_once_are_throttled_too(database, ana, monkeypatch):
    looked_at = []

    def counted(stored, password):
        looked_at.append(password)
        return False

    monkeypatch.setattr("labeling_app.accounts.sessions.verify_password", counted)

    def guess() -> None:
        with pytest.raises(NotAllowed):
            log_in(database, "ana", "wrong password", "10.0.0.1")

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked_at) == BY_NAME.free


def test_a_new_link_ends_the_throttle(database, ana):
    for _ in range(5):
        wrong(database)
    accept(database, invite(database, None, ana), PASSWORD)
    assert log_in(database, "ana", PASSWORD, "10.0.0.1")


def test_nobody_can_lock_out_a_person_in_their_own_browser(database, ana):
    browser = remember(database, ana, None)
    for attempt in range(5):
        wrong(database, address=f"10.0.0.{attempt}")
    guess_names(database, ["10.0.9.9"] * 30)
    assert wait_of(database) == 30 and wait_of(database, "somebody", "10.0.9.9") == 10
    log_in(database, "ana", PASSWORD, "10.0.9.9", browser)
    assert wait_of(database) == 30  # that she came in forgives the guessers nothing


def test_guessing_from_a_known_browser_waits_too_and_for_that_browser_alone(database, ana, clock: Clock):
    browser = remember(database, ana, None)
    for _ in range(BY_BROWSER.free):
        wrong(database, browser=browser)
    assert wait_of(database, browser=browser) == 30
    log_in(database, "ana", PASSWORD, "10.0.0.1")
    clock.forward(seconds=30)
    log_in(database, "ana", PASSWORD, "10.0.0.1", browser)
    wrong(database, browser=browser)


def test_a_browser_is_known_for_those_who_logged_in_there_alone(database, ana):
    ben = create_person(database, None, "ben", Role.annotator)
    accept(database, invite(database, None, ben), PASSWORD)
    browser = remember(database, ben, None)
    for _ in range(5):
        wrong(database, "ana", browser=browser)
    assert wait_of(database, "ana", browser=browser) == 30
    assert remember(database, ana, browser) == browser  # both of them use it
    log_in(database, "ana", PASSWORD, "10.0.0.1", browser)
    log_in(database, "ben", PASSWORD, "10.0.0.1", browser)


def test_a_token_that_is_none_of_ours_is_replaced(database, ana):
    assert remember(database, ana, "chosen by somebody else") != "chosen by somebody else"


def test_browsers_are_forgotten_in_time_and_with_their_person(database, ana, clock: Clock):
    old = remember(database, ana, None)
    clock.forward(days=180)
    for _ in range(5):
        wrong(database)
    assert wait_of(database, browser=old) == 30
    made = [remember(database, ana, None) for _ in range(MOST_OF_ONE + 3)]
    with database.read() as session:
        stored = session.scalars(select(KnownBrowser.token_hash)).all()
    assert len(stored) == MOST_OF_ONE and not set(made) & set(stored)
    forget(database, None, ana)
    with database.read() as session:
        assert session.scalars(select(KnownBrowser)).all() == []


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=0.2), "1 seconds"),
        (timedelta(seconds=29.1), "30 seconds"),
        (timedelta(seconds=91), "2 minutes"),
        (timedelta(hours=1), "60 minutes"),
    ],
)
def test_waits_in_words(time, words):
    assert in_words(time) == words
