"""Fetching through pip from an index that is a folder, and what happens to damaged files."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fetch_assets
import pytest
from fetch_assets import Part, Source

from rlhf.errors import RlhfError
from rlhf.runs import file_sha256

WHEEL = "tiny_review-1.0-py3-none-any.whl"


def write_wheel(folder: Path, text: str) -> Path:
    """A real wheel that holds one text."""
    info = "tiny_review-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tiny_review/review.txt", text)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-review\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder / WHEEL


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip takes for its index."""
    folder = tmp_path / "index"
    write_wheel(folder, "A fine film.")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def source_of(wheel: Path) -> Source:
    return Source("tiny-review", "1.0", WHEEL, file_sha256(wheel), "MIT", "nowhere", "one review")


def part_of(wheel: Path, build: Callable[[Path, Path], dict[str, Any]] | None = None) -> Part:
    def copy_review(archive: Path, folder: Path) -> dict[str, Any]:
        (folder / "review.txt").write_bytes(zipfile.ZipFile(archive).read("tiny_review/review.txt"))
        return {"reviews": 1}

    return Part("reviews", source_of(wheel), build or copy_review, ("fetch_assets.py",))


def test_a_cut_off_download_is_fetched_anew(index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, downloads = source_of(index / WHEEL), tmp_path / "downloads"
    fetched = fetch_assets.obtain(source, downloads)
    whole = fetched.read_bytes()
    fetched.write_bytes(whole[: len(whole) // 2])
    assert fetch_assets.obtain(source, downloads).read_bytes() == whole
    assert "damaged" in capfd.readouterr().out
    assert [path.name for path in downloads.iterdir()] == [WHEEL]


def test_a_whole_download_needs_no_index(index: Path, tmp_path: Path) -> None:
    source, downloads = source_of(index / WHEEL), tmp_path / "downloads"
    fetch_assets.obtain(source, downloads)
    (index / WHEEL).unlink()
    assert file_sha256(fetch_assets.obtain(source, downloads)) == source.sha256


def test_an_index_that_cannot_be_reached(index: Path, tmp_path: Path) -> None:
    source = source_of(index / WHEEL)
    (index / WHEEL).unlink()
    with pytest.raises(RlhfError, match="could not download tiny-review 1.0") as caught:
        fetch_assets.obtain(source, tmp_path / "downloads")
    assert "pip config list" in caught.value.remedy and caught.value.problems
    assert list((tmp_path / "downloads").iterdir()) == []


def test_another_file_than_expected_is_refused(index: Path, tmp_path: Path) -> None:
    source = source_of(index / WHEEL)
    write_wheel(index, "Another text under the same name.")
    with pytest.raises(RlhfError, match="could not download"):
        fetch_assets.obtain(source, tmp_path / "downloads")


def test_bring_builds_once_and_repairs(index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, part = tmp_path / "assets", part_of(index / WHEEL)
    fetch_assets.bring(out, [part])
    review = out / "reviews" / "review.txt"
    assert review.read_text() == "A fine film."
    assert (out / "SHA256SUMS").read_text() == f"{file_sha256(review)}  reviews/review.txt\n"
    assert "licence MIT" in (out / "README.md").read_text()
    record = json.loads((out / "PROVENANCE.json").read_text())["parts"]["reviews"]
    assert record["facts"] == {"reviews": 1} and record["inputs"]["source"]["version"] == "1.0"

    before = review.stat().st_mtime_ns
    fetch_assets.bring(out, [part])
    assert review.stat().st_mtime_ns == before and "up to date" in capfd.readouterr().out

    review.write_text("A fine")
    fetch_assets.bring(out, [part])
    assert review.read_text() == "A fine film."

    (out / "PROVENANCE.json").write_text("{")
    fetch_assets.bring(out, [part])
    assert "up to date" not in capfd.readouterr().out


def test_a_build_that_fails_leaves_the_old_folder(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "assets"
    fetch_assets.bring(out, [part_of(index / WHEEL)])
    (out / "PROVENANCE.json").unlink()

    def fail_half_way(archive: Path, folder: Path) -> dict[str, Any]:
        (folder / "review.txt").write_text("A fi")
        raise RlhfError("cut off")

    with pytest.raises(RlhfError, match="cut off"):
        fetch_assets.bring(out, [part_of(index / WHEEL, fail_half_way)])
    assert (out / "reviews" / "review.txt").read_text() == "A fine film."
    assert not list(out.glob(".building-*"))


def test_changed_inputs_make_a_part_stale(index: Path, tmp_path: Path) -> None:
    out, part = tmp_path / "assets", part_of(index / WHEEL)
    fetch_assets.bring(out, [part])
    record = json.loads((out / "PROVENANCE.json").read_text())["parts"]["reviews"]
    assert fetch_assets.is_current(part, out, record)
    assert not fetch_assets.is_current(part, out, None)
    record["inputs"]["code"]["fetch_assets.py"] = "0" * 64
    assert not fetch_assets.is_current(part, out, record)


def test_the_code_that_decides_each_part_exists() -> None:
    for part in fetch_assets.PARTS:
        assert all(len(digest) == 64 for digest in part.inputs()["code"].values())
