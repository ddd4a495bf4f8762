"""Who gets which item, for how long, and how often."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from labeling_app.errors import NotAllowed, NotFound
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, Item, ItemKind, Member, Project, User
from labeling_app.work.claims import last_finished, next_task, renew, reopen
from labeling_app.work.labels import submit
from labeling_app.work.supply import other_order
from labeling_app.work.tasks import Idle, Task
from tests.labeling_app.clock import Clock
from tests.labeling_app.made import a_project, add_items, agree, checks, people, publish, some_items

A_BETTER = {"kind": "choice", "strength": -1}


def take(database: Database, user: int, project: int) -> Task:
    task = next_task(database, user, project)
    assert isinstance(task, Task), task
    return task


def why(database: Database, user: int, project: int) -> str:
    idle = next_task(database, user, project)
    assert isinstance(idle, Idle), idle
    return idle.reason


def answer(database: Database, user: int, project: int, fields=A_BETTER) -> Task:
    task = take(database, user, project)
    submit(database, user, task.assignment_id, fields, f"s-{task.assignment_id}", seconds=1.0)
    return task


def slots(database: Database, project: int) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Item.open_slots).where(Item.project_id == project).order_by(Item.position)))


def test_items_come_in_order_and_the_open_one_again(database):
    project, (user,) = a_project(database, items=2), people(database, 1)
    first = take(database, user, project)
    assert first.prompt == "prompt 0" and take(database, user, project).assignment_id == first.assignment_id
    assert answer(database, user, project).prompt == "prompt 0"
    assert answer(database, user, project).prompt == "prompt 1"
    assert why(database, user, project) == "finished"


def test_no_more_people_than_the_overlap(database):
    project, users = a_project(database, items=1, overlap=2), people(database, 3)
    for user in users[:2]:
        take(database, user, project)
    assert slots(database, project) == [0] and why(database, users[2], project) == "waiting"
    for user in users[:2]:
        answer(database, user, project)
    assert slots(database, project) == [0] and why(database, users[2], project) == "finished"


def test_a_lapsed_lease_gives_the_item_to_another(database, clock: Clock):
    project, (one, other) = a_project(database, items=1, lease_minutes=10), people(database, 2)
    held = take(database, one, project)
    clock.forward(minutes=9)
    assert renew(database, one, held.assignment_id) == clock() + timedelta(minutes=10)
    assert why(database, other, project) == "waiting"
    clock.forward(minutes=10, seconds=1)
    assert take(database, other, project).prompt == "prompt 0" and slots(database, project) == [0]
    with pytest.raises(NotFound, match="no longer in your hands"):
        renew(database, one, held.assignment_id)
    assert why(database, one, project) == "waiting"


def test_an_expired_item_comes_back_to_the_same_person_last_and_in_the_same_order(database, clock: Clock):
    project, (user,) = a_project(database, items=2, lease_minutes=10), people(database, 1)
    expired = take(database, user, project)
    clock.forward(minutes=11)
    assert take(database, user, project).prompt == "prompt 1"
    answer(database, user, project)
    again = take(database, user, project)
    assert again.assignment_id == expired.assignment_id and again.responses == expired.responses
    assert slots(database, project) == [0, 0]


def test_slots_that_are_given_back_behind_the_cursor_are_found(database):
    project, (one, other) = a_project(database, items=3), people(database, 2)
    take(database, one, project)  # item 0
    answer(database, other, project)  # item 1
    answer(database, other, project)  # item 2
    skipped = take(database, one, project)
    submit(database, one, skipped.assignment_id, {"kind": "skip", "reason": "unclear"}, "s", seconds=1)
    assert take(database, other, project).prompt == "prompt 0"
    assert why(database, one, project) == "waiting"  # what was skipped never comes again


def test_sides_are_drawn_about_evenly_and_the_same_in_a_second_run(database):
    sides = []
    for _ in range(2):
        project, (user,) = a_project(database, items=100, seed=5), people(database, 1)
        sides.append([answer(database, user, project).responses[0].endswith(".0") for _ in range(100)])
    assert 30 < sum(sides[0]) < 70  # five standard deviations of a fair draw are 25
    assert sides[0] != sides[1]  # another person, another draw


def test_guidelines_have_to_be_agreed_to_in_each_version(database):
    project, (user,) = a_project(database, items=1, guidelines="Be kind."), people(database, 1)
    assert why(database, user, project) == "consent"
    agree(database, project, [user])
    task = take(database, user, project)
    assert task.guideline_version == 1
    publish(database, project, "Be kinder.")
    assert why(database, user, project) == "consent"
    with pytest.raises(NotAllowed, match="guidelines have changed"):
        submit(database, user, task.assignment_id, A_BETTER, "s", seconds=1)


def test_a_paused_person_gets_nothing_and_says_nothing(database):
    project, (user,) = a_project(database, items=2), people(database, 1)
    task = take(database, user, project)
    with database.write() as session:
        person = session.get_one(User, user)
        person.paused_at, person.paused_reason = database.now(), "holiday"
    assert why(database, user, project) == "paused"
    for verb in (
        lambda: submit(database, user, task.assignment_id, A_BETTER, "s", seconds=1),
        lambda: renew(database, user, task.assignment_id),
        lambda: last_finished(database, user, project),
    ):
        with pytest.raises(NotAllowed, match="paused. The reason: holiday"):
            verb()


def test_another_persons_item_is_as_if_it_were_not_there(database):
    project, (one, other) = a_project(database, items=2), people(database, 2)
    task = take(database, one, project)
    for verb in (
        lambda: submit(database, other, task.assignment_id, A_BETTER, "s", seconds=1),
        lambda: renew(database, other, task.assignment_id),
        lambda: reopen(database, other, task.assignment_id),
    ):
        with pytest.raises(NotFound):
            verb()
    with pytest.raises(NotAllowed):
        next_task(database, 999, project)
    with pytest.raises(NotFound):
        next_task(database, one, 999)


def test_a_closed_project_and_an_empty_one(database):
    project, empty, (user,) = a_project(database, items=1), a_project(database), people(database, 1)
    assert why(database, user, empty) == "empty"
    task = take(database, user, project)
    with database.write() as session:
        session.get_one(Project, project).closed_at = database.now()
    assert why(database, user, project) == "closed"
    with pytest.raises(NotAllowed, match="closed"):
        reopen(database, user, task.assignment_id)


def test_qualification_comes_first_with_feedback_and_opens_the_work(database):
    project, (good, bad) = a_project(database, items=1, overlap=2, qualification_pass=0.5), people(database, 2)
    checks(
        database,
        project,
        [{"kind": "choice", "strength": 2}, {"kind": "choice", "strength": -2}],
        ItemKind.qualification,
    )
    for user, right in ((good, True), (bad, False)):
        for number in (1, 2):
            task = take(database, user, project)
            assert task.qualification == (number, 2)
            # The expected side as it is shown: the first stored candidate is the better one in the second item only.
            first_is_left = task.responses[0].endswith(".0")
            left_is_better = first_is_left == (number == 2)
            side = -3 if left_is_better == right else 3
            receipt = submit(
                database, user, task.assignment_id, {"kind": "choice", "strength": side}, f"q{number}", seconds=1
            )
            assert receipt.feedback is not None and receipt.feedback.right is right
            assert receipt.feedback.expected.strength == (-2 if left_is_better else 2)
            assert receipt.feedback.explanation == "as the guidelines say"
    assert take(database, good, project).prompt == "prompt 0"
    assert why(database, bad, project) == "unqualified"


def test_an_expired_qualification_item_comes_again_before_any_work(database, clock: Clock):
    project, (user,) = a_project(database, items=1), people(database, 1)
    checks(database, project, [{"kind": "choice", "strength": 2}], ItemKind.qualification)
    first = take(database, user, project)
    clock.forward(hours=1)
    assert take(database, user, project).assignment_id == first.assignment_id


def test_gold_items_and_repeats_are_hidden_among_the_work(database):
    project = a_project(database, items=300, gold_share=0.2, repeat_share=0.2)
    (user,) = people(database, 1)
    checks(database, project, [{"kind": "choice", "strength": 1}] * 100, ItemKind.gold)
    for count in range(1, 201):
        progress = answer(database, user, project).progress
        assert (progress.mine, progress.team) == (count - 1, count - 1)  # both move, whatever the item was
        with database.read() as session:
            assert session.get_one(Member, (project, user)).answered == count
    with database.read() as session:
        rows = session.execute(
            select(Assignment, Item.kind).join(Item, Item.id == Assignment.item_id).order_by(Assignment.id)
        ).all()
        member = session.get_one(Member, (project, user))
    gold = [a for a, kind in rows if kind is ItemKind.gold]
    repeats = [a for a, _ in rows if a.repeat_of is not None]
    work = [a for a, kind in rows if kind is ItemKind.work and a.repeat_of is None]
    assert 20 < len(gold) < 60 and 20 < len(repeats) < 60  # 40 of 200 expected; the standard deviation is 5.7
    assert member.done == len(work) and not any(a.holds_slot for a in (*gold, *repeats))
    place = {a.id: number for number, (a, _) in enumerate(rows)}
    for repeat in repeats:
        first = next(a for a in work if a.id == repeat.repeat_of)
        assert repeat.order == first.order[::-1] and repeat.item_id == first.item_id
        assert place[repeat.id] - place[first.id] > 10
    assert max(Counter(a.repeat_of for a in repeats).values()) == 1
    assert slots(database, project)[: len(work)] == [0] * len(work)


@pytest.mark.parametrize("order", [[0, 1], [2, 0, 1], [3, 1, 0, 2]])
def test_a_repeat_is_shown_in_another_order(order):
    for seed in range(30):
        changed = other_order(order, random.Random(seed))
        assert changed != order and sorted(changed) == sorted(order)


def test_items_that_are_added_later_come_too(database):
    project, (user,) = a_project(database, items=1), people(database, 1)
    answer(database, user, project)
    add_items(database, project, some_items(1, start=1))
    assert take(database, user, project).prompt == "prompt 1"
