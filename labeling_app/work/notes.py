"""The thread between an annotator and the lead about one showing of an item.

A thread belongs to the assignment, not to the item: when the item comes again as a hidden repeat, what was written at
its first showing is not there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from labeling_app.access import require_lead, require_user
from labeling_app.answers import LONGEST_TEXT
from labeling_app.errors import NotFound, Refused
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, Item, Note, Role, User


@dataclass(frozen=True)
class Line:
    """A message of a thread; `mine` says whether the reader wrote it."""

    id: int
    author: str
    mine: bool
    text: str
    at: datetime


@dataclass(frozen=True)
class Answered:
    """A thread in which the lead wrote what its annotator has not read."""

    assignment_id: int
    prompt: Any
    text: str


def ask(database: Database, user_id: int, assignment_id: int, text: str) -> None:
    """An annotator writes to the lead about an item that they have or had.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: the item was never theirs.
        Refused: the text is empty or too long.
    """
    with database.write() as session:
        require_user(session, user_id)
        assignment = _own(session, user_id, assignment_id)
        write(session, database.now(), assignment, user_id, text)


def reply(database: Database, lead_id: int, assignment_id: int, text: str) -> None:
    """A lead writes to an annotator about an item that this person has or had.

    Raises:
        NotAllowed: the writer is no lead.
        NotFound: there is no such assignment.
        Refused: the text is empty or too long.
    """
    with database.write() as session:
        require_lead(session, lead_id)
        write(session, database.now(), _any(session, assignment_id), lead_id, text)


def own_thread(database: Database, user_id: int, assignment_id: int) -> list[Line]:
    """An annotator's thread about an own item, oldest first; what the lead wrote counts as read.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: the item was never theirs.
    """
    with database.write() as session:
        require_user(session, user_id)
        assignment = _own(session, user_id, assignment_id)
        return _read(session, database.now(), assignment, reader=user_id)


def thread(database: Database, lead_id: int, assignment_id: int) -> list[Line]:
    """A thread as a lead reads it, oldest first; what the annotator wrote counts as read.

    Raises:
        NotAllowed: the reader is no lead.
        NotFound: there is no such assignment.
    """
    with database.write() as session:
        require_lead(session, lead_id)
        return _read(session, database.now(), _any(session, assignment_id), reader=lead_id)


def unread_replies(database: Database, user_id: int, project_id: int) -> int:
    """Messages of the lead that this annotator has not read."""
    with database.read() as session:
        require_user(session, user_id)
        waiting = select(func.count()).where(*_unread_by(user_id, project_id))
        return session.scalar(waiting) or 0


def answered(database: Database, user_id: int, project_id: int) -> list[Answered]:
    """The threads in which the lead's newest words have not been read by this annotator, the newest first."""
    newest = select(func.max(Note.id)).where(*_unread_by(user_id, project_id)).group_by(Note.assignment_id)
    with database.read() as session:
        require_user(session, user_id)
        found = (
            select(Note.assignment_id, Item.prompt, Note.text)
            .join(Assignment, Assignment.id == Note.assignment_id)
            .join(Item, Item.id == Assignment.item_id)
            .where(Note.id.in_(newest))
            .order_by(Note.id.desc())
            .limit(50)
        )
        return [Answered(*row) for row in session.execute(found)]


def write(session: Session, now: datetime, assignment: Assignment, author_id: int, text: str) -> None:
    """Add a message to a thread.

    Raises:
        Refused: the text is empty or too long.
    """
    text = text.strip()
    if not text or len(text) > LONGEST_TEXT:
        raise Refused(f"A message has 1 to {LONGEST_TEXT:,} characters.", remedy="write or shorten it.")
    session.add(
        Note(
            project_id=assignment.project_id,
            assignment_id=assignment.id,
            annotator_id=assignment.user_id,
            author_id=author_id,
            text=text,
            created_at=now,
        )
    )


def _unread_by(user_id: int, project_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Note.project_id == project_id,
        Note.annotator_id == user_id,
        Note.author_id != user_id,
        Note.read_at.is_(None),
    )


def _own(session: Session, user_id: int, assignment_id: int) -> Assignment:
    found = session.get(Assignment, assignment_id)
    if found is None or found.user_id != user_id:
        raise NotFound("There is no such item of yours.", remedy="load the page again.")
    return found


def _any(session: Session, assignment_id: int) -> Assignment:
    found = session.get(Assignment, assignment_id)
    if found is None:
        raise NotFound("There is no such thread.", remedy="choose one from the list.")
    return found


def _read(session: Session, now: datetime, assignment: Assignment, *, reader: int) -> list[Line]:
    # Each side reads what the other wrote.
    annotator = assignment.user_id
    from_the_other = Note.author_id != annotator if reader == annotator else Note.author_id == annotator
    here = Note.assignment_id == assignment.id
    session.execute(update(Note).where(here, from_the_other, Note.read_at.is_(None)).values(read_at=now))
    found = select(Note, User).join(User, User.id == Note.author_id).where(here).order_by(Note.id)
    return [
        Line(note.id, _name(user), user.id == reader, note.text, note.created_at)
        for note, user in session.execute(found)
    ]


def _name(user: User) -> str:
    """A lead is the lead to annotators, whoever it is."""
    return "Lead" if user.role is Role.lead else user.name
