"""What annotators ask about an item, and what leads tell them: those who wait for an answer first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.answers import Answer, to_shown
from labeling_app.errors import NotFound
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.adding import added
from labeling_app.store.tables import Assignment, Item, Label, Note, ThreadClosing, User
from labeling_app.work import notes

INBOX = 200


@dataclass(frozen=True)
class Question:
    """A thread in the inbox, by its last message.

    Attributes:
        waiting: its annotator had the last word, and no lead has closed it since.
        closed: nobody has written since a lead closed it.
    """

    assignment_id: int
    annotator: str
    prompt: Any
    text: str
    by_annotator: bool
    messages: int
    at: datetime
    waiting: bool
    closed: bool


@dataclass(frozen=True)
class Conversation:
    """A thread with the item that it is about, as its annotator saw it.

    Attributes:
        answer: what they said of it, of what was shown; None where they haven't yet.
        newest: the id of the last message; 0 without any.
    """

    assignment_id: int
    item_id: int
    annotator: str
    mode: str
    prompt: Any
    responses: list[Any]
    answer: Answer | None
    lines: list[notes.Line]
    newest: int
    closed: bool


def inbox(database: Database, actor_id: int | None, project_id: int) -> list[Question]:
    """The threads of a project: first those who wait, who has waited longest on top; then the others, newest first."""
    last = (
        select(func.max(Note.id).label("id"), func.count().label("messages"))
        .where(Note.project_id == project_id)
        .group_by(Note.assignment_id)
        .subquery()
    )
    closed = func.coalesce(ThreadClosing.note_id, 0) >= Note.id
    by_annotator = Note.author_id == Note.annotator_id
    waiting = and_(by_annotator, ~closed)
    query = (
        select(
            Note.assignment_id,
            User.name,
            Item.prompt,
            Note.text,
            by_annotator,
            last.c.messages,
            Note.created_at,
            waiting,
            closed,
        )
        .join(last, last.c.id == Note.id)
        .join(Assignment, Assignment.id == Note.assignment_id)
        .join(Item, Item.id == Assignment.item_id)
        .join(User, User.id == Note.annotator_id)
        .outerjoin(ThreadClosing, ThreadClosing.assignment_id == Note.assignment_id)
        .order_by(waiting.desc(), case((waiting, Note.id), else_=-Note.id))
        .limit(INBOX)
    )
    with database.read() as session:
        require_lead(session, actor_id)
        find_project(session, project_id)
        return [Question(*row) for row in session.execute(query)]


def conversation(database: Database, actor_id: int, project_id: int, assignment_id: int) -> Conversation:
    """A thread, or the place for one; what its annotator wrote counts as read.

    Raises:
        NotAllowed: the person is no lead.
        NotFound: the project has no such assignment.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        assignment = _of_project(session, project_id, assignment_id)
        item = session.get_one(Item, assignment.item_id)
        annotator = session.get_one(User, assignment.user_id).name
        label = session.get(Label, assignment.label_id) if assignment.label_id else None
        closing = session.get(ThreadClosing, assignment_id)
        mode = find_project(session, project_id).mode
    lines = notes.thread(database, actor_id, assignment_id)
    newest = lines[-1].id if lines else 0
    return Conversation(
        assignment_id=assignment_id,
        item_id=item.id,
        annotator=annotator,
        mode=mode,
        prompt=item.prompt,
        responses=[item.responses[candidate] for candidate in assignment.order],
        answer=None if label is None else to_shown(Answer.model_validate(label.answer), assignment.order),
        lines=lines,
        newest=newest,
        closed=closing is not None and newest > 0 and closing.note_id >= newest,
    )


def answer(database: Database, actor_id: int, project_id: int, assignment_id: int, text: str) -> None:
    """Write to an annotator about an item that they have or had, whether they asked or not.

    Raises:
        NotAllowed: the writer is no lead.
        NotFound: the project has no such assignment.
        Refused: the text is empty or too long.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        notes.write(session, database.now(), _of_project(session, project_id, assignment_id), actor_id, text)


def close(database: Database, actor_id: int, project_id: int, assignment_id: int, seen: int) -> None:
    """Close a thread as far as the lead has read it: what is written after that opens it again.

    Args:
        seen: the id of the last message that the lead saw.

    Raises:
        NotAllowed: the person is no lead.
        NotFound: the project has no such assignment, or the thread no such message.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        _of_project(session, project_id, assignment_id)
        note = session.get(Note, seen)
        if note is None or note.assignment_id != assignment_id:
            raise NotFound("There is no such message.", remedy="load the page again.")
        _close(session, database.now(), actor_id, assignment_id, seen)


def answer_and_close(
    database: Database, actor_id: int, project_id: int, assignment_id: int, text: str, seen: int
) -> bool:
    """`answer`, and close the thread; it stays open, and False is returned, where its annotator wrote after `seen`."""
    with database.write() as session:
        require_lead(session, actor_id)
        notes.write(session, database.now(), _of_project(session, project_id, assignment_id), actor_id, text)
        here = Note.assignment_id == assignment_id
        unseen = select(Note.id).where(here, Note.author_id == Note.annotator_id, Note.id > seen).limit(1)
        newest = session.scalar(select(func.max(Note.id)).where(here))
        if newest is None or session.scalar(unseen) is not None:
            return False
        _close(session, database.now(), actor_id, assignment_id, newest)
        return True


def _close(session: Session, now: datetime, actor_id: int, assignment_id: int, seen: int) -> None:
    closing = ThreadClosing(assignment_id=assignment_id, note_id=seen, closed_by=actor_id, closed_at=now)
    there = session.get(ThreadClosing, assignment_id, with_for_update=True)
    if there is None and added(session, closing):
        return
    there = session.get_one(ThreadClosing, assignment_id, with_for_update=True, populate_existing=True)
    there.note_id, there.closed_by, there.closed_at = seen, actor_id, now


def _of_project(session: Session, project_id: int, assignment_id: int) -> Assignment:
    found = session.get(Assignment, assignment_id)
    if found is None or found.project_id != project_id:
        raise NotFound("There is no such thread.", remedy="choose one from the list.")
    return found
