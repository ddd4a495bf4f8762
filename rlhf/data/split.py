"""Splitting rows into a training and a held-out part: by group, from content and seed alone.

A group's side is decided by a hash of its key and the seed, not by its neighbours: it is the same on every
machine, in every order of the rows, and it stays where it is when more data comes in. So a prompt that was
trained on is never held out in a later round.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rlhf.errors import DataError

AnyRow = TypeVar("AnyRow", bound=Mapping[str, Any])
HELD_OUT = 0.15


def split_rows(
    rows: Sequence[AnyRow],
    *,
    fraction: float = HELD_OUT,
    seed: int = 0,
    key: Callable[[AnyRow], str] | None = None,
) -> tuple[list[AnyRow], list[AnyRow]]:
    """The rows for training and those held out, each in their old order; no group is on both sides.

    Args:
        rows: rows of the contract.
        fraction: the expected share of groups that is held out, in (0, 1).
        seed: another seed gives another split.
        key: the group of a row; default `group_of`.

    Raises:
        DataError: a side would be empty, as where all rows are of one group.
    """
    if not 0 < fraction < 1:
        raise DataError(f"A fraction of {fraction} can't be held out.", remedy="Use one between 0 and 1, say 0.15.")
    group = key or group_of
    keys = [group(row) for row in rows]
    held = {name: is_held_out(name, fraction=fraction, seed=seed) for name in set(keys)}
    train = [row for row, name in zip(rows, keys, strict=True) if not held[name]]
    test = [row for row, name in zip(rows, keys, strict=True) if held[name]]
    if not train or not test:
        raise DataError(
            f"{len(rows):,} rows in {len(held):,} group(s) can't be split: one side would be empty.",
            remedy="Give the rows a 'group' (what must stay on one side), add rows, or hold out another share.",
        )
    return train, test


def is_held_out(group: str, *, fraction: float = HELD_OUT, seed: int = 0) -> bool:
    """Is a group held out? Decided by its hash: 64 bits of it, taken as a number in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\0{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < fraction


def group_of(row: Mapping[str, Any]) -> str:
    """The key of a row's group: its `group`, or else its prompt, or else what it has in place of one.

    A conversation's prompt is what comes before the first answer; running text, and comparisons without a
    prompt, are groups of their own.
    """
    if row.get("group") is not None:
        return str(row["group"])
    if row.get("prompt") is not None:
        return _canonical(row["prompt"])
    if row.get("messages") is not None:
        turns = row["messages"]
        roles = [turn["role"] for turn in turns]
        return _canonical(turns[: roles.index("assistant")] if "assistant" in roles else turns)
    texts = ("text", "chosen", "rejected", "first", "second")
    return _canonical([row[name] for name in texts if row.get(name) is not None])


def _canonical(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
