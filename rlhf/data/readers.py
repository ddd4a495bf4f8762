"""From a source to rows of the contract: read, convert, validate. What the recipes call."""

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf.data.formats import to_contract
from rlhf.data.labels import is_label_source, open_label_source
from rlhf.data.schema import KINDS, Kind, Problem, Row, columns, detect_kind
from rlhf.data.sources import read_source
from rlhf.data.validate import check_row, require_uniform, trailing_space
from rlhf.errors import DataError

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


def load_rows(source: str | Path, kind: Kind, *, split: str = "train", limit: int | None = None) -> list[Row]:
    """All rows of one kind, in the contract's form.

    Rows of a file of comparisons that are ties are no preference rows: they are left out of "preference",
    with a warning that counts them, and are read as kind "tie". For "prompts", the prompts of SFT and
    preference rows are taken.

    Args:
        source: a file, a folder, a hub id, or a label source such as "labeling_app:labels.db".
        kind: the kind of rows wanted.
        split: the split of a folder or a hub data set.
        limit: read only so many rows.

    Raises:
        DataError: the source is missing or empty, or has bad rows, which are all listed.
    """
    if kind not in KINDS:
        raise DataError(f"{kind!r} is not a kind of rows.", remedy=f"Use one of {', '.join(KINDS)}.")
    rows: list[Row] = []
    problems: list[Problem] = []
    left_out = 0
    for item in islice(read_rows(source, kind, split=split), limit):
        if isinstance(item, Row):
            if _is_of_kind(item, kind):
                rows.append(item)
            else:
                left_out += 1
        else:
            problems += item
    raise_problems(source, problems)
    _warn(source, kind, rows, left_out)
    if not rows:
        found = f" It holds {left_out:,} {_other(kind)} rows, which are of another kind." if left_out else ""
        raise DataError(
            f"{source} has no rows of kind {kind!r}.{found}",
            remedy="Check the file, and see docs/data.md for the kinds.",
        )
    return rows


def load_dataset(
    source: str | Path, kind: Kind, split: str = "train", *, keep: tuple[str, ...] = ()
) -> "datasets.Dataset":
    """The rows as a `datasets.Dataset` in TRL's shape: the contract's columns, and those named in `keep`.

    Columns that no row has are left out; where only some rows have one (say `margin`), the others hold None.

    Raises:
        DataError: as `load_rows`; also where the rows have different shapes.
    """
    rows = load_rows(source, kind, split=split)
    return to_dataset(rows, kind, keep=keep)


def to_dataset(rows: list[Row], kind: Kind, *, keep: tuple[str, ...] = ()) -> "datasets.Dataset":
    """Rows that are in memory as a `datasets.Dataset`; see `load_dataset`."""
    import datasets

    require_uniform(rows, kind)
    names = [name for name in (*columns(kind), *keep) if any(name in row for row in rows)]
    return datasets.Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})


def read_rows(
    source: str | Path,
    kind: Kind | None = None,
    *,
    split: str = "train",
    on_format: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[Row | list[Problem]]:
    """Every row of a source in order: a good one as `Row`, a bad one as its problems; nothing is left out.

    Args:
        kind: what rows are checked as (ties stay ties among comparisons); None: as what their columns say.
        on_format: called with the fields of each row as they are in the file.
    """
    if is_label_source(str(source)):
        yield from open_label_source(str(source)).comparisons()
        return
    for place, fields in read_source(source, split):
        if isinstance(fields, Problem):
            yield [fields]
            continue
        if on_format is not None:
            on_format(fields)
        converted = _only_prompt(to_contract(fields)) if kind == "prompts" else to_contract(fields)
        row_kind = _kind_to_check(converted, kind)
        if row_kind is None:
            names = ", ".join(map(repr, fields)) or "none"
            yield [Problem(place, "", f"columns of no known kind: {names} (see docs/data.md for the kinds)")]
        else:
            yield check_row(converted, row_kind, place)


def raise_problems(source: str | Path, problems: list[Problem]) -> None:
    """One error for all bad rows of a source, if there are any."""
    if not problems:
        return
    count = len({problem.place for problem in problems})
    raise DataError(
        f"{source} has {count:,} bad row{'s' if count > 1 else ''}.",
        problems=[str(problem) for problem in problems],
        remedy="Correct them, or write the good ones to a new file: rlhf data convert IN OUT --skip-bad. "
        "The kinds and formats are described in docs/data.md.",
    )


def _kind_to_check(fields: dict[str, Any], kind: Kind | None) -> Kind | None:
    seen = detect_kind(fields)
    if kind is None or (kind, seen) in (("preference", "tie"), ("tie", "preference")):
        return seen
    return kind


def _is_of_kind(row: Row, kind: Kind) -> bool:
    return kind not in ("preference", "tie") or detect_kind(row) == kind


def _other(kind: Kind) -> str:
    return "tie" if kind == "preference" else "preference"


def _only_prompt(fields: dict[str, Any]) -> dict[str, Any]:
    """The prompt of a row of any kind, with the columns that say nothing about an answer."""
    answers = {"completion", "messages"} | (set(columns("preference") + columns("tie")) - {"prompt", "group", "source"})
    if "messages" in fields and "prompt" not in fields:
        turns = fields["messages"]
        ends = [at for at, turn in enumerate(turns) if isinstance(turn, dict) and turn.get("role") == "user"]
        fields = {"prompt": turns[: ends[-1] + 1] if ends else turns, **fields}
    return {name: value for name, value in fields.items() if name not in answers}


def _warn(source: str | Path, kind: Kind, rows: list[Row], left_out: int) -> None:
    if left_out and kind == "preference":
        logger.warning(
            "%s: ties left out: %s. A pairwise loss can't use them (kind 'tie' reads them).",
            source,
            left_out,
        )
    spaced = [row for row in rows if trailing_space(row)]
    if spaced:
        logger.warning(
            "%s: prompts that end in a space: %s (first: %s). It belongs to the answer: move it there, or the "
            "tokens that are trained aren't those that are generated.",
            source,
            len(spaced),
            spaced[0].place,
        )
