"""Somebody who may come in."""

import pytest

from labeling_app.accounts.invitations import accept, invite
from labeling_app.accounts.people import create_person
from labeling_app.store import Database
from labeling_app.store.tables import Role

PASSWORD = "correct horse battery"


@pytest.fixture
def ana(database: Database) -> int:
    """An annotator with a password."""
    person = create_person(database, None, "Ana", Role.annotator)
    accept(database, invite(database, None, person), PASSWORD)
    return person
