"""Where the loop gets people's judgements from: a file, or an application that registers itself.

A package adds a source by an entry point of the group `rlhf.label_sources`:

    [project.entry-points."rlhf.label_sources"]
    labeling_app = "labeling_app.export:open_labels"

`open_label_source("labeling_app:labels.db")` then calls `open_labels("labels.db")`, which returns a
`LabelSource`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

from rlhf.data.schema import Problem, Row, detect_kind
from rlhf.errors import DataError

ENTRY_POINT_GROUP = "rlhf.label_sources"
SPEC = re.compile(r"^([A-Za-z]\w*):(.+)$", re.DOTALL)


@runtime_checkable
class LabelSource(Protocol):
    """Comparisons that people have made."""

    def comparisons(self) -> Iterable[Row | list[Problem]]:
        """Every judged pair as a preference or tie row; one that breaks the contract as its problems."""
        ...

    def files(self) -> list[Path]:
        """The files the labels come from, for a run's checksums."""
        ...


@dataclass(frozen=True)
class FileLabels:
    """The comparisons of a file, folder or hub data set in any format that is read."""

    source: str | Path
    split: str = "train"

    def comparisons(self) -> Iterator[Row | list[Problem]]:
        from rlhf.data.readers import read_rows  # which itself opens label sources

        yield from read_rows(self.source, "preference", split=self.split)

    def files(self) -> list[Path]:
        from rlhf.data.sources import source_files

        return source_files(self.source, self.split)


def open_label_source(spec: str | Path) -> LabelSource:
    """The labels that a specification names: `name:argument` of a registered source, or a path or hub id.

    Raises:
        DataError: the registered source doesn't load, or isn't a label source.
    """
    found = _registered(str(spec))
    if found is None:
        return FileLabels(spec)
    entry_point, argument = found
    try:
        source = entry_point.load()(argument)
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"The label source {entry_point.name!r} ({entry_point.value}) doesn't load: {error}",
            remedy="Install the package that provides it, with its extras.",
        ) from error
    if not isinstance(source, LabelSource):
        raise DataError(
            f"{entry_point.value} returned a {type(source).__name__}, not a label source.",
            remedy="It has to have the methods of rlhf.data.LabelSource.",
        )
    return source


def is_label_source(spec: str) -> bool:
    """Does the specification name a registered source?"""
    return _registered(spec) is not None


def label_ids(rows: Iterable[Row]) -> list[str]:
    """The ids of all judgements in the rows, each once, for a run's manifest."""
    return list(dict.fromkeys(name for row in rows if detect_kind(row) for name in row.get("label_ids", ())))


def _registered(spec: str) -> tuple[EntryPoint, str] | None:
    match = SPEC.match(spec)
    if match is None or Path(spec).exists():
        return None
    found = entry_points(group=ENTRY_POINT_GROUP, name=match[1])
    return (next(iter(found)), match[2]) if found else None
