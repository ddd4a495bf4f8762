"""Projects: what is asked, of how many people, by which settings."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.errors import NotFound, Refused
from labeling_app.lead.guidelines import add_version
from labeling_app.lookup import find_project, settings_of
from labeling_app.settings import Mode, ProjectSettings
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import Guideline, Item, ItemKind, Member, Project

LONGEST_NAME = 80


@dataclass(frozen=True)
class ProjectName:
    """A project, to choose it from a menu."""

    id: int
    name: str
    mode: str
    closed: bool


@dataclass(frozen=True)
class ProjectSummary:
    """A project in a lead's list.

    Attributes:
        slots_total: the judgements that are wanted.
        done: those that there are, as the counts beside the log have it.
        work, gold, qualification: its items of each kind.
        guideline_version: the newest; None where it has none.
    """

    id: int
    name: str
    mode: str
    settings: ProjectSettings
    slots_total: int
    done: int
    work: int
    gold: int
    qualification: int
    guideline_version: int | None
    created_at: datetime
    closed_at: datetime | None


def create_project(
    database: Database, actor_id: int | None, name: str, mode: Mode, settings: ProjectSettings, guidelines: str
) -> int:
    """The id of a new project, open from now on.

    Args:
        guidelines: their first version, in Markdown.

    Raises:
        Refused: the name is empty, too long or taken, the mode unknown, or the guidelines empty or too long.
    """
    name = name.strip()
    with database.write() as session:
        require_lead(session, actor_id)
        _check_name(name)
        if mode not in get_args(Mode):
            raise Refused(f"There is no mode {mode!r}.", remedy=f"use {' or '.join(get_args(Mode))}.")
        now = database.now()
        project = Project(
            name=name, mode=mode, settings=settings.model_dump(mode="json"), slots_total=0, created_at=now
        )
        _add(session, project)
        add_version(session, project.id, guidelines, actor_id, now)
        audit.record(session, now, actor_id, "project.create", project=project.id, name=name, mode=mode)
        return project.id


def list_projects(database: Database, actor_id: int | None) -> list[ProjectSummary]:
    """All projects, the newest first."""
    with database.read() as session:
        require_lead(session, actor_id)
        kinds = select(Item.project_id, Item.kind, func.count()).group_by(Item.project_id, Item.kind)
        counts = {(project, kind): count for project, kind, count in session.execute(kinds)}
        newest = select(Guideline.project_id, func.max(Guideline.version)).group_by(Guideline.project_id)
        versions = {project: version for project, version in session.execute(newest)}
        given = select(Member.project_id, func.sum(Member.done)).group_by(Member.project_id)
        done = {project: int(count) for project, count in session.execute(given)}
        return [
            ProjectSummary(
                id=project.id,
                name=project.name,
                mode=project.mode,
                settings=settings_of(project),
                slots_total=project.slots_total,
                done=done.get(project.id, 0),
                guideline_version=versions.get(project.id),
                created_at=project.created_at,
                closed_at=project.closed_at,
                **{kind.value: counts.get((project.id, kind), 0) for kind in ItemKind},
            )
            for project in session.scalars(select(Project).order_by(Project.id.desc()))
        ]


def project_names(database: Database, actor_id: int | None) -> list[ProjectName]:
    """All projects, the newest first, without their counts."""
    with database.read() as session:
        require_lead(session, actor_id)
        projects = session.scalars(select(Project).order_by(Project.id.desc()))
        return [ProjectName(one.id, one.name, one.mode, one.closed_at is not None) for one in projects]


def project_settings(database: Database, actor_id: int | None, project_id: int) -> ProjectSettings:
    """A project's settings."""
    with database.read() as session:
        require_lead(session, actor_id)
        return settings_of(find_project(session, project_id))


def project_named(database: Database, actor_id: int | None, name: str) -> int:
    """The id of a project.

    Raises:
        NotFound: no project has this name; those that there are are listed.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        ids = {project.name: project.id for project in session.scalars(select(Project).order_by(Project.id))}
        if name not in ids:
            raise NotFound(f"There is no project {name!r}.", problems=list(ids), remedy="name one of those listed.")
        return ids[name]


@retried
def change_settings(database: Database, actor_id: int | None, project_id: int, settings: ProjectSettings) -> None:
    """Change a project's settings.

    Another overlap applies to every item at once: open slots follow. Where a smaller one leaves an item with more
    judgements than wanted, its open slots are below zero, so that none of them is handed out again.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id, locked=True)
        before, after = project.settings, settings.model_dump(mode="json")
        changed = {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}
        project.settings = after
        if "overlap" in changed:
            _apply_overlap(session, project, settings.overlap)
        audit.record(session, database.now(), actor_id, "project.change", project=project_id, changed=changed)


def close(database: Database, actor_id: int | None, project_id: int) -> None:
    """Hand out nothing more. What is on people's pages can still be submitted. A second time it does nothing."""
    _set_closed(database, actor_id, project_id, True)


def reopen(database: Database, actor_id: int | None, project_id: int) -> None:
    """Hand out items again."""
    _set_closed(database, actor_id, project_id, False)


def _check_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused(
            "This is no name for a project.", remedy=f"use 1 to {LONGEST_NAME} characters that can be printed."
        )


def _add(session: Session, project: Project) -> None:
    try:
        session.add(project)
        session.flush()
    except IntegrityError:
        raise Refused(f"There is a project {project.name!r} already.", remedy="choose another name.") from None


def _apply_overlap(session: Session, project: Project, overlap: int) -> None:
    """In the order of the items' ids, as all who lock several of them do."""
    work = (Item.project_id == project.id, Item.kind == ItemKind.work)
    ids = session.scalars(select(Item.id).where(*work).order_by(Item.id).with_for_update()).all()
    values: dict[str, Any] = {"open_slots": Item.open_slots + overlap - Item.overlap, "overlap": overlap}
    session.execute(update(Item).where(*work).values(values).execution_options(synchronize_session=False))
    project.slots_total = overlap * len(ids)


@retried
def _set_closed(database: Database, actor_id: int | None, project_id: int, closed: bool) -> None:
    with database.write() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id, locked=True)
        if (project.closed_at is not None) == closed:
            return
        now = database.now()
        project.closed_at = now if closed else None
        audit.record(session, now, actor_id, "project.close" if closed else "project.reopen", project=project_id)
