"""From a source to rows: files, folders, hub ids, ties, and all bad rows at once."""

import json
import logging
import subprocess
import sys

import pytest

from rlhf.data import label_ids, load_dataset, load_rows, open_label_source, source_files, sources
from rlhf.data.labels import LabelSource
from rlhf.errors import DataError
from tests.data.helpers import turns, write_lines

PAIR = {"prompt": "Q", "chosen": "a", "rejected": "b", "margin": 0.5}
TIE = {"prompt": "Q", "first": "a", "second": "b", "verdict": "tie"}


def test_rows_remember_their_place(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", {"prompt": "1"}, "", {"prompt": "2"})
    rows = load_rows(path, "prompts")
    assert rows == [{"prompt": "1"}, {"prompt": "2"}]
    assert str(rows[1].place) == f"{path}, line 3"
    assert load_rows(path, "prompts", limit=1) == [{"prompt": "1"}]


def test_all_bad_rows_are_reported_together(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", PAIR, {"prompt": "Q", "rejected": "b"}, "{", {**PAIR, "margin": float("nan")}
    )
    with pytest.raises(DataError) as caught:
        load_rows(path, "preference")
    assert "3 bad rows" in caught.value.message
    lines = caught.value.problems
    assert [f"line {number}" in line for number, line in zip((2, 3, 4), lines, strict=True)] == [True] * 3
    assert "'chosen'" in lines[0] and "'margin'" in lines[2]


def test_many_bad_rows_are_counted_and_capped(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", *[{"prompt": "Q", "chosen": "a"}] * 500)
    with pytest.raises(DataError) as caught:
        load_rows(path, "preference")
    assert "500 bad rows" in str(caught.value)
    assert "and 480 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 30


def test_ties_are_rows_of_their_own_kind_and_are_counted(tmp_path, caplog):
    path = write_lines(tmp_path / "a.jsonl", PAIR, TIE, {**TIE, "verdict": "both_bad"})
    with caplog.at_level(logging.WARNING):
        assert load_rows(path, "preference") == [PAIR]
    assert "ties left out: 2" in caplog.text
    assert [row["verdict"] for row in load_rows(path, "tie")] == ["tie", "both_bad"]
    with pytest.raises(DataError, match="holds 1 tie rows"):
        load_rows(write_lines(tmp_path / "b.jsonl", TIE), "preference")


def test_prompts_are_taken_from_rows_of_any_kind(tmp_path):
    rows = [{**PAIR, "answer": 4}, TIE, {"messages": turns("Q", "A", "R", "B")}, {"instruction": "I", "output": "O"}]
    loaded = load_rows(write_lines(tmp_path / "a.jsonl", *rows), "prompts")
    assert loaded[:2] == [{"prompt": "Q", "answer": 4}, {"prompt": "Q"}]
    assert loaded[2] == {"prompt": turns("Q", "A", "R")}
    assert loaded[3] == {"prompt": turns("I")}


def test_a_prompt_that_ends_in_a_space_is_warned_about(tmp_path, caplog):
    path = write_lines(tmp_path / "a.jsonl", {"prompt": "Q ", "completion": "A"})
    with caplog.at_level(logging.WARNING):
        load_rows(path, "sft")
    assert "prompts that end in a space: 1" in caplog.text and "line 1" in caplog.text


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_data_set_is_an_error(tmp_path, content):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError, match="no rows of kind 'sft'"):
        load_rows(tmp_path / "a.jsonl", "sft")


def test_a_missing_file_suggests_names_that_are_near(tmp_path):
    write_lines(tmp_path / "preference_train.jsonl", PAIR)
    with pytest.raises(DataError, match=r"Did you mean .*preference_train\.jsonl"):
        load_rows(tmp_path / "preference_trian.jsonl", "preference")
    with pytest.raises(DataError, match="no file or folder"):
        load_rows(tmp_path / "no" / "such" / "folder", "preference")


def test_an_unknown_kind_is_an_error(tmp_path):
    with pytest.raises(DataError, match="not a kind"):
        load_rows(tmp_path, "preferences")


def test_folders_by_split(tmp_path):
    for name in ("train", "test"):
        write_lines(tmp_path / f"sft_{name}.jsonl", {"prompt": name, "completion": "A"})
    write_lines(tmp_path / ".hidden_train.jsonl", "{")
    (tmp_path / "README.md").write_text("x")
    assert load_rows(tmp_path, "sft")[0]["prompt"] == "train"
    assert source_files(tmp_path, "test") == [tmp_path / "sft_test.jsonl"]
    with pytest.raises(DataError, match=r"Its splits are: test, train"):
        load_rows(tmp_path, "sft", split="validation")


def test_folders_without_splits_or_without_data(tmp_path):
    with pytest.raises(DataError, match="no data files"):
        load_rows(tmp_path, "sft")
    (tmp_path / "data").mkdir()
    write_lines(tmp_path / "data" / "b.jsonl", {"text": "2"})
    write_lines(tmp_path / "a.jsonl", {"text": "1"})
    assert [row["text"] for row in load_rows(tmp_path, "text")] == ["1", "2"]


def test_a_data_set_saved_by_datasets(tmp_path):
    import datasets

    datasets.Dataset.from_list([PAIR]).save_to_disk(tmp_path / "one")
    assert load_rows(tmp_path / "one", "preference") == [PAIR]
    datasets.DatasetDict(test=datasets.Dataset.from_list([PAIR])).save_to_disk(tmp_path / "more")
    assert load_rows(tmp_path / "more", "preference", split="test") == [PAIR]
    with pytest.raises(DataError, match="has no split 'train'"):
        load_rows(tmp_path / "more", "preference")
    assert source_files(tmp_path / "one")


@pytest.mark.parametrize(
    ("name", "hub"),
    [("owner/name", True), ("owner/name:config", True), ("name", False), ("a/b/c", False), ("owner/x.jsonl", False)],
)
def test_names_that_may_be_on_the_hub(tmp_path, monkeypatch, name, hub):
    monkeypatch.chdir(tmp_path)
    assert sources.is_hub_id(name) is hub
    if hub:
        assert source_files(name) == []
        (tmp_path / "owner").mkdir()
        assert not sources.is_hub_id(name), "a folder of that name is there, so the rest is a slip"


def test_load_dataset_has_the_contracts_columns(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", {"chosen": "a", "rejected": "b", "x": 1, "prompt": "Q"}, {**PAIR, "x": 2})
    loaded = load_dataset(path, "preference")
    assert loaded.column_names == ["prompt", "chosen", "rejected", "margin"]
    assert loaded["margin"][:] == [None, 0.5]
    assert load_dataset(path, "preference", keep=("x",))["x"][:] == [1, 2]


def test_load_dataset_refuses_rows_of_different_shapes(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", PAIR, {"chosen": "a", "rejected": "b"}, {**PAIR, "prompt": "R"})
    with pytest.raises(DataError) as caught:
        load_dataset(path, "preference")
    assert "2 rows are plain text (prompt, chosen, rejected)" in str(caught.value)
    assert "line 2" in str(caught.value)


def test_label_sources(tmp_path):
    ids = ["6f1c2a50-0000-4000-8000-000000000001"]
    path = write_lines(tmp_path / "a.jsonl", {**PAIR, "label_ids": ids}, TIE)
    source = open_label_source(path)
    assert isinstance(source, LabelSource)
    rows = list(source.comparisons())
    assert [len(row) for row in rows] == [5, 4]
    assert label_ids(rows) == ids
    assert source.files() == [path]


def test_a_registered_label_source_is_read_by_its_name(tmp_path, monkeypatch):
    package = tmp_path / "labels_for_test.py"
    package.write_text("from rlhf.data.labels import FileLabels\nopen_labels = FileLabels\nbroken = int\n")
    info = tmp_path / "labels_for_test-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: labels-for-test\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[rlhf.label_sources]\nfilm = labels_for_test:open_labels\nbad = labels_for_test:broken\n"
        "gone = labels_for_test:nothing\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = write_lines(tmp_path / "a.jsonl", PAIR)
    assert load_rows(f"film:{path}", "preference") == [PAIR]
    assert source_files(f"film:{path}") == [path]
    with pytest.raises(DataError, match="not a label source"):
        open_label_source("bad:7")
    with pytest.raises(DataError, match="doesn't load"):
        open_label_source("gone:7")


def test_reading_loads_neither_torch_nor_transformers_nor_datasets(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", PAIR)
    code = (
        "import sys, rlhf.data as d, rlhf.data.chat, rlhf.data.lengths, rlhf.data.split, rlhf.cli\n"
        f"d.load_rows({json.dumps(str(path))}, 'preference')\n"
        "assert not {'torch', 'transformers', 'datasets', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
