"""Finding a project, and its settings, within a transaction."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from labeling_app.errors import NotFound
from labeling_app.settings import ProjectSettings
from labeling_app.store.tables import Project


def find_project(session: Session, project_id: int, *, locked: bool = False) -> Project:
    """A project, locked against other changes of it where asked for.

    Raises:
        NotFound: there is none of this id.
    """
    query = select(Project).where(Project.id == project_id)
    project = session.scalar(query.with_for_update() if locked else query)
    if project is None:
        raise NotFound("There is no such project.", remedy="choose one from the list.")
    return project


def settings_of(project: Project) -> ProjectSettings:
    """The settings of a row of the table."""
    return ProjectSettings.model_validate(project.settings)
