"""Guidelines, notes and the list of projects."""

import pytest

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.lead.questions import inbox
from labeling_app.store.tables import Assignment, Member
from labeling_app.work.consent import consent, current_guidelines
from labeling_app.work.notes import answered, ask, own_thread, reply, thread, unread_replies
from labeling_app.work.projects import open_projects
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_lead, a_project, people, publish
from tests.labeling_app.work.test_claims import answer, take, why


def test_consent_is_to_the_version_that_was_read(database):
    project, (user,) = a_project(database, items=1, guidelines="# Be kind"), people(database, 1)
    first = current_guidelines(database, user, project)
    assert (first.version, first.text, first.consented) == (1, "# Be kind", False)
    publish(database, project, "# Be kinder")
    with pytest.raises(Refused, match="newer version"):
        consent(database, user, first.id)
    second = current_guidelines(database, user, project)
    consent(database, user, second.id)
    consent(database, user, second.id)
    assert current_guidelines(database, user, project).consented
    take(database, user, project)
    with pytest.raises(NotFound):
        consent(database, user, 999)
    with pytest.raises(NotFound, match="no guidelines"):
        current_guidelines(database, user, a_project(database))


def test_a_thread_about_an_own_item(database):
    project, (one,), lead = a_project(database, items=2, overlap=2), people(database, 1), a_lead(database)
    task = take(database, one, project)
    ask(database, one, task.assignment_id, "Is this about the film?")
    (waiting,) = inbox(database, lead, project)
    assert (waiting.annotator, waiting.waiting) == ("annotator-1", True)
    (line,) = thread(database, lead, waiting.assignment_id)
    assert (line.text, line.mine) == ("Is this about the film?", False)
    reply(database, lead, waiting.assignment_id, "Yes.")
    assert [(found.assignment_id, found.text) for found in answered(database, one, project)] == [
        (task.assignment_id, "Yes.")
    ]
    assert not inbox(database, lead, project)[0].waiting and unread_replies(database, one, project) == 1
    assert [(line.author, line.mine, line.text) for line in own_thread(database, one, task.assignment_id)] == [
        ("annotator-1", True, "Is this about the film?"),
        ("Lead", False, "Yes."),
    ]
    assert unread_replies(database, one, project) == 0 and answered(database, one, project) == []


def test_a_repeat_does_not_show_what_was_written_at_the_first_showing(database):
    project, (user,) = a_project(database, items=1), people(database, 1)
    first = take(database, user, project)
    ask(database, user, first.assignment_id, "Both are the same?")
    with database.write() as session:
        item = session.get_one(Assignment, first.assignment_id).item_id
    again = judge(database, item, user, choice(1), order=(1, 0), repeat_of=first.assignment_id)
    assert own_thread(database, user, again) == [] and len(own_thread(database, user, first.assignment_id)) == 1


def test_nobody_reads_or_writes_in_anothers_thread(database):
    project, (one, other), lead = a_project(database, items=2), people(database, 2), a_lead(database)
    task = take(database, one, project)
    ask(database, one, task.assignment_id, "mine")
    mine = task.assignment_id
    for verb in (
        lambda: own_thread(database, other, mine),
        lambda: ask(database, other, mine, "me too"),
        lambda: reply(database, lead, 999, "hello"),
        lambda: thread(database, lead, 999),
    ):
        with pytest.raises(NotFound):
            verb()
    for verb in (
        lambda: thread(database, other, mine),
        lambda: inbox(database, other, project),
        lambda: reply(database, other, mine, "I am the lead"),
    ):
        with pytest.raises(NotAllowed):
            verb()
    for text in ("", "  ", "x" * 20_001):
        with pytest.raises(Refused, match="characters"):
            ask(database, one, task.assignment_id, text)
    assert len(own_thread(database, one, task.assignment_id)) == 1


def test_the_list_of_projects_has_ones_own_progress(database):
    project, (one, other) = a_project(database, items=2, overlap=2), people(database, 2)
    answer(database, one, project)
    (mine,), (theirs,) = open_projects(database, one), open_projects(database, other)
    assert (mine.progress.mine, mine.progress.team, mine.progress.wanted) == (1, 1, 4)
    assert (theirs.progress.mine, theirs.progress.team) == (0, 1)
    with database.write() as session:
        session.get_one(Member, (project, one)).answered = 5  # repeats among them
    (mine,), (theirs,) = open_projects(database, one), open_projects(database, other)
    assert (mine.progress.mine, mine.progress.team, theirs.progress.team) == (5, 4, 1)
    assert why(database, one, a_project(database)) == "empty"


def test_the_pace_is_told_only_where_the_project_says_so(database):
    for show, expected in ((False, None), (True, 1.0)):
        project, (user,) = a_project(database, items=2, show_pace=show), people(database, 1)
        answer(database, user, project)
        assert take(database, user, project).progress.seconds_per_item == expected
