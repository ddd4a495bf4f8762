"""Reading JSON: lines of objects, or one list of them; every element keeps the line it stands on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlhf.data.schema import Place, Problem
from rlhf.data.text_files import BYTE_ORDER_MARK, decode, encoding_message, open_bytes
from rlhf.errors import DataError

RawRow = tuple[Place, dict[str, Any] | Problem]


def read_jsonl(path: Path) -> Iterator[RawRow]:
    """One JSON object a line; blank lines are skipped."""
    with open_bytes(path) as lines:
        for number, raw in enumerate(lines, start=1):
            place = Place(str(path), number)
            raw = raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw
            try:
                line = raw.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                yield place, Problem(place, "", encoding_message(raw, error))
                continue
            if line:
                yield place, _parse(line, place)


def read_json(path: Path) -> Iterator[RawRow]:
    """A list of objects, an object with one under "data" or "rows", or JSON lines by the wrong suffix."""
    text = decode(path)
    decoder = json.JSONDecoder(object_pairs_hook=_distinct_keys)
    at = _skip_space(text, 0)
    if text.startswith("{", at):
        yield from _read_json_object(path, text, at, decoder)
        return
    if not text.startswith("[", at):
        if at < len(text):
            raise DataError(f"{path}: expected JSON: a list of objects.", remedy="See docs/data.md for the formats.")
        return
    yield from _read_json_list(path, text, at + 1, decoder)


def _read_json_list(path: Path, text: str, at: int, decoder: json.JSONDecoder) -> Iterator[RawRow]:
    """The elements one by one, so that each has its line; what follows a syntax error can't be read."""
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
