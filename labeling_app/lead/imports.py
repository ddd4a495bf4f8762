"""Import: from a file, or rows in memory, to items of a project.

All rows are looked at before the first is stored, and bad ones refuse the whole. They are then stored in portions, with
pauses in which others write: nobody who labels waits for a large import. One that is cut off leaves whole items, and is
taken up where it ended by importing again.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.errors import Refused, Unavailable
from labeling_app.lead.contents import Content, Reader
from labeling_app.lookup import find_project, settings_of
from labeling_app.settings import Mode
from labeling_app.store import Database
from labeling_app.store.database import NOTHING_STORED
from labeling_app.store.retrying import retried
from labeling_app.store.tables import AuditEntry, Item, ItemKind, Project
from rlhf.data import Place, Problem
from rlhf.data.sources import missing_source, read_source

MOST_ROWS = 500_000
AT_ONCE = 100  # rows of one transaction: a few milliseconds
PAUSE, LONGEST_PAUSE_SECONDS = 2.0, 0.1
T = TypeVar("T")
Source = str | Path | Iterable[dict[str, Any]]


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        added: new items.
        known: rows that are items of the project already, or stand twice in the source.
        judged: rows that also held what people had said of them; that is not imported.
        problems: the bad rows that were left out, each finding with its file, line and field.
    """

    added: int
    known: int
    judged: int
    problems: list[Problem]


@dataclass(frozen=True)
class Placed:
    """A content, and where it stood."""

    place: Place | None
    content: Content


def import_items(
    database: Database,
    actor_id: int | None,
    project_id: int,
    source: Source,
    *,
    kind: ItemKind = ItemKind.work,
    skip_bad: bool = False,
) -> ImportReport:
    """Add items to a project, behind those that it has. Importing a file again adds nothing.

    Args:
        source: a file or folder in any format that is read (docs/data.md), or rows. Nothing is fetched.
        kind: work, or checks with a known answer.
        skip_bad: leave bad rows out, instead of refusing all.

    Raises:
        Refused: some rows are bad; all are listed. Or there are too many rows, or none.
        DataError: the source is not there, or can't be read as a whole.
        Unavailable: the store can't be written to; says how many items are stored.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id)
        reader = Reader(mode_of(project), settings_of(project), kind)
    contents, problems = read_contents(source, reader)
    _refuse_bad(problems, skip_bad)
    with database.read() as session:
        fresh, clashes = find_fresh(session, project_id, contents, kind)
    _refuse_bad(clashes, skip_bad)
    added = _add_in_portions(database, actor_id, project_id, fresh, kind)
    return ImportReport(
        added=added,
        known=len(contents) - added - len(clashes),
        judged=sum(one.content.judged for one in contents),
        problems=problems + clashes,
    )


def read_contents(source: Source, reader: Reader) -> tuple[list[Placed], list[Problem]]:
    """The contents of a source, and all that is wrong with its rows."""
    contents: list[Placed] = []
    problems: list[Problem] = []
    for number, (place, fields) in enumerate(_rows(source), start=1):
        if number > MOST_ROWS:
            raise Refused(f"There are more than {MOST_ROWS:,} rows.", remedy="import them in parts.")
        found = [fields] if isinstance(fields, Problem) else reader.read(fields, place)
        if isinstance(found, list):
            problems += found
        else:
            contents.append(Placed(place, found))
    if not contents and not problems:
        raise Refused("There are no rows.", remedy="see docs/data.md for what is read.")
    return contents, problems


def _rows(source: Source) -> Iterator[tuple[Place, dict[str, Any] | Problem]]:
    if isinstance(source, str | Path):
        if not Path(source).exists():  # else a name might be looked for on the hub
            raise missing_source(source)
        yield from read_source(source)
        return
    for number, fields in enumerate(source, start=1):
        place = Place("rows", number, "row")
        yield place, dict(fields) if isinstance(fields, dict) else Problem(place, "", "expected an object")


def _refuse_bad(problems: Sequence[Problem], skip_bad: bool) -> None:
    if not problems or skip_bad:
        return
    count = len({problem.place for problem in problems})
    raise Refused(
        f"{count:,} bad row{'s' if count > 1 else ''}: nothing was imported.",
        problems=[str(problem) for problem in problems],
        remedy="correct them and import again, or leave bad rows out. docs/data.md says what is read.",
    )


def find_fresh(
    session: Session, project_id: int, contents: Sequence[Placed], kind: ItemKind
) -> tuple[list[tuple[str, Content]], list[Problem]]:
    """The contents that the project doesn't have, with their hashes, and those that it has as another kind.

    What is a check already may stand in a file of work: a lead made it one. The other way round would lose the check.
    """
    hashes = [one.content.hash for one in contents]
    known = _known(session, project_id, hashes)
    fresh: dict[str, Content] = {}
    clashes = []
    for name, one in zip(hashes, contents, strict=True):
        there = known.get(name)
        if there is None:
            fresh.setdefault(name, one.content)
        elif kind is not ItemKind.work and there is not kind:
            message = f"stands in the project already, as a {there} item: it can't become a {kind} item by import"
            clashes.append(Problem(one.place, "", message))
    return list(fresh.items()), clashes


def _known(session: Session, project_id: int, hashes: Sequence[str]) -> dict[str, ItemKind]:
    known: dict[str, ItemKind] = {}
    for part in _parts(hashes):
        query = select(Item.content_hash, Item.kind).where(Item.project_id == project_id, Item.content_hash.in_(part))
        known.update((name, kind) for name, kind in session.execute(query))
    return known


def _add_in_portions(
    database: Database, actor_id: int | None, project_id: int, fresh: Sequence[tuple[str, Content]], kind: ItemKind
) -> int:
    """How many were added: others may have imported some of them in the meantime."""
    noted: int | None = None
    added = 0
    for part in list(_parts(fresh)) or [[]]:  # an import of nothing new is in the audit log too
        began = time.monotonic()
        try:
            noted, new = _add_portion(database, actor_id, project_id, part, kind, noted)
        except Unavailable as error:
            raise _cut_off(error, added) from error
        added += new
        if database.is_sqlite:
            # One writer at a time: this one leaves others twice the time that it took.
            time.sleep(min(PAUSE * (time.monotonic() - began), LONGEST_PAUSE_SECONDS))
    return added


def _cut_off(error: Unavailable, added: int) -> Unavailable:
    """What is said of an import that couldn't go on: how much of it is stored."""
    if not added:
        return error
    remedy = f"{error.remedy.removesuffix(NOTHING_STORED)}: an import of the same rows goes on where this one ended."
    return Unavailable(f"{error.message} New items that are stored: {added:,}.", remedy=remedy)


@retried
def _add_portion(
    database: Database,
    actor_id: int | None,
    project_id: int,
    part: Sequence[tuple[str, Content]],
    kind: ItemKind,
    noted: int | None,
) -> tuple[int, int]:
    """One transaction: items, the judgements that are wanted, and the import's entry in the audit log.

    Args:
        noted: the entry, which grows with each portion; None for the first.

    Returns:
        The entry's id, and how many items are new.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id, locked=True)
        known = _known(session, project_id, [name for name, _ in part])
        new = [(name, content) for name, content in part if name not in known]
        _add(session, project, new, kind, database.now())
        if noted is None:
            detail = {"project": project_id, "kind": kind.value, "added": len(new)}
            noted = audit.record(session, database.now(), actor_id, "items.import", **detail)
        else:
            entry = session.get_one(AuditEntry, noted)
            entry.detail = entry.detail | {"added": entry.detail["added"] + len(new)}
        return noted, len(new)


def _add(
    session: Session, project: Project, fresh: Sequence[tuple[str, Content]], kind: ItemKind, now: datetime
) -> None:
    if not fresh:
        return
    overlap = settings_of(project).overlap if kind is ItemKind.work else 0
    shared = {
        "project_id": project.id,
        "kind": kind,
        "overlap": overlap,
        "open_slots": overlap,
        "created_at": now,
    }
    # Behind all that are there: no item stands further back than its id, and the newest id is found at once.
    last = session.scalar(select(func.max(Item.id))) or 0
    rows = [
        {
            **shared,
            "uid": str(uuid.uuid4()),
            "position": position,
            "content_hash": name,
            "prompt": content.prompt,
            "responses": content.responses,
            "origins": content.models,
            "further": content.further,
            "expected": content.expected,
        }
        for position, (name, content) in enumerate(fresh, start=last + 1)
    ]
    session.execute(insert(Item), rows)
    project.slots_total += overlap * len(fresh)


def _parts(values: Sequence[T]) -> Iterator[list[T]]:
    remaining = iter(values)
    while part := list(islice(remaining, AT_ONCE)):
        yield part


def mode_of(project: Project) -> Mode:
    """What a project asks for."""
    return "ranking" if project.mode == "ranking" else "comparison"
