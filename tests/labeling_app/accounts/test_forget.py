"""A person is forgotten: their choices stay in their places, and nothing tells whose they were."""

import pytest
from sqlalchemy import select, text

from labeling_app.accounts.forget import TOMBSTONE, forget
from labeling_app.accounts.people import list_people, pause
from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.store.tables import Base, Label, User
from labeling_app.work.drafts import save_draft
from labeling_app.work.labels import submit
from labeling_app.work.notes import ask, reply
from tests.labeling_app.made import a_lead, a_project, people
from tests.labeling_app.work.test_claims import take

SECRET = "my neighbour Zebedee"


def everything(database) -> str:
    """All that the store holds, as text."""
    with database.read() as session:
        rows = [session.execute(text(f'SELECT * FROM "{table.name}"')).all() for table in Base.metadata.sorted_tables]
    return str(rows)


def test_names_and_texts_go_and_choices_stay(database):
    lead = a_lead(database)
    project = a_project(database, items=4, rationale="optional", edit=True)
    (user, other) = people(database, 2)
    with database.write() as session:
        session.get_one(User, user).name = "zebedee"
    answers = [
        {"kind": "choice", "strength": 2, "rationale": SECRET, "edit": SECRET},
        {"kind": "skip", "reason": SECRET},
        {"kind": "both_bad"},
    ]
    for number, fields in enumerate(answers):
        task = take(database, user, project)
        submit(database, user, task.assignment_id, fields, f"s{number}", seconds=number + 1)
    ask(database, user, task.assignment_id, SECRET)
    save_draft(database, user, take(database, user, project).assignment_id, {"rationale": SECRET})
    pause(database, lead, user, f"asked by {SECRET}")
    reply(database, lead, task.assignment_id, "Dear Zebedee, thank you")
    before, pseudonym = labels(database), "person-2"
    assert SECRET in everything(database) and "zebedee" in everything(database)
    forget(database, lead, user)
    assert "zebedee" not in everything(database).casefold()
    after = labels(database)
    assert [(label.uid, label.seconds, label.created_at) for label in after] == [
        (label.uid, label.seconds, label.created_at) for label in before
    ]
    strength = before[0].answer["strength"]
    assert [label.answer for label in after] == [
        {"kind": "choice", "strength": strength, "rationale": TOMBSTONE},
        {"kind": "skip", "reason": TOMBSTONE},
        {"kind": "both_bad"},
    ]
    with database.read() as session:
        person = session.get_one(User, user)
        assert person.name == f"forgotten-{user}" and person.password_hash is None
        assert person.pseudonym != pseudonym and "forgotten" not in person.pseudonym
    assert [line.id for line in list_people(database, lead)] == [other, lead]


def labels(database) -> list[Label]:
    with database.read() as session:
        return list(session.scalars(select(Label).order_by(Label.id)))


def test_who_may_forget_whom(database):
    lead, (user, other) = a_lead(database), people(database, 2)
    with pytest.raises(NotAllowed):
        forget(database, other, user)
    with pytest.raises(Refused):
        forget(database, lead, lead)
    forget(database, lead, user)
    with pytest.raises(NotFound):
        forget(database, lead, user)
    with pytest.raises(NotAllowed):
        take(database, user, a_project(database, items=1))
