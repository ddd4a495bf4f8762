"""The projects that a person can choose from."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from labeling_app.access import require_user
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AssignmentStatus, Member, Project
from labeling_app.work.tasks import Progress, progress_of


@dataclass(frozen=True)
class ProjectLine:
    """An open project with this person's progress in it; `held` says that an item of it is in their hands."""

    id: int
    name: str
    mode: str
    progress: Progress
    held: bool


def open_projects(database: Database, user_id: int) -> list[ProjectLine]:
    """The open projects, the newest first.

    Raises:
        NotAllowed: the account can't be used, or is paused.
    """
    with database.read() as session:
        require_user(session, user_id)
        held = _held(session, user_id, database.now())
        lines = []
        for project in session.scalars(select(Project).where(Project.closed_at.is_(None)).order_by(Project.id.desc())):
            member = session.get(Member, (project.id, user_id))
            nobody = Member(project_id=project.id, user_id=user_id, answered=0)
            progress = progress_of(session, project, member or nobody)
            lines.append(ProjectLine(project.id, project.name, project.mode, progress, project.id in held))
        return lines


def _held(session: Session, user_id: int, now: datetime) -> set[int]:
    """The projects of which this person holds an item."""
    mine = select(Assignment.project_id).where(
        Assignment.user_id == user_id, Assignment.status == AssignmentStatus.open, Assignment.lease_until >= now
    )
    return set(session.scalars(mine))
