"""The dashboard's figures, worked out by hand or by another library."""

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from labeling_app.errors import NotAllowed
from labeling_app.lead.figures import Dashboard, dashboard
from labeling_app.lead.people_figures import PersonFigures
from labeling_app.store import Database
from labeling_app.store.tables import ItemKind
from rlhf.stats.intervals import wilson
from tests.labeling_app.clock import Clock
from tests.labeling_app.judged import choice, judge, revise, withhold
from tests.labeling_app.made import a_project, add_items, checks, people, some_items

BOTH_BAD = {"kind": "both_bad"}
SKIP = {"kind": "skip", "reason": "unclear"}


def of(found: Dashboard, number: int) -> PersonFigures:
    return next(one for one in found.people if one.name == f"annotator-{number}")


def test_the_numbers_that_matter_and_the_pace(database: Database, clock: Clock) -> None:
    project = a_project(database, overlap=2)
    items = add_items(database, project, some_items(3))
    ann, ben = people(database, 2)
    (gold,) = checks(database, project, [choice(1)], ItemKind.gold)
    judge(database, items[0], ann, choice(1), seconds=4)
    judge(database, items[1], ann, choice(1), seconds=8)
    judge(database, items[0], ben, choice(-1), seconds=30)
    clock.forward(days=1)
    judge(database, items[1], ben, choice(1), seconds=6)
    judge(database, items[2], ben, SKIP)
    judge(database, gold, ben, choice(1))
    found = dashboard(database, None, project)
    assert (found.labels_today, found.labels, found.items_done, found.items, found.disputes) == (1, 4, 2, 3, 1)
    assert [(day.day.day, day.labels, day.people, day.median_seconds) for day in found.pace] == [
        (5, 3, 2, 8),
        (6, 1, 1, 6),
    ]
    assert [(day.day, agreement.value) for day, agreement in found.agreement_by_day] == [(5, 0.0), (6, 1.0)]


def test_every_coefficient_is_an_independent_librarys(database: Database) -> None:
    project = a_project(database, overlap=3)
    items = add_items(database, project, some_items(12))
    users = people(database, 3)
    rng = np.random.default_rng(0)
    truth = rng.integers(-3, 4, 12)
    strengths = np.clip(truth[:, None] + rng.integers(-1, 2, (12, 3)), -3, 3)
    for item, row in zip(items, strengths.tolist(), strict=True):
        for user, strength in zip(users, row, strict=True):
            judge(database, item, user, choice(strength))
    found = dashboard(database, None, project)
    told, sides, values = found.coefficients, np.sign(strengths), list(range(-3, 4))
    equal = [(sides[:, a] == sides[:, b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert told.raw.value == pytest.approx(np.mean(equal))
    expected = sum((np.mean(sides == side)) ** 2 for side in (-1, 0, 1))
    assert told.fleiss.value == pytest.approx((np.mean(equal) - expected) / (1 - expected))
    for level, data, domain in (
        ("nominal", sides, [-1, 0, 1]),
        ("ordinal", strengths, values),
        ("interval", strengths, values),
    ):
        alpha = krippendorff.alpha(reliability_data=data.T, value_domain=domain, level_of_measurement=level)
        assert getattr(told, level).value == pytest.approx(alpha)
    # Fleiss' kappa takes chance from all ratings, Krippendorff's alpha from all pairs of two different ones.
    ratings, between = strengths.size, lambda one, other, **_: np.abs(one - other)
    for kappa, metric in ((told.linear, between), (told.quadratic, "interval")):
        alpha = krippendorff.alpha(reliability_data=strengths.T, value_domain=values, level_of_measurement=metric)
        assert kappa.value == pytest.approx(1 - (1 - alpha) * ratings / (ratings - 1))
    assert found.agreement == told.ordinal and "only 12 items" in (told.ordinal.warning or "")
    assert [(couple.first, couple.second) for couple in found.couples] == [
        (users[0], users[1]),
        (users[0], users[2]),
        (users[1], users[2]),
    ]
    first, second = strengths[:, 0], strengths[:, 1]
    couple = found.couples[0]
    assert couple.kappa.value == pytest.approx(cohen_kappa_score(sides[:, 0], sides[:, 1]))
    assert couple.linear.value == pytest.approx(cohen_kappa_score(first, second, weights="linear", labels=values))
    assert couple.quadratic.value == pytest.approx(cohen_kappa_score(first, second, weights="quadratic", labels=values))
    assert dashboard(database, None, project) == found


def test_what_does_not_count_for_agreement(database: Database) -> None:
    project = a_project(database, overlap=2)
    (item,) = add_items(database, project, some_items(1))
    ann, ben, eve, late = people(database, 4)
    first = judge(database, item, ann, choice(-1))
    revise(database, first, choice(2))
    judge(database, item, ann, choice(-3), repeat_of=first)
    judge(database, item, ben, choice(1))
    judge(database, item, eve, choice(-1))
    judge(database, item, late, choice(-1), late=True)
    withhold(database, eve)
    found = dashboard(database, None, project)
    assert (found.labels, found.coefficients.raw.value, found.disputes) == (2, 1.0, 0)
    assert found.agreement.value is not None  # of strengths 1 and 2
    assert of(found, 3).withheld and of(found, 3).labels == 1 and of(found, 3).with_rest.value == 0
    assert of(found, 4).late == 1 and of(found, 4).with_rest.value == 0
    assert of(found, 1).with_rest.value == 1


def test_leanings_by_hand(database: Database) -> None:
    project = a_project(database)
    texts = [{"prompt": f"p{n}", "responses": ["short", "a longer text"]} for n in range(6)]
    items = add_items(database, project, [*texts, {"prompt": "even", "responses": ["abc", "xyz"]}])
    (user,) = people(database, 1)
    # (strength, order shown): left is candidate order[0].
    given = [(-1, (0, 1)), (2, (1, 0)), (3, (0, 1)), (1, (1, 0)), (0, (0, 1)), (None, (0, 1)), (-2, (0, 1))]
    for item, (strength, order) in zip(items, given, strict=True):
        judge(database, item, user, BOTH_BAD if strength is None else choice(strength), order=order)
    found = of(dashboard(database, None, project), 1)
    # Decided are five: left, left, right, left, left. Of different length four of them: short, long, long, long.
    assert (found.left.of, found.left.interval) == (5, wilson(4, 5))
    assert (found.longer.of, found.longer.value) == (4, 0.75)
    assert (found.ties.of, found.ties.value) == (7, pytest.approx(2 / 7))
    assert found.left.warning == "only 5: this may change a lot"


def test_gold_and_repeats_go_by_the_side(database: Database) -> None:
    project = a_project(database)
    items = add_items(database, project, some_items(3))
    (user,) = people(database, 1)
    golds = checks(database, project, [choice(-3), choice(2), choice(0), BOTH_BAD], ItemKind.gold)
    for gold, answer in zip(golds, (choice(-1), choice(-1), choice(0), choice(0)), strict=True):
        judge(database, gold, user, answer)
    for item, first, again in zip(items, (1, -1, 0), (3, 1, 0), strict=True):
        once = judge(database, item, user, choice(first))
        judge(database, item, user, choice(again), repeat_of=once, order=(1, 0))
    found = of(dashboard(database, None, project), 1)
    assert (found.gold.of, found.gold.value) == (4, 0.5)
    assert (found.consistency.of, found.consistency.value) == (3, pytest.approx(2 / 3))
    assert found.labels == 3 and found.with_rest.value is None and found.with_rest.warning == "none yet"


def test_time_against_length_and_drift_over_a_session(database: Database, clock: Clock) -> None:
    project = a_project(database, overlap=2)
    texts = [{"prompt": "p", "responses": [f"{n:02d}" * (n + 1), "x"]} for n in range(12)]
    items = add_items(database, project, texts)
    ann, ben = people(database, 2)
    for item in items:
        judge(database, item, ben, choice(1))
    # Nine in one session: 20 seconds and with Ben at first, 5 seconds and against him at last; then a pause, and three.
    for number, item in enumerate(items[:9]):
        judge(
            database, item, ann, choice(-1 if number >= 6 else 1), seconds=20 if number < 3 else 10 if number < 6 else 5
        )
        clock.forward(minutes=1)
    clock.forward(minutes=30)
    for item in items[9:]:
        judge(database, item, ann, choice(1), seconds=40)
        clock.forward(minutes=1)
    found = of(dashboard(database, None, project), 1)
    assert (found.drift.sessions, found.drift.pace, found.drift.agreement) == (1, 0.25, -1.0)
    assert found.drift.warning == "few sessions of 9 judgements or more: 1"
    assert (found.median_seconds, found.with_rest.of, found.with_rest.value) == (15.0, 12, 0.75)
    slow = of(dashboard(database, None, project), 2)
    assert slow.speed_and_length is None  # always ten seconds
    assert found.speed_and_length is not None and found.speed_and_length.estimate < 0.2


def test_rankings_agree_by_their_pairs(database: Database) -> None:
    project = a_project(database, mode="ranking", overlap=2)
    (item,) = add_items(database, project, some_items(1, responses=3))
    for user, ranks in zip(people(database, 2), ([1, 2, 3], [1, 3, 2]), strict=True):
        judge(database, item, user, {"kind": "ranking", "ranks": ranks})
    found = dashboard(database, None, project)
    assert found.coefficients.raw.value == pytest.approx(2 / 3)
    assert found.agreement == found.coefficients.nominal and found.couples == []
    assert of(found, 1).with_rest.value == pytest.approx(2 / 3) and of(found, 1).left.of == 0


def test_conversations_have_lengths_too(database: Database) -> None:
    project = a_project(database)
    turns = [[{"role": "assistant", "content": text}] for text in ("short", "a longer text")]
    (item,) = add_items(database, project, [{"prompt": [{"role": "user", "content": "Hi"}], "responses": turns}])
    judge(database, item, people(database, 1)[0], choice(2))
    assert of(dashboard(database, None, project), 1).longer.value == 1.0


def test_an_empty_project(database: Database) -> None:
    found = dashboard(database, None, a_project(database))
    assert (found.labels, found.items, found.people, found.pace, found.couples) == (0, 0, [], [], [])
    assert found.agreement.value is None and found.agreement.warning == "no item was judged by two people"


def test_only_a_lead_sees_it(database: Database) -> None:
    project, (annotator,) = a_project(database), people(database, 1)
    with pytest.raises(NotAllowed):
        dashboard(database, annotator, project)
