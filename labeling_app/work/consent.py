"""The guidelines, and who has agreed to which version of them."""

from dataclasses import dataclass

from labeling_app.access import require_user
from labeling_app.differences import Line, lines_between
from labeling_app.errors import NotFound, Refused
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.adding import added
from labeling_app.store.retrying import retried
from labeling_app.store.tables import Consent, Guideline
from labeling_app.work.seats import agreement, last_agreed


@dataclass(frozen=True)
class Guidelines:
    """The newest version, in Markdown; `consented` says whether this person has agreed to it."""

    id: int
    version: int
    text: str
    consented: bool


def current_guidelines(database: Database, user_id: int, project_id: int) -> Guidelines:
    """The newest version.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: there is no such project, or it has no guidelines.
    """
    with database.read() as session:
        require_user(session, user_id)
        project = find_project(session, project_id)
        newest, version, consented = agreement(session, user_id, project.id)
        if newest is None:
            raise NotFound("This project has no guidelines.", remedy="ask the lead.")
        return Guidelines(newest, version, session.get_one(Guideline, newest).text, consented)


def changes_since(database: Database, user_id: int, project_id: int) -> list[Line]:
    """What is new in the guidelines since the version that this person agreed to last; nothing where there was none.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: there is no such project.
    """
    with database.read() as session:
        require_user(session, user_id)
        project = find_project(session, project_id)
        newest, old = agreement(session, user_id, project.id)[0], last_agreed(session, user_id, project.id)
        if newest is None or old is None:
            return []
        return lines_between(session.get_one(Guideline, old).text, session.get_one(Guideline, newest).text)


@retried
def consent(database: Database, user_id: int, guideline_id: int) -> None:
    """Agree to the version that was read; once is enough.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: there is no such version.
        Refused: there is a newer one.
    """
    with database.write() as session:
        require_user(session, user_id)
        guideline = session.get(Guideline, guideline_id)
        if guideline is None:
            raise NotFound("There are no such guidelines.", remedy="load the page again.")
        if agreement(session, user_id, guideline.project_id)[0] != guideline.id:
            raise Refused("There is a newer version of the guidelines.", remedy="read that one.")
        if session.get(Consent, (user_id, guideline_id)) is None:
            added(session, Consent(user_id=user_id, guideline_id=guideline_id, at=database.now()))
