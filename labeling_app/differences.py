"""What changed from one text to another, line by line."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal


@dataclass(frozen=True)
class Line:
    """A line of a difference: in both versions, only in the new one, or only in the old one."""

    kind: Literal["same", "added", "removed"]
    text: str


def lines_between(old: str, new: str) -> list[Line]:
    """All lines of both texts, in order."""
    before, after = old.splitlines(), new.splitlines()
    lines: list[Line] = []
    for kind, i, i_end, j, j_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [Line("same", line) for line in before[i:i_end]]
        else:
            lines += [Line("removed", line) for line in before[i:i_end]]
            lines += [Line("added", line) for line in after[j:j_end]]
    return lines
