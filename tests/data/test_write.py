"""Writing rows: what is written is read back, whole or not at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlhf.data.files import read_file
from rlhf.data.readers import load_rows
from rlhf.data.write import WRITERS, write_rows
from rlhf.errors import DataError
from tests.data.helpers import turns

ROWS = [
    {"prompt": "Größe?", "chosen": "a\r\nb", "rejected": '"c", d', "margin": 0.5, "annotators": ["x", "y"]},
    {"prompt": "[1, 2]", "chosen": "\u2028", "rejected": "=1+1", "agreement": 0.75, "group": "g"},
]
ROWS[1]["chosen"] += "text"
CHATS = [{"prompt": turns("Q"), "completion": turns("A\n[{", first="assistant")}]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@pytest.mark.parametrize("suffix", WRITERS)
def test_rows_survive_every_format(tmp_path, suffix):
    for name, rows, kind in (("pairs", ROWS, "preference"), ("chats", CHATS, "sft")):
        path = tmp_path / f"{name}{suffix}"
        assert write_rows(path, rows) == len(rows)
        assert load_rows(path, kind) == rows


@given(st.lists(TEXT, min_size=1, max_size=5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_survives(tmp_path, texts):
    for suffix in (".jsonl", ".json", ".csv"):
        path = tmp_path / f"text{suffix}"
        write_rows(path, [{"text": text} for text in texts], overwrite=True)
        assert [fields["text"] for _, fields in read_file(path)] == texts


def test_a_file_is_not_overwritten_unless_asked(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        write_rows(path, ROWS)
    assert path.read_text() == "mine"
    write_rows(path, ROWS, overwrite=True)
    assert load_rows(path, "preference") == ROWS


@pytest.mark.parametrize("suffix", WRITERS)
def test_what_breaks_off_leaves_nothing_behind(tmp_path, suffix):
    def rows():
        yield ROWS[0]
        raise RuntimeError("power cut")

    old = tmp_path / f"a{suffix}"
    old.write_text("old")
    with pytest.raises(RuntimeError):
        write_rows(old, rows(), overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == [old.name]
    assert old.read_text() == "old"


def test_targets_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="no writer for '.xlsx'"):
        write_rows(tmp_path / "a.xlsx", ROWS)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be written"):
        write_rows(tmp_path / "file" / "a.jsonl", ROWS)
    with pytest.raises(DataError, match="one type a column"):
        write_rows(tmp_path / "a.parquet", [{"prompt": "Q"}, {"prompt": turns("Q")}])
