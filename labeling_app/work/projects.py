"""The projects that a person can choose from."""

from dataclasses import dataclass

from sqlalchemy import select

from labeling_app.access import require_user
from labeling_app.store import Database
from labeling_app.store.tables import Member, Project
from labeling_app.work.tasks import Progress, progress_of


@dataclass(frozen=True)
class ProjectLine:
    """An open project with this person's progress in it."""

    id: int
    name: str
    mode: str
    progress: Progress


def open_projects(database: Database, user_id: int) -> list[ProjectLine]:
    """The open projects, the newest first.

    Raises:
        NotAllowed: the account can't be used, or is paused.
    """
    with database.read() as session:
        require_user(session, user_id)
        lines = []
        for project in session.scalars(select(Project).where(Project.closed_at.is_(None)).order_by(Project.id.desc())):
            member = session.get(Member, (project.id, user_id))
            nobody = Member(project_id=project.id, user_id=user_id, answered=0)
            lines.append(
                ProjectLine(project.id, project.name, project.mode, progress_of(session, project, member or nobody))
            )
        return lines
