"""What a data set holds, counted row by row: kinds, formats, lengths, judgements, and what looks suspicious."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from statistics import median, quantiles
from typing import Any

from rlhf.data.formats import format_of
from rlhf.data.schema import Kind, Problem, Row, columns, detect_kind
from rlhf.data.split import group_of
from rlhf.data.validate import shape_of, trailing_space

TEXTS = ("prompt", "completion", "messages", "chosen", "rejected", "first", "second", "text")
AGREEMENT_EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass
class Summary:
    """Counts over a data set; `add` takes one row, good or bad."""

    rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    kinds: Counter[Kind] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    shapes: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    characters: dict[str, list[int]] = field(default_factory=dict)
    agreement: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    other_columns: Counter[str] = field(default_factory=Counter)
    misspelt: dict[str, str] = field(default_factory=dict)
    spaced_prompts: int = 0
    repeated: int = 0
    _seen: set[int] = field(default_factory=set)

    def add_format(self, fields: dict[str, Any]) -> None:
        """Count the format of a row as it stands in the file."""
        self.formats[format_of(fields)] += 1

    def add(self, item: Row | list[Problem]) -> None:
        """Count one row."""
        self.rows += 1
        if not isinstance(item, Row):
            self.problems += item
            return
        kind = detect_kind(item)
        if kind is None:
            return
        self.kinds[kind] += 1
        self.shapes[kind, shape_of(item, kind)] += 1
        self.groups.add(group_of(item))
        self.spaced_prompts += trailing_space(item)
        self._add_texts(item)
        self._add_judgement(item)
        self._add_columns(item, kind)

    @property
    def mixed(self) -> bool:
        """Are there rows of more than one shape, or of kinds that no stage reads together?"""
        kinds = [kind for kind, _ in self.shapes if kind != "tie"]
        return len(kinds) > 1

    @property
    def bad_rows(self) -> int:
        """The number of rows with problems."""
        return self.rows - self.kinds.total()

    def _add_texts(self, row: Row) -> None:
        texts = {name: row[name] for name in TEXTS if name in row}
        for name, text in texts.items():
            self.characters.setdefault(name, []).append(characters(text))
        fingerprint = hash(repr(texts))
        self.repeated += fingerprint in self._seen
        self._seen.add(fingerprint)

    def _add_judgement(self, row: Row) -> None:
        if "verdict" in row:
            self.verdicts[row["verdict"]] += 1
        if "agreement" in row:
            self.agreement.append(row["agreement"])
        if "margin" in row:
            self.margins.append(row["margin"])

    def _add_columns(self, row: Row, kind: Kind) -> None:
        known = columns(kind)
        for name in row:
            if name in known:
                continue
            self.other_columns[name] += 1
            if name not in self.misspelt and (near := get_close_matches(name, known, n=1, cutoff=0.8)):
                self.misspelt[name] = near[0]


def characters(text: object) -> int:
    """The number of characters of a text, plain or a conversation."""
    if isinstance(text, list):
        return sum(len(message.get("content") or "") for message in text)
    return len(str(text))


def spread(values: list[int]) -> tuple[int, int, int]:
    """Median, 95th percentile and maximum."""
    high = quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
    return round(median(values)), min(round(high), max(values)), max(values)


def agreement_histogram(values: Iterable[float]) -> list[tuple[str, int]]:
    """Counts of agreement by interval, the last with its upper end; what is below one half first."""
    held = list(values)
    bins = [("below 0.5", sum(value < AGREEMENT_EDGES[0] for value in held))]
    for low, high in zip(AGREEMENT_EDGES, AGREEMENT_EDGES[1:], strict=False):
        last = high == AGREEMENT_EDGES[-1]
        inside = sum(low <= value < high or (last and value == high) for value in held)
        bins.append((f"{low:.1f} to {high:.1f}", inside))
    return bins
