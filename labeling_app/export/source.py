"""The app as a source of labels for recipes: `--dataset_name labeling_app:labels.db`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labeling_app.errors import Unavailable
from labeling_app.export.labels import project_rows
from labeling_app.export.options import ExportOptions
from labeling_app.store import Database
from labeling_app.store.database import as_url
from labeling_app.store.tables import Project
from rlhf.data import Place, Problem, Row
from rlhf.data.validate import check_row
from rlhf.errors import DataError


class StoredLabels:
    """The labels of one project, as an export by majority has them.

    Attributes:
        url: of the database. name: the same without its password, for messages. project: whose labels.
    """

    def __init__(self, url: str, project: str | None = None):
        self.url = url
        self.name = as_url(url).render_as_string(hide_password=True)
        self.project = project
        with self._reading() as (_, found):
            self.project = found.name

    def comparisons(self) -> Iterator[Row | list[Problem]]:
        """Every judged pair as a preference or tie row."""
        with self._reading() as (session, project):
            place = f"{self.name}#{project.name}"
            for number, fields in enumerate(project_rows(session, project, ExportOptions()), start=1):
                yield check_row(fields, "preference" if "chosen" in fields else "tie", Place(place, number, "row"))

    def files(self) -> list[Path]:
        """The SQLite file; none for a server."""
        database = as_url(self.url)
        return [Path(str(database.database))] if database.get_backend_name() == "sqlite" else []

    @contextmanager
    def _reading(self) -> Iterator[tuple[Session, Project]]:
        database = Database(self.url)
        if database.path is not None and not database.path.is_file():  # SQLite would make it
            raise DataError(f"There is no database {database.path}.", remedy="name the file that the app serves.")
        try:
            with database.read() as session:
                yield session, self._find(session)
        except (DBAPIError, Unavailable) as error:
            raise DataError(
                f"{self.name} can't be read as a database of the labeling app: {_first_line(error)}",
                remedy="name the database that the app serves.",
            ) from error
        finally:
            database.close()

    def _find(self, session: Session) -> Project:
        projects: dict[str, Any] = {one.name: one for one in session.scalars(select(Project).order_by(Project.id))}
        if self.project is None and len(projects) == 1:
            return next(iter(projects.values()))  # type: ignore[no-any-return]
        if self.project not in projects:
            wanted = f"no project {self.project!r}" if self.project else f"{len(projects)} projects"
            raise DataError(
                f"{self.name} has {wanted}.",
                problems=list(projects),
                remedy="name one that is listed, as in labels.db#PROJECT.",
            )
        return projects[self.project]  # type: ignore[no-any-return]


def open_labels(argument: str) -> StoredLabels:
    """The labels of a SQLite file or database URL, with `#PROJECT` behind it where there are several projects.

    Raises:
        DataError: there is no such database or project.
        ConfigError: the URL can't be used.
    """
    url, _, project = argument.partition("#")
    return StoredLabels(url, project or None)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
