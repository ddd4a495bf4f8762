"""The thread between an annotator and the lead about one item."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from labeling_app.access import require_lead, require_user
from labeling_app.answers import LONGEST_TEXT
from labeling_app.errors import NotFound, Refused
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, Note, Role, User


@dataclass(frozen=True)
class Line:
    """A message of a thread; `mine` says whether the reader wrote it."""

    id: int
    author: str
    mine: bool
    text: str
    at: datetime


@dataclass(frozen=True)
class Thread:
    """A thread with messages that the lead has not read."""

    project_id: int
    item_id: int
    annotator_id: int
    annotator: str
    unread: int


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
        _write(session, database.now(), assignment.project_id, assignment.item_id, user_id, user_id, text)


def reply(database: Database, lead_id: int, annotator_id: int, item_id: int, text: str) -> None:
    """A lead writes to an annotator about an item that this person has or had.

    Raises:
        NotAllowed: the writer is no lead.
        NotFound: the item was never that person's.
        Refused: the text is empty or too long.
    """
    with database.write() as session:
        require_lead(session, lead_id)
        theirs = select(Assignment).where(Assignment.user_id == annotator_id, Assignment.item_id == item_id).limit(1)
        assignment = session.scalars(theirs).first()
        if assignment is None:
            raise NotFound("This person never had that item.", remedy="choose the thread from the list.")
        _write(session, database.now(), assignment.project_id, item_id, annotator_id, lead_id, text)


def own_thread(database: Database, user_id: int, assignment_id: int) -> list[Line]:
    """An annotator's thread about an own item, oldest first; what the lead wrote counts as read.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: the item was never theirs.
    """
    with database.write() as session:
        require_user(session, user_id)
        assignment = _own(session, user_id, assignment_id)
        return _read(session, database.now(), user_id, assignment.item_id, reader=user_id)


def thread(database: Database, lead_id: int, annotator_id: int, item_id: int) -> list[Line]:
    """A thread as a lead reads it, oldest first; what the annotator wrote counts as read."""
    with database.write() as session:
        require_lead(session, lead_id)
        return _read(session, database.now(), annotator_id, item_id, reader=lead_id)


def threads(database: Database, lead_id: int, project_id: int) -> list[Thread]:
    """The threads of a project, those with unread messages of annotators first."""
    unread = func.count().filter(Note.read_at.is_(None), Note.author_id == Note.annotator_id)
    with database.read() as session:
        require_lead(session, lead_id)
        found = (
            select(Note.item_id, Note.annotator_id, User.name, unread.label("unread"))
            .join(User, User.id == Note.annotator_id)
            .where(Note.project_id == project_id)
            .group_by(Note.item_id, Note.annotator_id, User.name)
            .order_by(unread.desc(), func.max(Note.id).desc())
            .limit(200)
        )
        return [Thread(project_id, *row) for row in session.execute(found)]


def unread_replies(database: Database, user_id: int, project_id: int) -> int:
    """Messages of the lead that this annotator has not read."""
    with database.read() as session:
        require_user(session, user_id)
        waiting = select(func.count()).where(
            Note.project_id == project_id,
            Note.annotator_id == user_id,
            Note.author_id != user_id,
            Note.read_at.is_(None),
        )
        return session.scalar(waiting) or 0


def _own(session: Session, user_id: int, assignment_id: int) -> Assignment:
    found = session.get(Assignment, assignment_id)
    if found is None or found.user_id != user_id:
        raise NotFound("There is no such item of yours.", remedy="load the page again.")
    return found


def _write(
    session: Session, now: datetime, project_id: int, item_id: int, annotator_id: int, author_id: int, text: str
) -> None:
    text = text.strip()
    if not text or len(text) > LONGEST_TEXT:
        raise Refused(f"A message has 1 to {LONGEST_TEXT:,} characters.", remedy="write or shorten it.")
    session.add(
        Note(
            project_id=project_id,
            item_id=item_id,
            annotator_id=annotator_id,
            author_id=author_id,
            text=text,
            created_at=now,
        )
    )


def _read(session: Session, now: datetime, annotator_id: int, item_id: int, *, reader: int) -> list[Line]:
    here = Note.annotator_id == annotator_id, Note.item_id == item_id
    # Each side reads what the other wrote.
    from_the_other = Note.author_id != annotator_id if reader == annotator_id else Note.author_id == annotator_id
    session.execute(update(Note).where(*here, from_the_other, Note.read_at.is_(None)).values(read_at=now))
    found = select(Note, User).join(User, User.id == Note.author_id).where(*here).order_by(Note.id)
    return [
        Line(note.id, _name(user), user.id == reader, note.text, note.created_at)
        for note, user in session.execute(found)
    ]


def _name(user: User) -> str:
    """A lead is the lead to annotators, whoever it is."""
    return "Lead" if user.role is Role.lead else user.name
