"""Where people disagree, what a lead decides, and how an item becomes a check."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.export import export_labels
from labeling_app.lead.adjudication import decide
from labeling_app.lead.cases import case, queue
from labeling_app.lead.disputes import dispute, disputed
from labeling_app.lead.judgements import load
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AuditEntry, Decision, Item, ItemKind, Member, Project, Role
from tests.labeling_app.judged import choice, judge, withhold
from tests.labeling_app.made import a_lead, a_project, add_items, people, some_items

BOTH_BAD = {"kind": "both_bad"}


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        ([choice(1), choice(2)], 0),
        ([choice(0), choice(1)], 0),
        ([choice(1), choice(3)], 0.02),
        ([choice(0), choice(2)], 0.52),
        ([choice(-1), choice(1)], 1.02),
        ([choice(-3), choice(3)], 1.06),
        ([BOTH_BAD, choice(1)], 1.01),
        ([BOTH_BAD, BOTH_BAD], 0),
        ([choice(1), choice(1), choice(-1)], 2 / 3 + 4 / 300),
        ([{"kind": "ranking", "ranks": [1, 2, 3]}, {"kind": "ranking", "ranks": [1, 3, 2]}], 1 / 3),
        ([{"kind": "ranking", "ranks": [1, 2, 3]}, {"kind": "ranking", "ranks": [1, 2, 2]}], 0),
    ],
)
def test_how_much_people_disagree(answers: list[dict], score: float) -> None:
    assert dispute(answers) == pytest.approx(score)


def test_the_most_disputed_come_first_and_the_decided_go(database: Database) -> None:
    lead, (ann, ben, eve, late) = a_lead(database), people(database, 4)
    project = a_project(database, overlap=3)
    agreed, mild, hard, alone = add_items(database, project, some_items(4))
    withhold(database, eve)
    for item, first, second in ((agreed, 1, 2), (mild, 1, 3), (hard, -3, 3)):
        judge(database, item, ann, choice(first))
        judge(database, item, ben, choice(second))
    judge(database, agreed, eve, choice(-3))
    judge(database, agreed, late, choice(-3), late=True)
    judge(database, alone, ann, choice(1))
    found = queue(database, lead, project)
    first, second = found.disputes
    assert found.total == 2 and queue(database, lead, project, limit=1).disputes == [first]
    assert (first.item_id, second.item_id) == (hard, mild)
    assert (first.prompt, first.responses) == ("prompt 2", ["response 2.0", "response 2.1"])
    assert [(one.annotator, one.answer.strength) for one in first.opinions] == [("annotator-2", -3), ("annotator-3", 3)]
    decide(database, lead, hard, choice(-1), "the first is true")
    assert [one.item_id for one in queue(database, lead, project).disputes] == [mild]


@pytest.mark.parametrize("mode", ["comparison", "ranking"])
def test_the_queue_is_the_one_of_everything_that_was_said(database: Database, mode: str) -> None:
    rng, users = random.Random(0), people(database, 4)
    project = a_project(database, mode=mode, overlap=3)
    withhold(database, users[0])
    for item in add_items(database, project, some_items(40, 3 if mode == "ranking" else 2)):
        for user in rng.sample(users, 3):
            ranking = {"kind": "ranking", "ranks": rng.choice([[1, 2, 3], [1, 2, 2], [2, 1, 3]])}
            comparison = rng.choice([choice(1), choice(2), choice(-1), BOTH_BAD])
            said = ranking if mode == "ranking" else comparison
            first = judge(database, item, user, rng.choice([said, said, {"kind": "skip"}]), late=rng.random() < 0.2)
            if rng.random() < 0.2:
                judge(database, item, user, said, repeat_of=first)
    with database.read() as session:
        queued = disputed(session, project)
        assert 5 < len(queued) < 40 and queued == disputed(session, project, load(session, project))


def test_a_decision_is_kept_beside_what_was_said(database: Database) -> None:
    lead, project = a_lead(database), a_project(database)
    (item,) = add_items(database, project, some_items(1))
    uid = decide(database, lead, item, choice(2), "clear")
    with database.read() as session:
        (decision,) = session.scalars(select(Decision))
        (entry,) = session.scalars(select(AuditEntry))
        assert (decision.uid, decision.answer, decision.note) == (uid, {"kind": "choice", "strength": 2}, "clear")
        assert (entry.action, entry.detail) == ("item.decide", {"project": project, "item": item, "gold": False})
        assert session.get_one(Item, item).kind is ItemKind.work


def test_a_decided_item_becomes_gold_and_leaves_the_work(database: Database, tmp_path) -> None:
    lead, (ann, ben) = a_lead(database), people(database, 2)
    project = a_project(database, overlap=3, rationale="required")
    item, other = add_items(database, project, some_items(2))
    with database.write() as session:
        for user in (ann, ben):
            session.add(Member(project_id=project, user_id=user, joined_at=database.now(), done=1))
    judge(database, item, ann, choice(-1))
    judge(database, item, ben, {"kind": "skip", "reason": "unclear"})
    decide(database, lead, item, choice(2), "why so", make_gold=True)
    with database.read() as session:
        gold = session.get_one(Item, item)
        assert (gold.kind, gold.overlap, gold.open_slots) == (ItemKind.gold, 0, 0)
        assert gold.expected == {"answer": {"kind": "choice", "strength": 2}, "explanation": "why so"}
        assert session.get_one(Project, project).slots_total == 3
        assert not any(session.scalars(select(Assignment.holds_slot)))
        assert {user: done for user, done in session.execute(select(Member.user_id, Member.done))} == {ann: 0, ben: 1}
    report = export_labels(database, lead, project, tmp_path / "out")
    assert report.rows["preferences.jsonl"] == 0 and report.left_out["judgements of gold items"] == 2
    decide(database, lead, item, choice(1), make_gold=True)  # another answer, and nothing is counted twice
    with database.read() as session:
        assert session.get_one(Project, project).slots_total == 3


def test_a_case_says_all_that_is_known_of_an_item(database: Database) -> None:
    lead, (ann, ben, eve, gus) = a_lead(database), people(database, 4)
    project = a_project(database, overlap=3, rationale="optional")
    mild, hard, other = add_items(database, project, some_items(3))
    withhold(database, eve)
    first = judge(database, hard, ann, choice(-3, rationale="so *good*"))
    judge(database, hard, ben, choice(3))
    judge(database, hard, eve, choice(1))
    judge(database, hard, gus, {"kind": "skip", "reason": "unclear"})
    judge(database, hard, ann, choice(1), repeat_of=first)
    for item, strength in ((mild, 1), (other, 2)):
        judge(database, item, ann, choice(strength))
        judge(database, item, ben, choice(-strength))
    found = case(database, lead, project, hard)
    assert [(one.annotator, one.pseudonym, one.answer.strength, one.apart) for one in found.opinions] == [
        ("annotator-2", "person-2", -3, ""),
        ("annotator-3", "person-3", 3, ""),
        ("annotator-4", "person-4", 1, "withheld"),
    ]
    assert found.opinions[0].answer.rationale == "so *good*" and found.opinions[0].assignment_id == first
    assert (found.place, found.total, found.before, found.after, found.seen) == (1, 3, None, other, "")
    middle = case(database, lead, project, other)
    assert (middle.place, middle.before, middle.after) == (2, hard, mild)
    uid = decide(database, lead, hard, choice(2), "clear")
    found = case(database, lead, project, hard)
    assert (found.place, found.total, found.after, found.seen) == (None, 2, other, uid)
    assert [(one.lead, one.answer.strength, one.note) for one in found.rulings] == [("lead-1", 2, "clear")]
    with pytest.raises(NotFound):
        case(database, lead, a_project(database), hard)
    with pytest.raises(NotAllowed):
        case(database, ann, project, hard)


def test_two_leads_do_not_overrule_each_other_unawares(database: Database) -> None:
    dora, emil = people(database, 2, Role.lead)
    project = a_project(database)
    (item,) = add_items(database, project, some_items(1))
    first = decide(database, dora, item, choice(2), seen="")
    with pytest.raises(Refused, match="lead-1 has decided this item in the meantime"):
        decide(database, emil, item, choice(-2), seen="", make_gold=True)
    with database.read() as session:
        assert [one.uid for one in session.scalars(select(Decision))] == [first]
        assert session.get_one(Item, item).kind is ItemKind.work
    second = decide(database, emil, item, choice(-2), seen=first)
    assert [one.uid for one in case(database, dora, project, item).rulings] == [second, first]


def test_of_leads_who_decide_at_once_one_is_first(database: Database) -> None:
    leads = people(database, 8, Role.lead)
    project = a_project(database)
    (item,) = add_items(database, project, some_items(1))

    def attempt(lead: int) -> bool:
        try:
            decide(database, lead, item, choice(1), seen="")
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, leads)) == 1


def test_what_can_not_be_decided(database: Database) -> None:
    lead, (annotator,) = a_lead(database), people(database, 1)
    project = a_project(database)
    (item,) = add_items(database, project, some_items(1))
    with pytest.raises(NotAllowed):
        decide(database, annotator, item, choice(1))
    with pytest.raises(NotAllowed):
        queue(database, annotator, project)
    with pytest.raises(NotFound):
        decide(database, lead, item + 1, choice(1))
    with pytest.raises(Refused, match="known answer"):
        decide(database, lead, item, {"kind": "skip", "reason": "spam"}, make_gold=True)
    with pytest.raises(Refused, match="can't be stored"):
        decide(database, lead, item, choice(4))
    with pytest.raises(Refused, match="note"):
        decide(database, lead, item, choice(1), "x" * 20_001)
    with database.read() as session:
        assert session.scalars(select(Decision)).all() == []
        assert session.get_one(Item, item).kind is ItemKind.work
