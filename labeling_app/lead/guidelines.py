"""Guidelines in versions: a change asks everybody for a new consent, and exports say which version a label goes by."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.differences import Line, lines_between
from labeling_app.errors import NotFound, Refused
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.tables import Guideline, User

LONGEST_GUIDELINES = 100_000


@dataclass(frozen=True)
class Version:
    """One version. `author` is a person's name; None for the command line."""

    id: int
    version: int
    text: str
    author: str | None
    created_at: datetime


def publish(database: Database, actor_id: int | None, project_id: int, text: str) -> int:
    """The number of a new version; from now on everybody is asked for their consent to it.

    Raises:
        Refused: the text is empty, too long, or that of the newest version.
        NotFound: there is no such project.
    """
    with database.write() as session:
        require_lead(session, actor_id)
        find_project(session, project_id, locked=True)
        now = database.now()
        version = add_version(session, project_id, text, actor_id, now)
        audit.record(session, now, actor_id, "guidelines.publish", project=project_id, version=version)
        return version


def versions(database: Database, actor_id: int | None, project_id: int) -> list[Version]:
    """All versions, the newest first."""
    with database.read() as session:
        require_lead(session, actor_id)
        find_project(session, project_id)
        query = (
            select(Guideline, User.name)
            .outerjoin(User, User.id == Guideline.created_by)
            .where(Guideline.project_id == project_id)
            .order_by(Guideline.version.desc())
        )
        return [Version(one.id, one.version, one.text, name, one.created_at) for one, name in session.execute(query)]


def difference(database: Database, actor_id: int | None, project_id: int, old: int, new: int) -> list[Line]:
    """What changed from one version to another, line by line, with all that stayed.

    Raises:
        NotFound: there is no such version.
    """
    texts = {one.version: one.text for one in versions(database, actor_id, project_id)}
    if missing := [number for number in (old, new) if number not in texts]:
        raise NotFound(f"There is no version {missing[0]} of these guidelines.", remedy="choose one from the list.")
    return lines_between(texts[old], texts[new])


def add_version(session: Session, project_id: int, text: str, actor_id: int | None, now: datetime) -> int:
    """Store a further version; the caller holds the project, so that no two get one number."""
    text = text.replace("\r\n", "\n").strip()
    if not 0 < len(text) <= LONGEST_GUIDELINES:
        raise Refused(
            f"Guidelines have 1 to {LONGEST_GUIDELINES:,} characters, these have {len(text):,}.",
            remedy="say what is asked for, with examples." if not text else "shorten them.",
        )
    query = select(Guideline).where(Guideline.project_id == project_id).order_by(Guideline.version.desc()).limit(1)
    newest = session.scalar(query)
    if newest is not None and newest.text == text:
        raise Refused(
            f"This is the text of version {newest.version}.", remedy="a new version would ask for consent for nothing."
        )
    version = newest.version + 1 if newest else 1
    session.add(Guideline(project_id=project_id, version=version, text=text, created_at=now, created_by=actor_id))
    session.flush()
    return version
