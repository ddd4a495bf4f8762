"""An export: what counts, what is left out and counted, and files that training reads unchanged."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from labeling_app.errors import NotAllowed, NotFound, Refused
from labeling_app.export import ExportOptions, ExportReport, export_labels, open_labels
from labeling_app.export.folder import written_aside
from labeling_app.store import Database
from labeling_app.store.tables import Decision, ItemKind
from rlhf.data import Row, load_rows
from rlhf.errors import DataError
from tests.labeling_app.judged import choice, judge, revise, uid_of, withhold
from tests.labeling_app.made import a_lead, a_project, add_items, checks, people, publish, some_items

BOTH_BAD = {"kind": "both_bad"}


def rows(report: ExportReport, name: str) -> list[dict[str, Any]]:
    lines = (report.folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def export(database: Database, project: int, folder: Path, **options: Any) -> ExportReport:
    return export_labels(database, None, project, folder / "export", ExportOptions(**options))


def decide(database: Database, project: int, item: int, lead: int, answer: dict[str, Any], uid: str) -> None:
    with database.write() as session:
        columns = {"project_id": project, "item_id": item, "decided_by": lead, "note": None}
        session.add(Decision(uid=uid, answer=answer, created_at=database.now(), **columns))


def test_a_majority_row_field_by_field(database: Database, tmp_path: Path) -> None:
    content = {
        "prompt": "Film review:",
        "responses": ["bad", "good"],
        "origins": ["m0", "m1"],
        "further": {"group": "film 7", "length": 3, "strength": 9, "item": "x"},
    }
    project = a_project(database, overlap=4)
    (item,) = add_items(database, project, [content])
    users = people(database, 4)
    given = [judge(database, item, user, choice(n)) for user, n in zip(users, (3, 2, -1, 0), strict=True)]
    report = export(database, project, tmp_path)
    (row,) = rows(report, "preferences")
    uid = row.pop("item")
    assert row == {
        "prompt": "Film review:",
        "chosen": "good",
        "rejected": "bad",
        "strength": 1.0,  # (3 + 2 - 1 + 0) / 4
        "margin": 0.333333,
        "agreement": 0.625,  # two for it, one even
        "chosen_model": "m1",
        "rejected_model": "m0",
        "annotators": ["person-1", "person-2", "person-3", "person-4"],
        "label_ids": [uid_of(database, one) for one in given],
        "created_at": "2026-01-05T09:00:00+00:00",
        "source": f"labeling app, {report.manifest['project']['name']}",
        "group": "film 7",
        "length": 3,
    }
    assert rows(report, "labels")[0] == {
        "id": uid_of(database, given[0]),
        "item": uid,
        "annotator": "person-1",
        "answer": {"kind": "choice", "strength": 3},
        "shown_order": [0, 1],
        "revision": 1,
        "guideline_version": None,
        "seconds": 10.0,
        "idle_seconds": 0.0,
        "late": False,
        "created_at": "2026-01-05T09:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("answers", "side", "strength"),
    [
        ([choice(-2), choice(-1)], "chosen response 0.0", -1.5),
        ([choice(3), choice(-1), choice(-1)], "chosen response 0.1", 0.333333),  # the mean, against the heads
        ([choice(2), choice(-2)], "tie", 0.0),
        ([choice(0)], "tie", 0.0),
        ([BOTH_BAD, BOTH_BAD, choice(3)], "both_bad", None),
        ([BOTH_BAD, choice(2)], "chosen response 0.1", 1.0),
    ],
)
def test_the_majoritys_verdict(
    database: Database, tmp_path: Path, answers: list[dict[str, Any]], side: str, strength: float | None
) -> None:
    project = a_project(database, overlap=3)
    (item,) = add_items(database, project, some_items(1))
    for user, answer in zip(people(database, len(answers)), answers, strict=True):
        judge(database, item, user, answer)
    report = export(database, project, tmp_path)
    found = rows(report, "preferences") + rows(report, "ties")
    assert len(found) == 1 and found[0].get("strength") == strength
    assert (f"chosen {found[0]['chosen']}" if "chosen" in found[0] else found[0]["verdict"]) == side


def test_what_is_left_out_is_counted(database: Database, tmp_path: Path) -> None:
    project = a_project(database, overlap=3)
    items = add_items(database, project, some_items(8))
    ann, ben, eve = people(database, 3)
    (gold,) = checks(database, project, [choice(1)], ItemKind.gold)
    (entry,) = checks(database, project, [choice(1)], ItemKind.qualification)
    first = judge(database, items[0], ann, choice(3))
    revise(database, first, choice(-3))
    judge(database, items[0], ann, choice(2), repeat_of=first)
    judge(database, items[1], ann, {"kind": "skip", "reason": "unclear"})
    judge(database, items[2], eve, choice(1))
    judge(database, items[3], ben, choice(1), late=True)
    judge(database, gold, ann, choice(1))
    judge(database, entry, ann, choice(1))
    withhold(database, eve)
    lead = a_lead(database)
    decide(
        database, project, items[4], lead, {"kind": "skip", "reason": "spam"}, "6f1c2a50-5b0e-4b7c-9d55-0a8f6f2f1c11"
    )

    report = export(database, project, tmp_path)
    (row,) = rows(report, "preferences")
    assert (row["strength"], row["annotators"]) == (-3.0, ["person-1"])
    assert len(rows(report, "labels")) == 1
    expected = {
        "superseded revisions": 1,
        "judgements of hidden repeats": 1,
        "skips": 1,
        "judgements of withheld annotators": 1,
        "late judgements": 1,
        "judgements of gold items": 1,
        "judgements of qualification items": 1,
        "items that a lead decided to leave out": 1,
        "items without a judgement": 6,
    }
    assert report.left_out == expected == report.manifest["left_out"]

    late = export(database, project, tmp_path, include_late=True, overwrite=True)
    assert len(rows(late, "preferences")) == 2 and "late judgements" not in late.left_out
    few = export(database, project, tmp_path, min_labels=2, overwrite=True)
    assert rows(few, "preferences") == [] and few.left_out["items with fewer than 2 judgements"] == 1


def test_a_leads_newest_decision_takes_precedence(database: Database, tmp_path: Path) -> None:
    project, lead = a_project(database, overlap=2), a_lead(database)
    judged, alone = add_items(database, project, some_items(2))
    for user in people(database, 2):
        judge(database, judged, user, choice(-3))
    first, second = "6f1c2a50-5b0e-4b7c-9d55-0a8f6f2f1c11", "0ba685a8-8fd3-553c-ab6c-ec10a9f4df2e"
    decide(database, project, judged, lead, choice(0), first)
    decide(database, project, judged, lead, choice(1), second)
    decide(database, project, alone, lead, BOTH_BAD, "b069fd44-f3fe-52a2-a6a7-f85a854d746c")
    report = export(database, project, tmp_path)
    (row,) = rows(report, "preferences")
    assert (row["chosen"], row["strength"], row["agreement"], row["decided"]) == ("response 0.1", 1, 0.0, True)
    assert (row["label_ids"], row["annotators"]) == ([second], ["person-1"])
    assert rows(report, "ties")[0]["verdict"] == "both_bad"


def test_a_ranking_becomes_all_its_pairs_without_made_up_strengths(database: Database, tmp_path: Path) -> None:
    project = a_project(database, mode="ranking", overlap=2)
    (item,) = add_items(database, project, some_items(1, responses=3))
    ann, ben = people(database, 2)
    judge(database, item, ann, {"kind": "ranking", "ranks": [2, 1, 3]})
    judge(database, item, ben, {"kind": "ranking", "ranks": [2, 2, 1]})
    report = export(database, project, tmp_path)
    found = [(row["chosen"][-1], row["rejected"][-1], row["agreement"]) for row in rows(report, "preferences")]
    # 0 and 1: one for 1, one even. 0 and 2, 1 and 2: one against one.
    assert found == [("1", "0", 0.75)]
    assert [(row["first"][-1], row["second"][-1]) for row in rows(report, "ties")] == [("0", "2"), ("1", "2")]
    assert not any({"strength", "margin"} & set(row) for name in ("preferences", "ties") for row in rows(report, name))


def test_edits_and_safety_have_files_of_their_own(database: Database, tmp_path: Path) -> None:
    project = a_project(database, overlap=3, edit=True, safety_flag=True)
    chat = [{"role": "user", "content": "Hi"}]
    replies = [[{"role": "assistant", "content": text}] for text in ("Yo", "Hello")]
    plain, turns = add_items(
        database, project, [*some_items(1), {"prompt": chat, "responses": replies, "further": {"group": "g"}}]
    )
    ann, ben, eve = people(database, 3)
    judge(database, plain, ann, choice(-2, edit="better 0", unsafe=[1]))
    judge(database, plain, ben, choice(-2, edit="response 0.0", unsafe=[1]))
    judge(database, plain, eve, choice(1, edit="better 1", unsafe=[0]))
    judge(database, turns, ann, choice(2, edit="Hello!"))
    report = export(database, project, tmp_path)
    edits = rows(report, "edits")
    assert [(row["chosen"], row["rejected"]) for row in edits] == [
        ("better 0", "response 0.0"),
        ("better 0", "response 0.1"),
        ([{"role": "assistant", "content": "Hello!"}], replies[1]),
        ([{"role": "assistant", "content": "Hello!"}], replies[0]),
    ]
    assert edits[0]["source"].endswith(", edited") and edits[0]["annotators"] == ["person-1"]
    assert report.left_out["edits of a response that did not win"] == 1
    assert report.left_out["edits that change nothing"] == 1
    marked = [(row["response"], row["marked"], row["judged"]) for row in rows(report, "safety")]
    assert marked == [("response 0.0", 1, 3), ("response 0.1", 2, 3)]
    assert [row.get("unsafe") for row in rows(report, "preferences")] == [["rejected"], None]
    assert len(load_rows(report.folder / "edits.jsonl", "preference")) == 4


def test_dawid_and_skene_believe_the_reliable(database: Database, tmp_path: Path) -> None:
    """Two who always agree with each other, and three who guess: on the last item the two are outvoted."""
    project = a_project(database, overlap=5)
    items = add_items(database, project, some_items(31))
    good, also, *guessers = people(database, 5)
    for number, item in enumerate(items):
        truth = 2 if number % 2 else -2
        for user in (good, also):
            judge(database, item, user, choice(truth))
        for index, user in enumerate(guessers):
            guess = -truth if number == 30 else truth if (number * 7 + index * 5) % 4 < 2 else -truth
            judge(database, item, user, choice(guess))
    majority = rows(export(database, project, tmp_path), "preferences")
    report = export(database, project, tmp_path, aggregation="dawid_skene", overwrite=True)
    weighted = rows(report, "preferences")
    assert majority[-1]["chosen"].endswith(".1") and weighted[-1]["chosen"].endswith(".0")
    assert weighted[-1]["confidence"] > 0.9 and weighted[-1]["agreement"] == 0.4
    assert weighted[-1]["strength"] == pytest.approx(-2 * weighted[-1]["confidence"], abs=1e-5)
    accuracy = report.manifest["aggregation"]["annotators"]
    assert min(accuracy["person-1"], accuracy["person-2"]) > 0.85 > 0.7 > max(list(accuracy.values())[2:])


def test_the_manifest_tells_how_it_came_about(database: Database, tmp_path: Path) -> None:
    project = a_project(database, items=2, overlap=1, gold_share=0.1, seed=5, guidelines="first")
    publish(database, project, "second")
    version = publish(database, project, "third")
    (user,) = people(database, 1)
    (item,) = add_items(database, project, some_items(1, start=2))
    judge(database, item, user, choice(1), guideline_id=version)
    report = export(database, project, tmp_path)
    manifest = json.loads((report.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == report.manifest
    assert manifest["sampling"] | {"order": ""} == {
        "overlap": 1,
        "gold_share": 0.1,
        "repeat_share": 0.0,
        "seed": 5,
        "order": "",
    }
    (guideline,) = manifest["guidelines"]
    assert (guideline["version"], guideline["labels"]) == (3, 1)
    assert guideline["sha256"] == hashlib.sha256(b"third").hexdigest()
    assert set(manifest["files"]) == {f"{name}.jsonl" for name in ("preferences", "ties", "edits", "safety", "labels")}
    for name, told in manifest["files"].items():
        content = (report.folder / name).read_bytes()
        assert told == {"rows": content.count(b"\n"), "sha256": hashlib.sha256(content).hexdigest()}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "labels.db") and not list(
        tmp_path.glob(".export*")
    )


def test_training_reads_it_without_a_warning(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = a_project(database, overlap=1)
    items = add_items(database, project, some_items(1100))  # more than one portion
    (user,) = people(database, 1)
    for number, item in enumerate(items[:600]):
        judge(database, item, user, choice(number % 7 - 3))
    report = export(database, project, tmp_path)
    with caplog.at_level(logging.WARNING):
        found = load_rows(report.folder / "preferences.jsonl", "preference")
    assert caplog.records == []
    assert [row["prompt"] for row in found] == [f"prompt {n}" for n in range(600) if n % 7 != 3]
    assert len(load_rows(report.folder / "ties.jsonl", "tie")) == 86 == 600 - len(found)


def test_a_folder_that_holds_something_is_left_alone(database: Database, tmp_path: Path) -> None:
    project = a_project(database, items=1)
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "thesis.txt").write_text("dear")
    with pytest.raises(Refused, match="something else"):
        export(database, project, tmp_path, overwrite=True)
    (folder / "thesis.txt").unlink()
    export(database, project, tmp_path)
    with pytest.raises(Refused, match="already"):
        export(database, project, tmp_path)
    export(database, project, tmp_path, overwrite=True)
    with pytest.raises(ZeroDivisionError), written_aside(folder, overwrite=True) as aside:
        (aside / "half.jsonl").write_text("half")
        raise ZeroDivisionError
    assert not (folder / "half.jsonl").exists() and (folder / "manifest.json").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_only_a_lead_exports(database: Database, tmp_path: Path) -> None:
    project, (annotator,) = a_project(database), people(database, 1)
    with pytest.raises(NotAllowed):
        export_labels(database, annotator, project, tmp_path / "out")
    with pytest.raises(NotFound):
        export_labels(database, None, project + 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_label_source_gives_all_comparisons(database: Database, tmp_path: Path) -> None:
    project = a_project(database)
    items = add_items(database, project, some_items(3))
    (user,) = people(database, 1)
    for item, answer in zip(items, (choice(-2), choice(0), BOTH_BAD), strict=True):
        judge(database, item, user, answer)
    url = database.url.render_as_string(hide_password=False)
    source = open_labels(url)
    found = [row for row in source.comparisons() if isinstance(row, Row)]
    assert [row.get("verdict", "won") for row in found] == ["won", "tie", "both_bad"]
    assert source.files() == ([database.path] if database.is_sqlite else [])
    a_project(database)
    with pytest.raises(DataError, match="2 projects") as caught:
        open_labels(url)
    assert open_labels(f"{url}#{caught.value.problems[0]}").project == caught.value.problems[0]
    with pytest.raises(DataError, match="no project 'x'"):
        open_labels(f"{url}#x")


def test_what_is_no_database_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no database"):
        open_labels(str(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    with pytest.raises(DataError, match="can't be read as a database of the labeling app"):
        open_labels(str(tmp_path / "empty.db"))
