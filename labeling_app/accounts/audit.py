"""Who did what to people and projects: every action of a lead, and of the command line."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from labeling_app.store.tables import AuditEntry


def record(session: Session, now: datetime, actor_id: int | None, action: str, **detail: Any) -> int:
    """Note an action, in the transaction that does it: neither is stored without the other. Returns the entry's id.

    Args:
        session: the transaction.
        now: when.
        actor_id: who; None for the command line.
        action: what, as `thing.verb`: "person.pause", "project.close".
        detail: to whom and how, as JSON holds it. People by their id, never by name: a name may have to be forgotten.
    """
    entry = AuditEntry(at=now, actor_id=actor_id, action=action, detail=detail)
    session.add(entry)
    session.flush()
    return entry.id
