"""Reading one file: JSONL, JSON, CSV, TSV and Parquet, row by row, each with the place it stands at.

A reader yields pairs of a `Place` and either the fields of a row or the `Problem` that kept it from being
read, so that all broken rows of a file are known at the end. Texts are UTF-8, with or without a byte-order
mark; `.gz` is unpacked.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from rlhf.data.json_files import RawRow, read_json, read_jsonl
from rlhf.data.schema import Place, Problem
from rlhf.data.text_files import decode
from rlhf.errors import DataError

Reader = Callable[[Path], Iterator[RawRow]]
# CSV has no types: these columns hold numbers, these lists.
NUMBER_COLUMNS = frozenset({"strength", "margin", "agreement", "score_chosen", "score_rejected"})
LIST_COLUMNS = frozenset({"annotators", "label_ids"})
LARGEST_CELL = 2**31 - 1


def suffix_of(path: Path) -> str:
    """The format's suffix, without `.gz`: `.jsonl` for `train.jsonl.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def read_file(path: Path) -> Iterator[RawRow]:
    """All rows of a file, in order.

    Raises:
        DataError: the suffix is unknown, or the file as a whole can't be read.
    """
    reader = READERS.get(suffix_of(path))
    if reader is None:
        raise DataError(
            f"{path}: no reader for files that end in {path.suffix or 'no suffix'!r}.",
            remedy=f"Use one of {', '.join(READERS)} (each but Parquet also with .gz).",
        )
    try:
        yield from reader(path)
    except (OSError, EOFError) as error:
        raise DataError(f"{path} can't be read: {error}", remedy="Check the file and its permissions.") from error


def read_csv(path: Path) -> Iterator[RawRow]:
    """A header and rows; an empty cell is a missing field, a cell with JSON messages is read as such."""
    csv.field_size_limit(LARGEST_CELL)
    delimiter = "\t" if suffix_of(path) == ".tsv" else ","
    lines = csv.reader(io.StringIO(decode(path), newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        place = Place(str(path), lines.line_num + 1)
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, Problem(place, "", f"not valid CSV ({error}); the rest of the file can't be read")
            return
        if len(cells) < 2 and not "".join(cells).strip():
            continue  # a blank line
        if header is None:
            header = _header(path, cells)
        elif len(cells) != len(header):
            yield place, Problem(place, "", f"{len(cells)} cells: expected {len(header)}, as in the header")
        else:
            yield place, {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True)}


def read_parquet(path: Path) -> Iterator[RawRow]:
    """The rows of a Parquet file, batch by batch."""
    import pyarrow
    import pyarrow.parquet

    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    number += 1
                    yield Place(str(path), number, "row"), fields
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}", remedy="Write the file anew.") from error


READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}


def _header(path: Path, cells: list[str]) -> list[str]:
    names = [name.strip() for name in cells]
    if len(set(names)) != len(names) or "" in names:
        raise DataError(
            f"{path}: the header has an empty or a repeated name: {', '.join(map(repr, names))}.",
            remedy="Give each column a name of its own in the first line.",
        )
    return names


def _cell(name: str, cell: str) -> object:
    if cell == "":
        return None
    if name in NUMBER_COLUMNS:
        try:
            return float(cell)
        except ValueError:
            return cell
    if not cell.lstrip().startswith("["):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return value if name in LIST_COLUMNS or _are_turns(value) else cell


def _are_turns(value: object) -> bool:
    """Is a cell's JSON a conversation, rather than a text that happens to be JSON?"""
    return isinstance(value, list) and all(
        isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in value
    )
