"""Import: every format that is read, all bad rows in one go, nothing twice, and nobody waits for it."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from labeling_app.errors import NotAllowed, NotFound, Refused, Unavailable
from labeling_app.lead import imports
from labeling_app.lead.imports import import_items
from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry, Item, ItemKind, Project
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Task
from rlhf.errors import DataError
from tests.labeling_app.made import a_lead, a_project, people, some_items

PAIR = {"prompt": "Film review:", "responses": ["A gem.", "A bore."]}
LABEL = "6f1c2a50-5b0e-4b7c-9d55-0a8f6f2f1c11"


def items(database: Database, project: int) -> list[Item]:
    with database.read() as session:
        return list(session.scalars(select(Item).where(Item.project_id == project).order_by(Item.position)))


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def refusals(database: Database, project: int, *rows: Any, **options: Any) -> list[str]:
    """What is said of bad rows; nothing may have been imported."""
    before = len(items(database, project))
    with pytest.raises(Refused) as caught:
        import_items(database, None, project, list(rows), **options)
    assert len(items(database, project)) == before
    return list(caught.value.problems)


def test_rows_become_items_in_order_with_their_slots(database: Database) -> None:
    project = a_project(database, overlap=3)
    report = import_items(database, None, project, some_items(3))
    assert (report.added, report.known, report.judged, report.problems) == (3, 0, 0, [])
    import_items(database, None, project, some_items(1, start=3))
    found = items(database, project)
    assert [(item.position, item.prompt) for item in found] == [(n + 1, f"prompt {n}") for n in range(4)]
    assert {(item.kind, item.overlap, item.open_slots) for item in found} == {(ItemKind.work, 3, 3)}
    assert len({item.uid for item in found}) == 4
    with database.read() as session:
        assert session.get_one(Project, project).slots_total == 12
        entry = session.scalars(select(AuditEntry)).first()
    assert entry is not None and entry.detail == {"project": project, "kind": "work", "added": 3}


def test_a_second_import_adds_nothing_whatever_the_order_of_the_responses(database: Database) -> None:
    project = a_project(database)
    import_items(database, None, project, [PAIR])
    turned = {"prompt": "Film review:", "responses": ["A bore.", "A gem."]}
    other = {"prompt": "Book review:", "responses": ["A gem.", "A bore."]}
    report = import_items(database, None, project, [PAIR, turned, other, other])
    assert (report.added, report.known) == (1, 3)
    assert [item.prompt for item in items(database, project)] == ["Film review:", "Book review:"]
    assert import_items(database, None, a_project(database), [PAIR]).added == 1


def test_preference_rows_keep_their_stored_order_and_lose_their_judgement(database: Database, tmp_path: Path) -> None:
    project = a_project(database)
    said = {"annotators": ["ann"], "label_ids": [LABEL], "agreement": 0.9, "margin": 0.5}
    path = written(
        tmp_path / "pairs.jsonl",
        {"prompt": "p1", "chosen": "good", "rejected": "bad", "strength": -2, "group": "g1", "length": 3, **said},
        {"prompt": "p2", "chosen": "good", "rejected": "bad", "strength": 2},
        {"prompt": "p3", "chosen": "good", "rejected": "bad", "chosen_model": "m1", "rejected_model": "m0"},
        {"prompt": "p4", "first": "one", "second": "two", "verdict": "both_bad"},
        {"chosen": "good", "rejected": "bad"},
    )
    report = import_items(database, None, project, path)
    found = items(database, project)
    assert (report.added, report.judged) == (5, 5)
    assert [item.responses for item in found] == [
        ["good", "bad"],
        ["bad", "good"],
        ["good", "bad"],
        ["one", "two"],
        ["good", "bad"],
    ]
    assert [item.further for item in found] == [{"group": "g1", "length": 3}, {}, {}, {}, {}]
    assert [item.origins for item in found] == [None, None, ["m1", "m0"], None, None]
    assert found[4].prompt == ""


def test_other_formats_and_conversations(database: Database, tmp_path: Path) -> None:
    project = a_project(database)
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    asked = [*turns, {"role": "user", "content": "Is it good?"}]
    answers = [[{"role": "assistant", "content": text}] for text in ("It is.", "No.")]
    path = written(
        tmp_path / "mixed.jsonl",
        {"chosen": "\n\nHuman: Good?\n\nAssistant: Yes.", "rejected": "\n\nHuman: Good?\n\nAssistant: No."},
        {"prompt": "Is it good?", "chosen": asked + answers[0], "rejected": asked + answers[1]},
        {"prompt": asked, "responses": ["Maybe.", "No."]},
        {"prompt": asked, "responses": [[{"role": "assistant", "content": "Ask me later."}], "No!"]},
    )
    tasks = [{"data": {"prompt": "Which?", "answer1": "this", "answer2": "that"}, "annotations": []}]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    (tmp_path / "own.csv").write_text('prompt,responses\nCSV?,"[""yes"", ""no""]"\n')
    for name in ("mixed.jsonl", "tasks.json", "own.csv"):
        import_items(database, None, project, tmp_path / name)
    found = items(database, project)
    assert path.exists() and len(found) == 6
    assert found[0].prompt == [{"role": "user", "content": "Good?"}]
    assert found[1].prompt == asked and found[1].responses == answers
    assert found[2].responses == [[{"role": "assistant", "content": text}] for text in ("Maybe.", "No.")]
    assert found[3].responses[1] == [{"role": "assistant", "content": "No!"}]
    assert (found[4].prompt, found[4].responses) == ("Which?", ["this", "that"])
    assert (found[5].prompt, found[5].responses) == ("CSV?", ["yes", "no"])


def test_all_bad_rows_are_told_with_line_and_field_and_nothing_is_imported(database: Database, tmp_path: Path) -> None:
    project = a_project(database)
    path = written(
        tmp_path / "rows.jsonl",
        PAIR,
        {"prompt": "p", "responses": ["same", "same"]},
        {"prompt": " ", "responses": ["a", ""]},
        {"prompt": "p", "chosen": "a"},
        {"text": "no comparison"},
    )
    with path.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(Refused) as caught:
        import_items(database, None, project, path)
    said = caught.value.problems
    assert [problem.split(": ")[0].removeprefix(str(path)) for problem in said] == [
        ", line 2, field 'responses'",
        ", line 3, field 'prompt'",
        ", line 3, field 'responses'",
        ", line 4, field 'rejected'",
        ", line 5",
        ", line 6",
    ]
    assert "5 bad rows" in caught.value.message and "response 2: empty" in said[2]
    assert items(database, project) == []

    report = import_items(database, None, project, path, skip_bad=True)
    assert (report.added, len(report.problems)) == (1, 6)
    assert [item.prompt for item in items(database, project)] == ["Film review:"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "p", "responses": ["a"]}, "1: expected 2 in a project of mode comparison"),
        ({"prompt": "p", "responses": ["a", "b", "c"]}, "3: expected 2"),
        ({"prompt": "p", "responses": []}, "empty list"),
        ({"prompt": "p", "responses": "a, b"}, "a str: expected a list"),
        ({"prompt": "p", "responses": ["a", 2]}, "response 2: a int"),
        ({"prompt": "p", "responses": ["a", [{"role": "assistant", "content": "b"}]]}, "plain texts beside lists"),
        ({"prompt": [{"role": "assistant", "content": "a"}], "responses": ["a", "b"]}, "role 'assistant'"),
        ({"prompt": "p", "responses": ["a", "b" * 100_001]}, "100,001 characters: at most 100,000"),
        ({"prompt": "p\0", "responses": ["a", "b"]}, "can't be stored"),
        ({"prompt": "p", "responses": ["a", "b"], "note": "\ud800"}, "can't be stored"),
        ({"prompt": "p", "responses": ["a", "b"], "note": "n" * 20_001}, "further columns"),
        ({"prompt": "p", "responses": ["a", "b"], "models": ["m"]}, "expected 2 names"),
        ({"prompt": "p", "responses": ["a", "b"], "group": 7}, "field 'group': must be a text"),
        ({"prompt": "p", "responses": ["a", "b"], "expected": {"strength": 1}}, "import this as gold"),
        ("not an object", "expected an object"),
    ],
)
def test_bad_rows(database: Database, row: Any, expected: str) -> None:
    project = a_project(database)
    problems = refusals(database, project, row)
    assert len(problems) == 1 and expected in problems[0]


def test_a_ranking_takes_three_to_nine(database: Database) -> None:
    project = a_project(database, mode="ranking")
    assert import_items(database, None, project, some_items(1, responses=9)).added == 1
    assert import_items(database, None, project, some_items(1, responses=3)).added == 1
    assert len(refusals(database, project, *some_items(1, responses=2), *some_items(1, responses=10))) == 2


def test_checks_carry_their_answer(database: Database) -> None:
    project = a_project(database, overlap=2, rationale="required", axes=[{"name": "clarity"}])
    rows = [
        {**PAIR, "expected": {"kind": "choice", "strength": -3}, "explanation": "A gem is better."},
        {"prompt": "p", "chosen": "a", "rejected": "b", "strength": 3, "expected": {"strength": 2}},
    ]
    assert import_items(database, None, project, rows, kind=ItemKind.gold).added == 2
    first, second = items(database, project)
    assert first.expected == {"answer": {"kind": "choice", "strength": -3}, "explanation": "A gem is better."}
    assert second.expected == {"answer": {"kind": "choice", "strength": 2}, "explanation": None}
    assert (first.kind, first.overlap, first.open_slots, second.responses) == (ItemKind.gold, 0, 0, ["b", "a"])
    with database.read() as session:
        assert session.get_one(Project, project).slots_total == 0


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({}, "missing: a qualification item needs its answer"),
        ({"expected": "left"}, "expected an answer such as"),
        ({"expected": {"strength": 5}}, "strength: Input should be less than or equal to 3"),
        ({"expected": {"kind": "ranking", "ranks": [1, 2, 3]}}, "a ranking in a project of mode comparison"),
        ({"expected": {"kind": "skip", "reason": "odd"}}, "a skip is no answer"),
        ({"expected": {"strength": 1}, "explanation": 3}, "expected a text"),
    ],
)
def test_checks_without_a_usable_answer(database: Database, expected: dict[str, Any], message: str) -> None:
    project = a_project(database)
    problems = refusals(database, project, PAIR | expected, kind=ItemKind.qualification)
    assert message in problems[0]


def test_what_is_work_does_not_become_gold_by_import_but_gold_may_stand_in_a_file_of_work(database: Database) -> None:
    project = a_project(database)
    gold = PAIR | {"expected": {"strength": -1}}
    import_items(database, None, project, [PAIR])
    assert "as a work item" in refusals(database, project, gold, kind=ItemKind.gold)[0]
    other = a_project(database)
    import_items(database, None, other, [gold], kind=ItemKind.gold)
    assert import_items(database, None, other, [PAIR]).known == 1
    assert import_items(database, None, other, [gold], kind=ItemKind.gold).known == 1


def test_numbers_that_json_does_not_know_are_no_obstacle(database: Database, tmp_path: Path) -> None:
    project = a_project(database)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "p", "responses": ["a", "b"], "score": NaN}\n')
    import_items(database, None, project, path)
    assert items(database, project)[0].further == {"score": None}


def test_nothing_is_fetched_and_nothing_is_nothing(database: Database, tmp_path: Path) -> None:
    project = a_project(database)
    for name in ("owner/dataset", "labeling_app:labels.db", str(tmp_path / "none.jsonl")):
        with pytest.raises(DataError, match="There is no file or folder"):
            import_items(database, None, project, name)
    with pytest.raises(Refused, match="no rows"):
        import_items(database, None, project, [])
    with pytest.raises(NotFound):
        import_items(database, None, 99, [PAIR])


def test_too_many_rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    project = a_project(database)
    monkeypatch.setattr(imports, "MOST_ROWS", 2)
    with pytest.raises(Refused, match="more than 2 rows"):
        import_items(database, None, project, some_items(3))
    assert import_items(database, None, project, some_items(2)).added == 2


def test_only_a_lead_imports(database: Database) -> None:
    project, (annotator,) = a_project(database), people(database, 1)
    with pytest.raises(NotAllowed):
        import_items(database, annotator, project, [PAIR])
    assert items(database, project) == []


def test_an_import_that_is_cut_off_is_taken_up_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labeling_app.lead.imports.AT_ONCE", 20)
    lead, project, rows = a_lead(database), a_project(database, overlap=3), some_items(90)
    inserts: list[str] = []

    def cut_off(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if statement.startswith("INSERT INTO item"):
            inserts.append(statement)
            if len(inserts) == 3:
                raise KeyboardInterrupt

    event.listen(database.engine, "before_cursor_execute", cut_off)
    with pytest.raises(KeyboardInterrupt):
        import_items(database, lead, project, rows)
    event.remove(database.engine, "before_cursor_execute", cut_off)
    assert len(items(database, project)) == 40 and wanted(database, project) == 120
    report = import_items(database, lead, project, rows)
    assert (report.added, report.known) == (50, 40)
    found = items(database, project)
    assert [item.prompt for item in found] == [row["prompt"] for row in rows]
    assert len({item.position for item in found}) == 90 and wanted(database, project) == 270
    with database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.actor_id, entry.detail["added"]) for entry in entries] == [(lead, 40), (lead, 50)]


def test_an_import_that_can_not_go_on_says_what_is_stored(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = a_project(sqlite_database)

    def no_more(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA query_only=ON")

    def full_from_now_on(seconds: float) -> None:
        sqlite_database.engine.dispose()
        event.listen(sqlite_database.engine, "connect", no_more)

    monkeypatch.setattr(imports, "AT_ONCE", 2)
    monkeypatch.setattr("labeling_app.lead.imports.time.sleep", full_from_now_on)
    with pytest.raises(Unavailable, match="that are stored: 2") as raised:
        import_items(sqlite_database, None, project, some_items(5))
    assert "goes on where this one ended" in raised.value.remedy and "nothing" not in str(raised.value)
    event.remove(sqlite_database.engine, "connect", no_more)
    sqlite_database.engine.dispose()
    monkeypatch.undo()
    assert import_items(sqlite_database, None, project, some_items(5)).added == 3


def test_others_work_while_a_large_file_is_imported(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labeling_app.lead.imports.AT_ONCE", 20)
    project, (ana,) = a_project(database, items=200), people(database, 1)
    importing = threading.Thread(target=import_items, args=(database, None, project, some_items(1_500, start=200)))
    importing.start()
    answered = 0
    while importing.is_alive():
        task = next_task(database, ana, project)
        assert isinstance(task, Task)
        submit(database, ana, task.assignment_id, {"kind": "choice", "strength": 1}, f"answer {answered}", seconds=1)
        answered += 1
    importing.join()
    # Without pauses the import would hold the file throughout, and there would be one.
    assert answered > 3 and len(items(database, project)) == 1_700


def wanted(database: Database, project: int) -> int:
    with database.read() as session:
        return session.get_one(Project, project).slots_total
