"""A row, the place it was read from, and what may be wrong with it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: a file and the number of its line (or row, where a format has no lines), from 1."""

    file: str
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.file}, {self.unit} {self.number}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one field; `field` is empty where the whole row is meant."""

    place: Place | None
    field: str
    message: str

    def __str__(self) -> str:
        where = [str(self.place)] if self.place else []
        where += [f"field {self.field!r}"] if self.field else []
        return f"{', '.join(where)}: {self.message}"


class Row(dict[str, Any]):
    """A row of the contract: an ordinary dict that remembers the `place` it was read from."""

    __slots__ = ("place",)

    def __init__(self, fields: dict[str, Any], place: Place | None = None):
        super().__init__(fields)
        self.place = place
