"""Threads as leads see them: who waits, what was answered, and what is closed."""

import pytest
from sqlalchemy import event

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.lead.questions import answer, answer_and_close, close, conversation, inbox
from labeling_app.store import Database
from labeling_app.work.notes import ask, own_thread
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_lead, a_project, add_items, people, some_items


def states(database: Database, lead: int, project: int) -> list[tuple[str, str]]:
    """Last message and state of each thread, in the order of the inbox."""
    found = inbox(database, lead, project)
    return [(one.text, "waiting" if one.waiting else "closed" if one.closed else "answered") for one in found]


def test_who_waits_longest_is_on_top(database: Database) -> None:
    lead, (ana, ben) = a_lead(database), people(database, 2)
    project, other = a_project(database), a_project(database)
    first, second, third = add_items(database, project, some_items(3))
    of_ana, of_ben, again = (judge(database, *pair, choice(1)) for pair in ((first, ana), (second, ben), (third, ana)))
    (elsewhere,) = add_items(database, other, some_items(1))
    ask(database, ana, judge(database, elsewhere, ana, choice(1)), "elsewhere?")
    ask(database, ana, of_ana, "one?")
    ask(database, ben, of_ben, "two?")
    answer(database, lead, project, again, "well done")  # a lead may begin
    assert states(database, lead, project) == [("one?", "waiting"), ("two?", "waiting"), ("well done", "answered")]
    answer(database, lead, project, of_ana, "yes")
    assert states(database, lead, project) == [("two?", "waiting"), ("yes", "answered"), ("well done", "answered")]
    close(database, lead, project, of_ben, conversation(database, lead, project, of_ben).newest)
    assert states(database, lead, project) == [("yes", "answered"), ("well done", "answered"), ("two?", "closed")]
    ask(database, ben, of_ben, "really?")
    assert states(database, lead, project)[0] == ("really?", "waiting")
    assert [line.text for line in own_thread(database, ana, again)] == ["well done"]


def test_a_conversation_shows_what_its_annotator_saw(database: Database) -> None:
    lead, (ana,) = a_lead(database), people(database, 1)
    project = a_project(database)
    (item,) = add_items(database, project, some_items(1))
    once = judge(database, item, ana, choice(-2), order=(1, 0))
    again = judge(database, item, ana, choice(1), order=(0, 1), repeat_of=once)
    ask(database, ana, once, "which?")
    found = conversation(database, lead, project, once)
    assert found.responses == ["response 0.1", "response 0.0"] and found.answer is not None
    assert (found.answer.strength, found.annotator, found.item_id) == (2, "annotator-2", item)
    assert [(line.author, line.text) for line in found.lines] == [("annotator-2", "which?")]
    repeat = conversation(database, lead, project, again)
    assert repeat.lines == [] and repeat.newest == 0 and not repeat.closed  # a thread of its own


def test_what_was_written_meanwhile_keeps_a_thread_open(database: Database) -> None:
    lead, (ana,) = a_lead(database), people(database, 1)
    project = a_project(database)
    (item,) = add_items(database, project, some_items(1))
    asked = judge(database, item, ana, choice(1))
    ask(database, ana, asked, "one?")
    seen = conversation(database, lead, project, asked).newest
    ask(database, ana, asked, "and two?")
    close(database, lead, project, asked, seen)
    assert states(database, lead, project) == [("and two?", "waiting")]
    assert not answer_and_close(database, lead, project, asked, "one is so", seen)
    assert states(database, lead, project) == [("one is so", "answered")]
    seen = conversation(database, lead, project, asked).newest
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    assert answer_and_close(database, lead, project, asked, "and so is two", seen)
    assert len(commits) == 1  # both or nothing
    assert states(database, lead, project) == [("and so is two", "closed")]
    assert conversation(database, lead, project, asked).closed


def test_only_leads_and_only_of_the_project(database: Database) -> None:
    lead, (ana,) = a_lead(database), people(database, 1)
    project, other = a_project(database), a_project(database)
    (item,) = add_items(database, project, some_items(1))
    asked = judge(database, item, ana, choice(1))
    ask(database, ana, asked, "which?")
    newest = conversation(database, lead, project, asked).newest
    for actor, of, error in ((ana, project, NotAllowed), (lead, other, NotFound)):
        with pytest.raises(error):
            conversation(database, actor, of, asked)
        with pytest.raises(error):
            answer(database, actor, of, asked, "so")
        with pytest.raises(error):
            close(database, actor, of, asked, newest)
    with pytest.raises(NotAllowed):
        inbox(database, ana, project)
    with pytest.raises(NotFound):
        close(database, lead, project, asked, newest + 1)
    with pytest.raises(Refused):
        answer(database, lead, project, asked, "  ")
    assert states(database, lead, project) == [("which?", "waiting")]
