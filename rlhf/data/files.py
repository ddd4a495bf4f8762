"""Reading one file: JSONL, JSON, CSV, TSV and Parquet, row by row, each with the place it stands at.

A reader yields pairs of a `Place` and either the fields of a row or the `Problem` that kept it from being read, so that
all broken rows of a file are known at the end. Texts are UTF-8, with or without a byte-order mark; `.gz` is unpacked.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rlhf.data.schema import Place, Problem
from rlhf.errors import DataError

RawRow = tuple[Place, dict[str, Any] | Problem]
Reader = Callable[[Path], Iterator[RawRow]]
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# CSV has no types: these columns hold numbers, and cells that begin like these hold JSON.
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
        raise DataError(
            f"{path} can't be read: {error}", remedy="Check the file and its permissions."
        ) from error


def read_jsonl(path: Path) -> Iterator[RawRow]:
    """One JSON object a line; blank lines are skipped."""
    with _open(path) as lines:
        for number, raw in enumerate(lines, start=1):
            place = Place(str(path), number)
            raw = raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw
            try:
                line = raw.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                yield place, Problem(place, "", _encoding_message(raw, error))
                continue
            if line:
                yield place, _parse(line, place)


def read_json(path: Path) -> Iterator[RawRow]:
    """A list of objects, an object that holds one under "data" or "rows", or JSON lines under the wrong suffix."""
    text = _decode(path)
    decoder = json.JSONDecoder(object_pairs_hook=_distinct_keys)
    at = _skip_space(text, 0)
    if text.startswith("{", at):
        yield from _read_json_object(path, text, at, decoder)
        return
    if not text.startswith("[", at):
        if at < len(text):
            raise DataError(
                f"{path}: expected JSON: a list of objects.", remedy="See docs/data.md for the formats."
            )
        return
    yield from _read_json_list(path, text, at + 1, decoder)


def _read_json_list(path: Path, text: str, at: int, decoder: json.JSONDecoder) -> Iterator[RawRow]:
    """The elements one after the other, so that each has its line; what follows a syntax error can't be read."""
    line, counted = 1, 0
    while not text.startswith("]", at := _skip_space(text, at)):
        line, counted = line + text.count("\n", counted, at), at
        place = Place(str(path), line)
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield place, Problem(place, "", f"{_syntax_message(error)}; the rest of the file can't be read")
            return
        yield place, _as_fields(value, place)
        at = _skip_space(text, at)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith("]", at):
            yield place, Problem(place, "", "expected ',' or ']' after this element; the rest can't be read")
            return


def _read_json_object(path: Path, text: str, at: int, decoder: json.JSONDecoder) -> Iterator[RawRow]:
    place = Place(str(path), 1 + text.count("\n", 0, at))
    try:
        value, end = decoder.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        if text.count("\n", at) > 1 and isinstance(_parse(text[at:].split("\n", 1)[0], place), dict):
            yield from read_jsonl(path)
            return
        yield place, Problem(place, "", _syntax_message(error))
        return
    if _skip_space(text, end) < len(text):
        yield from read_jsonl(path)
        return
    rows = next((value[key] for key in ("data", "rows") if isinstance(value.get(key), list)), None)
    for number, row in enumerate([value] if rows is None else rows, start=1):
        where = place if rows is None else Place(str(path), number, "row")
        yield where, _as_fields(row, where)


def read_csv(path: Path) -> Iterator[RawRow]:
    """A header and rows; an empty cell is a missing field, a cell that holds JSON messages is read as such."""
    csv.field_size_limit(LARGEST_CELL)
    delimiter = "\t" if suffix_of(path) == ".tsv" else ","
    lines = csv.reader(io.StringIO(_decode(path), newline=""), delimiter=delimiter, strict=True)
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
        if not cells:
            continue
        if header is None:
            header = _header(path, cells)
        elif len(cells) != len(header):
            yield place, Problem(place, "", f"{len(cells)} cells: expected {len(header)}, as in the header")
        else:
            yield place, {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True)}


def read_parquet(path: Path) -> Iterator[RawRow]:
    """The rows of a Parquet file, batch by batch; nulls inside messages are left out, since Arrow puts them there."""
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
        raise DataError(
            f"{path} is not a readable Parquet file: {error}", remedy="Write the file anew."
        ) from error


READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}


def _open(path: Path) -> gzip.GzipFile | Any:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _decode(path: Path) -> str:
    with _open(path) as file:
        raw: bytes = file.read().removeprefix(BYTE_ORDER_MARK)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise DataError(
            f"{path}, line {line}: {_encoding_message(raw, error)}",
            remedy=f"If it is Latin-1: iconv -f latin1 -t utf-8 {path.name} > utf8_{path.name}",
        ) from error


def _encoding_message(raw: bytes, error: UnicodeDecodeError) -> str:
    return f"byte 0x{raw[error.start]:02x} is not UTF-8 (an old encoding, such as Latin-1?)"


def _parse(line: str, place: Place) -> dict[str, Any] | Problem:
    try:
        return _as_fields(json.loads(line, object_pairs_hook=_distinct_keys), place)
    except (ValueError, RecursionError) as error:
        return Problem(place, "", _syntax_message(error))


def _as_fields(value: object, place: Place) -> dict[str, Any] | Problem:
    if isinstance(value, dict):
        return value
    return Problem(place, "", f'a {type(value).__name__}: expected a JSON object, as in {{"prompt": …}}')


def _syntax_message(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.colno})"
    if isinstance(error, RecursionError):
        return "not valid JSON: nested too deeply"
    return f"not valid JSON: {error}"


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the key {twice[0]!r} stands twice")
    return fields


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


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
    if cell.lstrip().startswith(("[{", "{")) or (name in LIST_COLUMNS and cell.lstrip().startswith("[")):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell
