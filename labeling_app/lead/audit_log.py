"""The audit log, as a lead reads it: the newest first, a page at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from labeling_app.access import require_lead
from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry, Project, User

A_PAGE = 50


@dataclass(frozen=True)
class Entry:
    """Something that was done.

    Attributes:
        actor: who did it; None for the command line.
        person, project: to whom and to what, by name.
        detail: what else is known.
    """

    id: int
    at: datetime
    actor: str | None
    action: str
    person: str | None
    project: str | None
    project_id: int | None
    detail: dict[str, Any]


def entries(database: Database, actor_id: int | None, *, before: int | None = None, limit: int = A_PAGE) -> list[Entry]:
    """The newest entries, or those before one of them.

    Raises:
        NotAllowed: the actor is no lead.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditEntry.id < before)
        found = session.scalars(query).all()
        people = {one.actor_id for one in found} | {one.detail.get("person") for one in found}
        projects = {one.detail.get("project") for one in found}
        users = select(User.id, User.name).where(User.id.in_(people - {None}))
        names = {number: name for number, name in session.execute(users)}
        named = select(Project.id, Project.name).where(Project.id.in_(projects - {None}))
        titles = {number: name for number, name in session.execute(named)}
        return [_entry(one, names, titles) for one in found]


def _entry(one: AuditEntry, names: dict[int, str], titles: dict[int, str]) -> Entry:
    person, project = one.detail.get("person"), one.detail.get("project")
    return Entry(
        id=one.id,
        at=one.at,
        actor=None if one.actor_id is None else names.get(one.actor_id, f"person {one.actor_id}"),
        action=one.action,
        person=None if person is None else names.get(person, f"person {person}"),
        project=None if project is None else titles.get(project, f"project {project}"),
        project_id=project,
        detail={name: value for name, value in one.detail.items() if name not in ("person", "project")},
    )
