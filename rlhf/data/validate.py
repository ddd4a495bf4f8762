"""Checking rows against the contract: every bad row with its place, its field, and what was expected."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rlhf.data.schema import MODELS, Kind, Place, Problem, Row, columns, detect_kind
from rlhf.errors import DataError

SHOWN_VALUE = 40
TEXT_COLUMNS = ("prompt", "completion", "messages", "chosen", "rejected", "first", "second")


def check_row(fields: dict[str, Any], kind: Kind, place: Place | None = None) -> Row | list[Problem]:
    """A row of the contract, or what is wrong with it. Fields that are null count as absent."""
    fields = {name: value for name, value in fields.items() if value is not None}
    try:
        checked = MODELS[kind].model_validate(fields)
    except ValidationError as error:
        problems = [problem for details in error.errors() for problem in _translate(details, kind, fields, place)]
        return sorted(problems, key=lambda problem: problem.field != "")
    dumped = checked.model_dump(include=set(fields))
    return Row({name: dumped[name] for name in fields}, place)


def require_uniform(rows: Sequence[Row], kind: Kind) -> None:
    """Refuse a data set whose rows have different shapes: TRL reads all rows like the first.

    Raises:
        DataError: some rows are conversations and others plain text, or only some have a prompt.
    """
    shapes: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        shapes.setdefault(shape_of(row, kind), []).append(index)
    if len(shapes) < 2:
        return
    problems = [
        f"{len(found):,} rows are {shape}; the first is {rows[found[0]].place or f'row {found[0] + 1}'}"
        for shape, found in sorted(shapes.items(), key=lambda item: -len(item[1]))
    ]
    raise DataError(
        "The rows of the data set have different shapes, and a trainer reads all of them like the first.",
        problems=problems,
        remedy="Bring them to one shape, or put them in separate files.",
    )


def shape_of(row: dict[str, Any], kind: Kind) -> str:
    """The shape of a row in words: which text columns it has, and whether they are plain or conversations."""
    names = [
        name for name in ("prompt", "completion", "messages", "chosen", "rejected", "first", "second") if name in row
    ]
    form = "conversations" if names and isinstance(row[names[-1]], list) else "plain text"
    return f"{form} ({', '.join(names or ['text'])})"


def trailing_space(row: dict[str, Any]) -> bool:
    """Does a plain prompt end in a space? It belongs to the answer, whose first word it is one token with."""
    prompt = row.get("prompt")
    return isinstance(prompt, str) and prompt != prompt.rstrip(" \t")


def _translate(details: ErrorDetails, kind: Kind, fields: dict[str, Any], place: Place | None) -> list[Problem]:
    """Pydantic's finding in our words."""
    if details["type"] == "row":
        return [
            Problem(place, field, message + (_hint(field, kind, fields) if message.startswith("missing") else ""))
            for field, message in details["ctx"]["findings"]
        ]
    field = str(details["loc"][0]) if details["loc"] else ""
    about = MODELS[kind].model_fields[field].description if field in MODELS[kind].model_fields else None
    meaning = f" ({about})" if about else ""
    if details["type"] == "missing":
        return [
            Problem(
                place,
                field,
                f"missing: expected {_expected(kind, field)}{meaning}{_hint(field, kind, fields)}",
            )
        ]
    if details["type"] == "text":
        return [Problem(place, field, f"{details['ctx']['problem']}{meaning}")]
    message = details["msg"].replace("Input should be", "expected").replace("Value error, ", "")
    return [Problem(place, field, f"{message}, not {_shorten(details['input'])}{meaning}")]


def _expected(kind: Kind, field: str) -> str:
    if field == "verdict":
        return "a verdict"
    return "text" if kind == "text" else "text, or a list of messages"


def _hint(field: str, kind: Kind, fields: dict[str, Any]) -> str:
    """A column that may hold the missing field under a slightly wrong name; else what the row looks like."""
    if near := get_close_matches(field, [name for name in fields if name not in columns(kind)], n=1, cutoff=0.7):
        return f"; there is a column {near[0]!r}"
    seen = detect_kind(fields)
    if seen is not None and seen != kind:
        return f"; the row looks like kind {seen!r}"
    return "" if seen else f"; the row has {', '.join(map(repr, fields)) or 'no columns'}"


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN_VALUE else shown[: SHOWN_VALUE - 1] + "…"
