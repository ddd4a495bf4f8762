"""Reading files: every format, and files as the world delivers them."""

import gzip
import json

import pytest

from rlhf.data.files import read_file
from rlhf.data.schema import Problem
from rlhf.errors import DataError
from tests.data.helpers import turns, write_lines

ROW = {"prompt": "Größe?\u2028", "completion": "a\r\nb"}


def read(path):
    return [fields for _, fields in read_file(path)]


def test_jsonl_with_bom_crlf_blank_lines_and_line_separators(tmp_path):
    line = json.dumps(ROW, ensure_ascii=False)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{line}\r\n\r\n   \n{line}".encode())
    rows = list(read_file(path))
    assert [fields for _, fields in rows] == [ROW, ROW]
    assert [place.number for place, _ in rows] == [1, 4]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"prompt": "x"', "not valid JSON"),
        (b'{"prompt": "caf\xe9"}', "0xe9 is not UTF-8"),
        (b'{"prompt": "x", "prompt": "y"}', "'prompt' stands twice"),
        (b'["prompt"]', "a list: expected a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 10_000, "not valid JSON"),
        (b"null", "a NoneType: expected a JSON object"),
    ],
)
def test_a_broken_line_is_reported_and_the_others_are_read(tmp_path, line, said):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"prompt": "1"}\n' + line + b'\n{"prompt": "3"}\n')
    first, broken, last = read(path)
    assert (first, last) == ({"prompt": "1"}, {"prompt": "3"})
    assert isinstance(broken, Problem)
    assert broken.place.number == 2
    assert said in broken.message


def test_a_huge_line_and_a_packed_file(tmp_path):
    row = {"prompt": "x" * 3_000_000, "completion": "y"}
    assert read(write_lines(tmp_path / "a.jsonl", row)) == [row]
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(ROW))
    assert read(tmp_path / "a.jsonl.gz") == [ROW]


def test_a_damaged_archive_is_an_error_of_the_user(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "x"}\n' * 1000)[:-20])
    with pytest.raises(DataError, match="can't be read"):
        read(tmp_path / "a.jsonl.gz")


@pytest.mark.parametrize("wrap", [None, "data", "rows"])
def test_json_lists(tmp_path, wrap):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ROW, ROW] if wrap is None else {wrap: [ROW, ROW]}, indent=1), encoding="utf-8-sig")
    assert read(path) == [ROW, ROW]


def test_json_elements_have_lines_and_the_first_error_ends_the_reading(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[\n {"prompt": "1"},\n 7,\n {"prompt": "3", "prompt": "4"},\n {"prompt": "5"}\n]')
    places, items = zip(*read_file(path), strict=True)
    assert [place.number for place in places] == [2, 3, 4]
    assert items[0] == {"prompt": "1"}
    assert "a int" in items[1].message
    assert "stands twice" in items[2].message


def test_json_lines_under_the_suffix_json(tmp_path):
    assert read(write_lines(tmp_path / "a.json", ROW, ROW)) == [ROW, ROW]
    broken = read(write_lines(tmp_path / "b.json", ROW, "{", ROW))
    assert broken[0] == broken[2] == ROW
    assert isinstance(broken[1], Problem)


@pytest.mark.parametrize("content", ["", "  \n", "[]"])
def test_empty_files_have_no_rows(tmp_path, content):
    for suffix in ("json", "csv") if content != "[]" else ("json",):
        path = tmp_path / f"a.{suffix}"
        path.write_text(content)
        assert [item for item in read(path) if item] == []


def test_csv_cells(tmp_path):
    path = tmp_path / "a.csv"
    messages = json.dumps(turns("Q")).replace('"', '""')
    path.write_text(
        'prompt,chosen,rejected,margin,label_ids\r\n"two\nlines",a,"[1, 2]",0.5,"[""x""]"\r\n\r\n'
        f'"{messages}",,b,much,\r\n1,2\r\n',
        encoding="utf-8-sig",
        newline="",
    )
    rows = list(read_file(path))
    assert rows[0][1] == {
        "prompt": "two\nlines",
        "chosen": "a",
        "rejected": "[1, 2]",
        "margin": 0.5,
        "label_ids": ["x"],
    }
    assert rows[1][1] == {"prompt": turns("Q"), "chosen": None, "rejected": "b", "margin": "much", "label_ids": None}
    assert [place.number for place, _ in rows] == [2, 5, 6]
    assert "2 cells: expected 5" in rows[2][1].message


def test_csv_that_is_none(tmp_path):
    (tmp_path / "a.csv").write_text('prompt,completion\n"open,x\n')
    assert "not valid CSV" in read(tmp_path / "a.csv")[0].message
    (tmp_path / "b.csv").write_text("prompt,prompt\n1,2\n")
    with pytest.raises(DataError, match="repeated name"):
        read(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_bytes(b"prompt\nx\ncaf\xe9\n")
    with pytest.raises(DataError, match="line 3: byte 0xe9"):
        read(tmp_path / "c.csv")


def test_parquet_and_what_is_none(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{"prompt": "1", "margin": 0.5}, {"prompt": "2", "margin": None}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == rows
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read(tmp_path / "b.parquet")


def test_an_unknown_suffix_names_those_that_are_known(tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(DataError, match=r"\.jsonl"):
        read(tmp_path / "a.xlsx")
