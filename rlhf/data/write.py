"""Writing rows: JSONL, JSON, CSV or Parquet by the suffix, aside first, so that a file is whole or not there."""

import csv
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from rlhf.errors import DataError

Rows = Iterable[dict[str, Any]]


def write_rows(path: Path, rows: Rows, *, overwrite: bool = False) -> int:
    """Write all rows; returns how many. If `rows` raises, nothing is left behind.

    JSONL and JSON are written as the rows come; CSV and Parquet need all columns first and hold the rows in
    memory.

    Raises:
        DataError: the file exists, its suffix is unknown, or the rows don't fit the format.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise DataError(f"{path}: no writer for {path.suffix!r}.", remedy=f"Use one of {', '.join(WRITERS)}.")
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists already.", remedy="Choose another name, or overwrite it with --force.")
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = writer(aside, rows)
        os.replace(aside, path)
    except OSError as error:
        raise DataError(f"{path} can't be written: {error}", remedy="Check the folder and the space.") from error
    finally:
        with suppress(OSError):  # gone already, or never made
            aside.unlink()
    return count


def write_jsonl(path: Path, rows: Rows) -> int:
    """One object a line."""
    count = 0
    with _open(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
        _flush(file)
    return count


def write_json(path: Path, rows: Rows) -> int:
    """A list with one object a line."""
    count = 0
    with _open(path) as file:
        for row in rows:
            file.write(("[\n" if count == 0 else ",\n") + json.dumps(row, ensure_ascii=False))
            count += 1
        file.write("\n]\n" if count else "[]\n")
        _flush(file)
    return count


def write_csv(path: Path, rows: Rows) -> int:
    """A header with the columns of all rows; conversations and lists as JSON in their cells."""
    held = list(rows)
    with _open(path) as file:
        table = csv.DictWriter(file, fieldnames=_columns(held))
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in row.items()} for row in held)
        _flush(file)
    return len(held)


def write_parquet(path: Path, rows: Rows) -> int:
    """A table with the columns of all rows."""
    import pyarrow
    import pyarrow.parquet

    held = list(rows)
    try:
        table = pyarrow.table({name: [row.get(name) for row in held] for name in _columns(held)})
        pyarrow.parquet.write_table(table, path)
    except pyarrow.ArrowException as error:
        raise DataError(
            f"The rows don't fit one table: {error}",
            remedy="Parquet needs one type a column: don't mix plain text and conversations, or write JSONL.",
        ) from error
    return len(held)


WRITERS: dict[str, Callable[[Path, Rows], int]] = {
    ".jsonl": write_jsonl,
    ".json": write_json,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _flush(file: TextIO) -> None:
    """To the disk before the rename: a crash must not leave an empty file under the final name."""
    file.flush()
    os.fsync(file.fileno())


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
