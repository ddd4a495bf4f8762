"""The import by the page: a look first, then all of it or nothing."""

import gzip
import io
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from labeling_app.errors import Unavailable
from labeling_app.store.tables import Item, ItemKind
from labeling_app.web.lead import uploads
from tests.labeling_app.made import a_project
from tests.labeling_app.web.lead.visiting import Site, actions, seen, send

ROWS = [{"prompt": f"p{n}", "responses": [f"dull {n}", f"great {n}"]} for n in range(4)]
DEEP = 3_000
JSONL = "\n".join(json.dumps(row) for row in ROWS).encode()


def parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), target)
    return target.getvalue()


def csv() -> bytes:
    lines = [f'p{n},"[""dull {n}"", ""great {n}""]"' for n in range(4)]
    return "\n".join(["prompt,responses", *lines]).encode()


def upload(client: TestClient, project: int, name: str, content: bytes, kind: str = "work") -> Any:
    files = {"file": (name, content)}
    return client.post(f"/lead/projects/{project}/items/upload", files=files, data={"kind": kind})


def items(site: Site) -> list[Item]:
    with site.database.read() as session:
        return list(session.scalars(select(Item).order_by(Item.position)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", JSONL),
        ("rows.json", json.dumps(ROWS, indent=1).encode()),
        ("rows.jsonl.gz", gzip.compress(JSONL, mtime=0)),
        ("rows.csv", csv()),
        ("rows.parquet", parquet()),
    ],
)
def test_a_file_is_looked_at_and_then_imported(site: Site, name: str, content: bytes) -> None:
    project = a_project(site.database, overlap=3, expected_seconds=60)
    dora = site.session("dora")
    led = upload(dora, project, name, content)
    assert led.status_code == 303 and items(site) == []
    page = seen(dora.get(led.headers["location"]))
    assert name.removesuffix(".gz") in page.words and "New items 4" in page.words and "dull 0" in page.words
    # 4 items for 3 people at a minute each
    assert "Judgements wanted 12" in page.words and "All people together 12 min" in page.words
    assert items(site) == []
    assert "4 items added." in seen(send(dora, led.headers["location"], do="import")).words
    assert [item.prompt for item in items(site)] == ["p0", "p1", "p2", "p3"]
    assert actions(site.database) == ["items.import"]
    assert dora.get(led.headers["location"]).status_code == 404  # it waits no more
    again = upload(dora, project, name, content)
    page = seen(dora.get(again.headers["location"]))
    assert "New items 0" in page.words and "There already, or twice 4" in page.words


def test_pasted_rows_of_each_kind(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    gold = {
        "prompt": "g",
        "responses": ["a", "b"],
        "expected": {"kind": "choice", "strength": -2},
        "explanation": "why",
    }
    for kind, text in (("gold", json.dumps(gold)), ("work", json.dumps(ROWS, indent=2)), ("work", csv().decode())):
        page = send(dora, f"/lead/projects/{project}/items/upload", kind=kind, text=text)
        assert page.status_code == 200, page.text
        send(dora, page.url.path, do="import")
    assert [item.kind for item in items(site)] == [ItemKind.gold, *[ItemKind.work] * 4]
    qualification = gold | {"prompt": "q"}
    page = send(dora, f"/lead/projects/{project}/items/upload", kind="qualification", text=json.dumps(qualification))
    assert "Judgements wanted" not in seen(page).words  # of people's time, only work has an estimate
    send(dora, page.url.path, do="import")
    assert items(site)[-1].kind is ItemKind.qualification


def test_bad_rows_are_listed_and_nothing_is_imported_unless_they_are_left_out(site: Site, tmp_path: Path) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    bad = [
        json.dumps(ROWS[0]),
        "{ not json",
        json.dumps({"prompt": "<b>p</b>", "responses": ["<i>one</i>"]}),
        json.dumps({"prompt": "p", "responses": ["same", "same"]}),
    ]
    led = upload(dora, project, "rows.jsonl", "\n".join(bad).encode())
    answer = dora.get(led.headers["location"])
    page = seen(answer)
    assert answer.status_code == 400 and "3 rows can't be imported" in page.words
    for said in ("line 2", "line 3", "responses", "expected 2 in a project", "line 4", "two are equal"):
        assert said in page.words
    assert "labeling-upload-" not in answer.text  # where it lies here is nobody's business
    refused = dora.post(led.headers["location"], data={"do": "import"})
    assert refused.status_code == 400 and "3 bad rows: nothing was imported." in seen(refused).words
    assert "labeling-upload-" not in refused.text and items(site) == [] and actions(site.database) == []
    done = seen(send(dora, led.headers["location"], do="import", skip_bad="yes"))
    assert "1 item added, 3 bad rows left out." in done.words
    assert [item.prompt for item in items(site)] == ["p0"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.exe", b"MZ", "in no format that is read here"),
        ("rows", JSONL, "in no format that is read here"),
        ("rows.parquet", b"PAR1 nonsense", "rows.parquet"),
        ("rows.jsonl", b"", "There are no rows."),
        ("rows.jsonl.gz", b"not packed", "can't be unpacked"),
        ("rows.jsonl.gz", gzip.compress(JSONL, mtime=0)[:10] + b"\xff" * 60, "can't be unpacked"),
        ("rows.csv", b"prompt,responses\np," + b"[" * 100_000, "responses"),
        ("rows.jsonl", b'{"prompt": "p", "responses": ' + b"[" * 100_000, "nested"),
        ("rows.jsonl", b'{"prompt": "p", "responses": ["a", "b"], "more": ' + b"[" * DEEP + b"]" * DEEP + b"}", "deep"),
        ("rows.json", b"\xff\xfe\x00", "rows.json"),
        ("../../etc/rows.json", b"nonsense", "rows.json"),
    ],
)
def test_a_file_that_can_not_be_read_is_said_so(site: Site, name: str, content: bytes, said: str) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    answer = upload(dora, project, name, content)
    if answer.status_code == 303:
        answer = dora.get(answer.headers["location"])
    assert answer.status_code == 400 and said in seen(answer).words, seen(answer).words
    assert "labeling-upload-" not in answer.text and items(site) == []


def test_a_long_name_in_another_script(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    led = upload(dora, project, f"{'映画' * 60}.jsonl", JSONL)  # 3 bytes for each character
    assert led.status_code == 303 and "映画.jsonl" in seen(dora.get(led.headers["location"])).words


def test_no_room_for_a_file_is_said(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most[1]))
    try:
        with pytest.raises(Unavailable, match="can't be kept"):
            uploads.Uploads().keep(1, project, ItemKind.work, "rows.jsonl", io.BytesIO(JSONL), site.clock())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert list(tmp_path.glob("labeling-upload-*")) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    answer = upload(dora, project, "rows.jsonl", JSONL)
    assert answer.status_code == 503 and "The file can't be kept" in seen(answer).words


def test_nothing_and_an_unknown_kind_are_refused(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    address = f"/lead/projects/{project}/items/upload"
    assert "no file and no text" in seen(dora.post(address, data={"kind": "work", "text": " "})).words
    answer = dora.post(address, data={"kind": "<b>", "text": "[]"})
    assert answer.status_code == 400 and "no kind '<b>'" in seen(answer).words and "[]" in seen(answer).words


def test_a_file_that_is_very_large_unpacked_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST_UNPACKED", 1_000_000)
    project = a_project(site.database)
    answer = upload(site.session("dora"), project, "rows.jsonl.gz", gzip.compress(b" " * 1_000_001, mtime=0))
    assert answer.status_code == 400 and "when it is unpacked" in seen(answer).words


def test_only_the_upload_takes_more_than_a_megabyte(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    large = json.dumps({"prompt": "p", "responses": ["a", "b"], "note": "x" * 1_100_000}).encode()
    led = upload(dora, project, "rows.jsonl", large)
    assert led.status_code == 303
    assert "further columns of more than" in seen(dora.get(led.headers["location"])).words
    huge = {"content-length": str(uploads.LARGEST_UPLOAD + 1)}
    assert dora.post(f"/lead/projects/{project}/items/upload", content=b"", headers=huge).status_code == 413
    for address in (f"/lead/projects/{project}/guidelines", "/lead/projects/x/items/upload", led.headers["location"]):
        assert dora.post(address, content=b"x" * 1_000_001).status_code == 413


def test_what_waits_is_its_owners_alone_and_not_for_ever(site: Site) -> None:
    first, second = a_project(site.database), a_project(site.database)
    dora = site.session("dora")
    address = upload(dora, first, "rows.jsonl", JSONL).headers["location"]
    folder = site.waiting()[0].folder
    assert dora.get(address.replace(f"/projects/{first}/", f"/projects/{second}/")).status_code == 404
    assert (
        dora.get(address + "x").status_code == 404
        and dora.post(address + "x", data={"do": "import"}).status_code == 404
    )
    site.clock.forward(minutes=61)
    assert dora.get(address).status_code == 404
    address = upload(dora, first, "rows.jsonl", JSONL).headers["location"]
    assert not folder.exists()
    folder = site.waiting()[0].folder
    assert "Nothing was imported." in seen(send(dora, address, do="drop")).words
    assert not folder.exists() and items(site) == []


def test_hostile_texts_stay_text(site: Site) -> None:
    project = a_project(site.database)
    dora = site.session("dora")
    row = {
        "prompt": "<script>x()</script>",
        "responses": ["<img src=x onerror=x()>", "![p](http://evil.example/a.png)"],
    }
    page = seen(dora.get(upload(dora, project, "<b>.jsonl", json.dumps(row).encode()).headers["location"]))
    assert (
        "<script>x()</script>" in page.words and "<img src=x onerror=x()>" in page.words and "[image: p]" in page.words
    )
    assert not [tag for tag in page.tags if tag[0] in ("img", "b")]
