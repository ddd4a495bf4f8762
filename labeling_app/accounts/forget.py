"""A person's request to be forgotten: who they were and what they wrote go; what they chose stays, in its place."""

from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.accounts.browsers import forget_browsers
from labeling_app.accounts.people import find, new_pseudonym
from labeling_app.accounts.sessions import end_sessions
from labeling_app.accounts.throttle import name_key
from labeling_app.errors import Refused
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AuditEntry, Decision, Draft, Invitation, Label, LoginFailure, Note

TOMBSTONE = "[forgotten]"
WRITTEN = ("rationale", "edit", "reason")


def forget(database: Database, actor_id: int | None, user_id: int) -> None:
    """Replace a person's name and texts by tombstones. Their choices stay in the log, in order, and belong to nobody.

    An edit of a response is their text too: it is no longer exported, as a tombstone is not an answer to learn from.

    Raises:
        NotAllowed: the actor is no lead.
        NotFound: there is no such person.
        Refused: a lead forgets themselves.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        if actor_id == user_id:
            raise Refused("You can't have yourself forgotten.", remedy="ask another lead.")
        user, now = find(session, user_id), database.now()
        session.execute(delete(LoginFailure).where(LoginFailure.key == name_key(user.name)))
        user.name, user.pseudonym = f"forgotten-{user.id}", new_pseudonym(session)
        user.password_hash, user.paused_reason = None, None
        user.paused_at, user.forgotten_at = user.paused_at or now, now
        end_sessions(session, user_id)
        forget_browsers(session, user_id)
        session.execute(delete(Invitation).where(Invitation.user_id == user_id))
        _bury_texts(session, user_id)
        audit.record(session, now, actor_id, "person.forget", person=user_id)


def _bury_texts(session: Session, user_id: int) -> None:
    for label in session.scalars(select(Label).where(Label.user_id == user_id)):
        label.answer = {field: _buried(field, value) for field, value in label.answer.items() if field != "edit"}
    theirs = select(Assignment.id).where(Assignment.user_id == user_id)
    session.execute(delete(Draft).where(Draft.assignment_id.in_(theirs)))
    # The whole thread: an answer may name the person, or quote them.
    in_thread = or_(Note.author_id == user_id, Note.annotator_id == user_id)
    session.execute(update(Note).where(in_thread).values(text=TOMBSTONE))
    decided = Decision.decided_by == user_id, Decision.note.is_not(None)
    session.execute(update(Decision).where(*decided).values(note=TOMBSTONE))
    for entry in session.scalars(select(AuditEntry)):
        if entry.detail.get("person") == user_id and "reason" in entry.detail:
            entry.detail = entry.detail | {"reason": TOMBSTONE}


def _buried(field: str, value: Any) -> Any:
    return TOMBSTONE if field in WRITTEN else value
