"""What happens to an answer: counted once, kept in every revision, never lost."""

import pytest
from sqlalchemy import select

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.lead.projects import change_settings, close
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AssignmentStatus, Draft, Item, Label, Member
from labeling_app.work.claims import last_finished, next_task, renew, reopen
from labeling_app.work.consent import consent, current_guidelines
from labeling_app.work.drafts import save_draft
from labeling_app.work.history import past
from labeling_app.work.labels import submit, submit_and_next
from labeling_app.work.tasks import Idle, Task
from tests.labeling_app.clock import Clock
from tests.labeling_app.made import a_project, people, publish
from tests.labeling_app.work.test_claims import A_BETTER, answer, slots, take, why

SKIP = {"kind": "skip", "reason": "I can't tell"}


def labels(database: Database) -> list[Label]:
    with database.read() as session:
        return list(session.scalars(select(Label).order_by(Label.id)))


def counts(database: Database, user: int, project: int) -> tuple[int, int]:
    """Judgements that fill a slot, and all."""
    with database.read() as session:
        member = session.get_one(Member, (project, user))
        return member.done, member.answered


def test_an_answer_is_stored_of_the_candidates_whatever_side_they_were_shown_on(database):
    project, (user,) = a_project(database, items=20), people(database, 1)
    for _ in range(20):
        task = take(database, user, project)
        # The first stored candidate, whose text ends in ".0", is the better one.
        strength = -2 if task.responses[0].endswith(".0") else 2
        submit(database, user, task.assignment_id, {"kind": "choice", "strength": strength}, task.prompt, seconds=4.5)
    stored = labels(database)
    assert [label.answer for label in stored] == [{"kind": "choice", "strength": -2}] * 20
    assert {label.seconds for label in stored} == {4.5} and len({label.uid for label in stored}) == 20


def test_a_ranking_is_stored_of_the_candidates(database):
    project, (user,) = a_project(database, mode="ranking", items=5), people(database, 1)
    for _ in range(5):
        task = take(database, user, project)
        rank = {"0": 2, "1": 1, "2": 2}  # response .1 is the best, the others tie
        ranks = [rank[response[-1]] for response in task.responses]
        submit(database, user, task.assignment_id, {"kind": "ranking", "ranks": ranks}, task.prompt, seconds=1)
    assert [label.answer["ranks"] for label in labels(database)] == [[2, 1, 2]] * 5


def test_the_same_submission_gets_the_same_receipt_and_is_stored_once(database):
    project, (user,) = a_project(database, items=2), people(database, 1)
    task = take(database, user, project)
    first, following = submit_and_next(
        database, user, task.assignment_id, A_BETTER, "once", project_id=project, seconds=1
    )
    again, still = submit_and_next(database, user, task.assignment_id, A_BETTER, "once", project_id=project, seconds=9)
    assert again == first and len(labels(database)) == 1
    assert isinstance(following, Task) and isinstance(still, Task) and still.assignment_id == following.assignment_id
    for assignment, fields in ((following.assignment_id, A_BETTER), (task.assignment_id, {"kind": "both_bad"})):
        with pytest.raises(Refused, match="Another answer was stored"):
            submit(database, user, assignment, fields, "once", seconds=1)
    assert len(labels(database)) == 1


def test_a_late_answer_is_kept_outside_the_overlap(database, clock: Clock):
    project, (one, other) = a_project(database, items=1), people(database, 2)
    held = take(database, one, project)
    clock.forward(minutes=11)
    taken = take(database, other, project)
    receipt = submit(database, one, held.assignment_id, A_BETTER, "late", seconds=1)
    assert receipt.late and slots(database, project) == [0] and counts(database, one, project) == (0, 1)
    assert not submit(database, other, taken.assignment_id, A_BETTER, "in time", seconds=1).late
    assert slots(database, project) == [0] and counts(database, other, project) == (1, 1)


def test_a_late_answer_whose_lease_nobody_has_ended_gives_the_slot_back(database, clock: Clock):
    project, (one, other) = a_project(database, items=1), people(database, 2)
    held = take(database, one, project)
    clock.forward(minutes=11)
    assert submit(database, one, held.assignment_id, A_BETTER, "late", seconds=1).late
    assert slots(database, project) == [1]
    answer(database, other, project)
    assert why(database, one, project) == "finished"


def test_a_correction_is_a_further_revision_and_counts_once(database):
    project, (user,) = a_project(database, items=1), people(database, 1)
    task = answer(database, user, project, {"kind": "choice", "strength": 3})
    assert last_finished(database, user, project) == task.assignment_id
    seen = reopen(database, user, task.assignment_id)
    assert seen.responses == task.responses and seen.given is not None and seen.given.strength == 3
    receipt = submit(database, user, task.assignment_id, {"kind": "both_bad"}, "corrected", seconds=2)
    assert receipt.revision == 2 and not receipt.late
    assert [label.revision for label in labels(database)] == [1, 2]
    assert counts(database, user, project) == (1, 1) and slots(database, project) == [0]
    (only,) = past(database, user, project)
    assert only.answer.kind == "both_bad" and only.revision == 2 and only.responses == task.responses


def test_a_correction_to_a_skip_gives_the_slot_back_and_one_from_a_skip_takes_it_again(database):
    project, (one, other) = a_project(database, items=1), people(database, 2)
    task = answer(database, one, project)
    submit(database, one, task.assignment_id, SKIP, "skip", seconds=1)
    assert slots(database, project) == [1] and counts(database, one, project) == (0, 0)
    assert not submit(database, one, task.assignment_id, A_BETTER, "back", seconds=1).late
    assert slots(database, project) == [0] and counts(database, one, project) == (1, 1)
    submit(database, one, task.assignment_id, SKIP, "skip again", seconds=1)
    answer(database, other, project)
    # Somebody else has the slot now: the judgement is kept, outside the overlap.
    assert submit(database, one, task.assignment_id, A_BETTER, "too late", seconds=1).late
    assert slots(database, project) == [0] and counts(database, one, project) == (0, 1)
    assert len(labels(database)) == 6


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "choice"}, "strength"),
        ({"kind": "choice", "strength": 4}, "less than or equal to 3"),
        ({"kind": "choice", "strength": "1"}, "valid integer"),
        ({"kind": "ranking", "ranks": [1, 2, 3]}, "a ranking in a project of mode comparison"),
        ({"kind": "skip", "reason": " "}, "needs its reason"),
        ({"kind": "choice", "strength": 1, "user_id": 1}, "not permitted"),
        ({"kind": "choice", "strength": 1, "rationale": "x"}, "doesn't ask"),
        ({"kind": "choice", "strength": 1, "unsafe": [0]}, "doesn't ask"),
        ({}, "Field required"),
    ],
)
def test_what_is_not_acceptable_is_refused_and_changes_nothing(database, fields, problem):
    project, (user,) = a_project(database, items=1), people(database, 1)
    task = take(database, user, project)
    with pytest.raises(Refused) as raised:
        submit(database, user, task.assignment_id, fields, "s", seconds=1)
    assert problem in str(raised.value)
    assert labels(database) == [] and take(database, user, project).assignment_id == task.assignment_id


def test_ranks_are_as_in_sport(database):
    project, (user,) = a_project(database, mode="ranking", items=1), people(database, 1)
    task = take(database, user, project)
    for ranks in ([1, 1, 2], [0, 1, 2], [1, 2, 2, 4], [2, 2, 2]):
        with pytest.raises(Refused, match="can't be stored"):
            submit(database, user, task.assignment_id, {"kind": "ranking", "ranks": ranks}, "s", seconds=1)
    submit(database, user, task.assignment_id, {"kind": "ranking", "ranks": [1, 1, 3]}, "s", seconds=1)


def test_what_a_project_asks_for_beside_the_choice(database):
    axes = [{"name": "accuracy"}]
    project = a_project(database, items=1, rationale="required", axes=axes, edit=True, safety_flag=True)
    (user,) = people(database, 1)
    task = take(database, user, project)
    with pytest.raises(Refused) as raised:
        submit(database, user, task.assignment_id, {"kind": "choice", "strength": 1}, "s", seconds=1)
    assert "rationale" in str(raised.value) and "accuracy" in str(raised.value)
    ratings = [5 if response.endswith(".0") else 2 for response in task.responses]
    unsafe = [position for position, response in enumerate(task.responses) if response.endswith(".1")]
    fields = {"kind": "choice", "strength": 1, "rationale": "true", "edit": "better", "unsafe": unsafe}
    submit(database, user, task.assignment_id, fields | {"ratings": {"accuracy": ratings}}, "s", seconds=1)
    (label,) = labels(database)
    assert label.answer["ratings"] == {"accuracy": [5, 2]} and label.answer["unsafe"] == [1]


def test_settings_that_changed_since_are_no_matter_to_what_is_stored(database):
    project, (user,) = a_project(database, items=2, rationale="optional"), people(database, 1)
    fields = {"kind": "choice", "strength": 1, "rationale": "it is true"}
    task = take(database, user, project)
    receipt = submit(database, user, task.assignment_id, fields, "once", seconds=1)
    change_settings(database, None, project, ProjectSettings(rationale="off"))
    assert submit(database, user, task.assignment_id, fields, "once", seconds=1) == receipt
    for other in ({**fields, "rationale": "it is false"}, {**fields, "unsafe": [7]}, {"kind": "nonsense"}):
        with pytest.raises(Refused, match="Another answer was stored"):
            submit(database, user, task.assignment_id, other, "once", seconds=1)
    with pytest.raises(Refused, match="doesn't ask for one") as raised:
        submit(database, user, take(database, user, project).assignment_id, fields, "another", seconds=1)
    assert "load the page again" in raised.value.remedy


def test_a_closed_project_takes_what_is_on_peoples_pages(database, clock: Clock):
    project, (one, other) = a_project(database, items=4), people(database, 2)
    said = answer(database, one, project)
    held, late = take(database, one, project), take(database, other, project)
    close(database, None, project)
    clock.forward(minutes=9)
    save_draft(database, one, held.assignment_id, {"rationale": "half a sen"})
    renew(database, one, held.assignment_id)
    clock.forward(minutes=9)  # the other's lease has ended
    receipt, following = submit_and_next(
        database, one, held.assignment_id, A_BETTER, "last", project_id=project, seconds=1
    )
    assert not receipt.late and isinstance(following, Idle) and following.reason == "closed"
    assert counts(database, one, project) == (2, 2)
    assert submit(database, one, held.assignment_id, A_BETTER, "last", seconds=1) == receipt
    for user, task in ((one, said), (one, held), (other, late)):
        with pytest.raises(NotAllowed, match="closed"):
            submit(database, user, task.assignment_id, {"kind": "both_bad"}, "too late", seconds=1)
    assert len(labels(database)) == 2


def test_a_closed_project_asks_nobody_to_agree_to_newer_guidelines(database):
    project, (user,) = a_project(database, items=3, guidelines="Be kind."), people(database, 1)
    read = current_guidelines(database, user, project).id
    consent(database, user, read)
    said, held = answer(database, user, project), take(database, user, project)
    publish(database, project, "Be kinder.")
    with pytest.raises(NotAllowed, match="have changed"):
        submit(database, user, held.assignment_id, A_BETTER, "early", seconds=1)
    close(database, None, project)
    submit(database, user, held.assignment_id, A_BETTER, "last", seconds=1)
    assert [label.guideline_id for label in labels(database)] == [read, read]
    with pytest.raises(NotAllowed, match="closed"):
        submit(database, user, said.assignment_id, {"kind": "both_bad"}, "corrected", seconds=1)


def test_a_draft_survives_until_the_answer(database):
    project, (user, other) = a_project(database, items=2, rationale="optional"), people(database, 2)
    task = take(database, user, project)
    save_draft(database, user, task.assignment_id, {"rationale": "because"})
    save_draft(database, user, task.assignment_id, {"rationale": "because of"})
    assert take(database, user, project).draft == {"rationale": "because of"}
    with pytest.raises(NotFound):
        save_draft(database, other, task.assignment_id, {"rationale": "mine"})
    with pytest.raises(Refused, match="at most"):
        save_draft(database, user, task.assignment_id, {"rationale": "x" * 100_000})
    answer(database, user, project)
    with pytest.raises(NotFound):
        save_draft(database, user, task.assignment_id, {"rationale": "after"})
    with database.read() as session:
        assert session.scalars(select(Draft)).all() == []


def test_the_last_answer_is_followed_by_the_reason_why_there_is_no_other(database):
    project, (user,) = a_project(database, items=1), people(database, 1)
    task = take(database, user, project)
    _, following = submit_and_next(database, user, task.assignment_id, A_BETTER, "s", project_id=project, seconds=1)
    assert isinstance(following, Idle) and following.reason == "finished"
    assert following.progress is not None and (following.progress.mine, following.progress.wanted) == (1, 1)


def test_the_history_has_pages(database):
    project, (user,) = a_project(database, items=5), people(database, 1)
    for _ in range(5):
        answer(database, user, project)
    first = past(database, user, project, limit=2)
    second = past(database, user, project, limit=2, before=first[-1].assignment_id)
    assert [one.prompt for one in (*first, *second)] == ["prompt 4", "prompt 3", "prompt 2", "prompt 1"]


def test_times_are_kept_within_reason(database):
    project, (user,) = a_project(database, items=3), people(database, 1)
    for seconds in (-5.0, float("nan"), 1e12):
        task = take(database, user, project)
        submit(database, user, task.assignment_id, A_BETTER, task.prompt, seconds=seconds)
    assert [label.seconds for label in labels(database)] == [0.0, 0.0, 86_400.0]


def test_the_assignment_points_at_its_newest_label(database):
    project, (user,) = a_project(database, items=1), people(database, 1)
    task = answer(database, user, project)
    submit(database, user, task.assignment_id, SKIP, "second", seconds=1)
    with database.read() as session:
        assignment = session.get_one(Assignment, task.assignment_id)
        assert session.get_one(Label, assignment.label_id).revision == 2
        assert (
            assignment.status is AssignmentStatus.skipped and session.get_one(Item, assignment.item_id).open_slots == 1
        )
    assert isinstance(next_task(database, user, project), Idle)
