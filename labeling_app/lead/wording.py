"""What changed in a text, word by word, within the lines that changed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

from labeling_app.differences import Line

Kind = Literal["same", "added", "removed"]
WORDS = re.compile(r"\w+|\s+|[^\w\s]")
# Below, two lines are different lines; above, one line that was changed.
ALIKE = 0.4
MOST_WORDS = 3_000  # of a line that is compared by words: the time grows with the square


@dataclass(frozen=True)
class Piece:
    """A part of a line: in both versions, or only in the one that the line is of."""

    text: str
    changed: bool


@dataclass(frozen=True)
class ChangedLine:
    """A line with its parts."""

    kind: Kind
    pieces: tuple[Piece, ...]


def by_words(lines: Sequence[Line]) -> list[ChangedLine]:
    """The lines of a difference, in order; of a line that was changed, only the words that differ are marked."""
    found: list[ChangedLine] = []
    removed: list[str] = []
    for kind, group in groupby(lines, key=lambda line: line.kind):
        texts = [line.text for line in group]
        if kind == "removed":
            removed = texts
            continue
        if kind == "added":
            found += _changed(removed, texts)
        else:
            found += _whole("removed", removed) + [ChangedLine("same", (Piece(text, False),)) for text in texts]
        removed = []
    return found + _whole("removed", removed)


def _changed(removed: Sequence[str], added: Sequence[str]) -> list[ChangedLine]:
    """A removed line beside the added one in its place, where they are alike."""
    found: list[ChangedLine] = []
    for old, new in zip(removed, added, strict=False):
        found += _pair(old, new)
    return found + _whole("removed", removed[len(added) :]) + _whole("added", added[len(removed) :])


def _pair(old: str, new: str) -> list[ChangedLine]:
    before, after = WORDS.findall(old), WORDS.findall(new)
    if max(len(before), len(after)) > MOST_WORDS:
        return _whole("removed", [old]) + _whole("added", [new])
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < ALIKE:
        return _whole("removed", [old]) + _whole("added", [new])
    ours: list[Piece] = []
    theirs: list[Piece] = []
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        ours += [Piece("".join(before[i:i_end]), kind != "equal")] if i_end > i else []
        theirs += [Piece("".join(after[j:j_end]), kind != "equal")] if j_end > j else []
    return [ChangedLine("removed", tuple(ours)), ChangedLine("added", tuple(theirs))]


def _whole(kind: Kind, texts: Sequence[str]) -> list[ChangedLine]:
    return [ChangedLine(kind, (Piece(text, True),)) for text in texts]
