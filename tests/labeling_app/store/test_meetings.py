"""Two who do the same at the same moment, on PostgreSQL: neither is told of it, and nothing is stored twice."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from labeling_app.accounts.browsers import remember
from labeling_app.accounts.people import create_person
from labeling_app.accounts.tokens import hash_of
from labeling_app.errors import Refused
from labeling_app.lead import projects, questions
from labeling_app.lead.adjudication import decide
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import (
    Assignment,
    AuditEntry,
    Consent,
    Item,
    ItemKind,
    KnownBrowser,
    Note,
    Project,
    Role,
    ThreadClosing,
    User,
)
from labeling_app.work.claims import serve
from labeling_app.work.consent import consent, current_guidelines
from labeling_app.work.notes import ask
from labeling_app.work.seats import take_seat
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_lead, a_project, add_items, people, some_items
from tests.labeling_app.meeting import meet, until_waiting

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_two_agree_in_two_tabs(database: Database) -> None:
    project, (ana,) = a_project(database, guidelines="# Be kind"), people(database, 1)
    newest = current_guidelines(database, ana, project).id
    row = Consent(user_id=ana, guideline_id=newest, at=database.now())
    meet(database, lambda session: session.add(row), lambda: consent(database, ana, newest))
    assert current_guidelines(database, ana, project).consented


def test_one_logs_in_in_two_tabs(database: Database) -> None:
    ana, ben = people(database, 2)
    token = remember(database, ana, None)
    row = KnownBrowser(token_hash=hash_of(token), user_id=ben, seen_at=database.now())
    assert meet(database, lambda session: session.add(row), lambda: remember(database, ben, token)) == token
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(KnownBrowser)) == 2


def test_two_give_the_same_name(database: Database) -> None:
    row = User(name="cleo", pseudonym="c", role=Role.annotator, created_at=database.now())
    with pytest.raises(Refused, match="somebody called 'cleo'"):
        meet(
            database,
            lambda session: session.add(row),
            lambda: create_person(database, None, "Cleo", Role.annotator),
        )


def test_two_leads_close_a_thread(database: Database) -> None:
    first, second, (ana,), project = a_lead(database), a_lead(database), people(database, 1), a_project(database)
    asked = judge(database, add_items(database, project, some_items(1))[0], ana, choice(1))
    ask(database, ana, asked, "which?")
    ask(database, ana, asked, "and why?")
    with database.read() as session:
        earlier, newest = session.scalars(select(Note.id).order_by(Note.id))
    row = ThreadClosing(assignment_id=asked, note_id=earlier, closed_by=first, closed_at=database.now())
    meet(
        database,
        lambda session: session.add(row),
        lambda: questions.close(database, second, project, asked, newest),
    )
    with database.read() as session:
        closing = session.get_one(ThreadClosing, asked)
        assert (closing.note_id, closing.closed_by) == (newest, second)


def test_an_item_that_becomes_gold_while_it_is_handed_out_fills_no_slot(database: Database) -> None:
    lead, (ana,), project = a_lead(database), people(database, 1), a_project(database, items=1)
    with database.read() as session:
        item = session.scalars(select(Item.id)).one()
    meet(
        database,
        lambda session: serve(session, database.now(), take_seat(session, database.now(), ana, project)),
        lambda: decide(database, lead, item, choice(1), make_gold=True),
    )
    with database.read() as session:
        assert session.get_one(Item, item).kind is ItemKind.gold and session.get_one(Item, item).open_slots == 0
        assert [one.holds_slot for one in session.scalars(select(Assignment))] == [False]


VERBS: dict[str, Callable[[Database, int, int, int], object]] = {
    "change_settings": lambda database, lead, project, item: projects.change_settings(
        database, lead, project, ProjectSettings(overlap=2)
    ),
    "close": lambda database, lead, project, item: projects.close(database, lead, project),
    "decide": lambda database, lead, project, item: decide(database, lead, item, choice(1)),
}


ACTIONS = {"change_settings": "project.change", "close": "project.close", "decide": "item.decide"}


@pytest.mark.parametrize("name", VERBS)
def test_a_lead_who_is_given_up_begins_anew(database: Database, name: str) -> None:
    lead, project = a_lead(database), a_project(database, items=1)
    with database.read() as session:
        item = session.scalars(select(Item.id)).one()
    started: list[Future[object]] = []
    with ThreadPoolExecutor(1) as pool:

        @retried  # whichever of the two is given up
        def the_other_way_round() -> None:
            with database.write() as session:
                session.execute(text("SET LOCAL deadlock_timeout = '60s'"))  # let it be the lead's
                session.get_one(User, lead, with_for_update=True)
                if not started:
                    started.append(pool.submit(VERBS[name], database, lead, project, item))
                    until_waiting(database, started[0])
                session.get_one(Project, project, with_for_update=True)
                session.get_one(Item, item, with_for_update=True)

        the_other_way_round()
        started[0].result(120)
    with database.read() as session:
        assert session.scalars(select(AuditEntry.action).where(AuditEntry.actor_id == lead)).all() == [ACTIONS[name]]
