"""Unknown, paused and forgotten people may do nothing; only a lead may do what leads do."""

import pytest

from labeling_app.access import require_lead, require_user
from labeling_app.errors import NotAllowed
from labeling_app.store import Database
from labeling_app.store.tables import User
from tests.labeling_app.made import a_lead, people


def test_an_active_person_passes(database: Database) -> None:
    (annotator,) = people(database, 1)
    with database.read() as session:
        assert require_user(session, annotator).id == annotator


def test_unknown_paused_and_forgotten_people_do_not(database: Database) -> None:
    paused, forgotten = people(database, 2)
    with database.write() as session:
        session.get_one(User, paused).paused_at = database.now()
        session.get_one(User, paused).paused_reason = "a word with you first"
        session.get_one(User, forgotten).forgotten_at = database.now()
    with database.read() as session:
        with pytest.raises(NotAllowed, match="a word with you first"):
            require_user(session, paused)
        for user in (forgotten, 999):
            with pytest.raises(NotAllowed):
                require_user(session, user)


def test_only_leads_and_the_command_line_lead(database: Database) -> None:
    (annotator,) = people(database, 1)
    lead, resting = a_lead(database), a_lead(database)
    with database.write() as session:
        session.get_one(User, resting).paused_at = database.now()
    with database.read() as session:
        assert require_lead(session, None) is None
        found = require_lead(session, lead)
        assert found is not None and found.id == lead
        for actor in (annotator, resting, 999):
            with pytest.raises(NotAllowed):
                require_lead(session, actor)
