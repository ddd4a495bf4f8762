"""The export by the page: what the command line writes, in one file, of which nothing stays."""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest

from labeling_app.export import ExportOptions, export_labels
from labeling_app.store.tables import Item
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, people
from tests.labeling_app.web.lead.visiting import Site, actions, seen


def judged_project(site: Site) -> int:
    project = a_project(site.database, items=6, overlap=3, guidelines="# Be fair")
    users = people(site.database, 3)
    with site.database.read() as session:
        numbers = [item.id for item in session.query(Item).filter(Item.project_id == project).order_by(Item.id)]
    for at, number in enumerate(numbers):
        for user in users[: 1 + at % 3]:
            judge(site.database, number, user, choice((at % 5) - 2 or 1, rationale="\u05e9 <b>"), late=at == 5)
    return project


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"aggregation": "dawid_skene"},
        {"min_labels": "2", "include_late": "yes"},
    ],
)
def test_the_archive_holds_what_the_command_line_writes(site: Site, tmp_path: Path, options: dict[str, str]) -> None:
    project = judged_project(site)
    answer = site.session("dora").post(f"/lead/projects/{project}/export", data=options)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="labels-project-')
    chosen = ExportOptions(
        aggregation=options.get("aggregation", "majority"),  # type: ignore[arg-type]
        min_labels=int(options.get("min_labels", 1)),
        include_late="include_late" in options,
    )
    export_labels(site.database, None, project, tmp_path / "out", chosen)
    written = {f"labels/{file.name}": file.read_bytes() for file in (tmp_path / "out").iterdir()}
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == written
    assert json.loads(written["labels/manifest.json"]) and b"strength" in written["labels/preferences.jsonl"]
    assert actions(site.database) == ["labels.export"]


def test_nothing_of_it_stays_on_the_disk(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = judged_project(site)
    dora = site.session("dora")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    assert dora.post(f"/lead/projects/{project}/export", data={}).status_code == 200
    assert sorted(tmp_path.iterdir()) == before


def test_no_room_for_it_is_said(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = judged_project(site)
    dora = site.session("dora")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    answer = dora.post(f"/lead/projects/{project}/export", data={})
    assert answer.status_code == 503 and "The export can't be written" in seen(answer).words


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aggregation": "<b>best"}, "How judgements become one row"),
        ({"min_labels": "0"}, "Judgements that an item needs"),
    ],
)
def test_options_that_can_not_be_are_refused(site: Site, options: dict[str, str], said: str) -> None:
    project = a_project(site.database)
    answer = site.session("dora").post(f"/lead/projects/{project}/export", data={"min_labels": "1"} | options)
    assert answer.status_code == 400 and said in seen(answer).words and actions(site.database) == []


def test_a_name_in_any_script_gives_a_name_for_the_file(site: Site) -> None:
    project = a_project(site.database)
    with site.database.write() as session:
        from labeling_app.store.tables import Project

        session.get_one(Project, project).name = '\u05e9"; x=\\ "../é'
    answer = site.session("dora").post(f"/lead/projects/{project}/export", data={})
    assert answer.headers["content-disposition"] == 'attachment; filename="labels-x-e-2026-01-05.zip"'
