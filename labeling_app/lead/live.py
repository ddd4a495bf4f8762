"""Figures for pages that are looked at again and again: computed when something has changed, and not too often."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy import func, select

from labeling_app.access import require_lead
from labeling_app.lead.figures import Dashboard, dashboard
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.tables import AuditEntry, Item, Label

AT_MOST_EVERY = timedelta(seconds=10)
PROJECTS_KEPT = 20
Made = TypeVar("Made")
# What figures depend on: the newest judgement, the newest action of a lead, the newest item and how many judgements are
# wanted (an import is one action, however long it goes on), and the day.
Mark = tuple[int | None, int | None, int | None, int, date]


@dataclass
class _Kept(Generic[Made]):
    """What was made of a project's figures, and when. The lock lets one make it, and the others wait for that."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: Made | None = None
    mark: Mark | None = None
    at: datetime | None = None


class LiveFigures(Generic[Made]):
    """Keeps what a page makes of each project's figures.

    Args:
        make: from the figures to what is kept, such as the plots that are drawn of them.
    """

    def __init__(self, make: Callable[[Dashboard], Made]):
        self._make = make
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], _Kept[Made]] = {}

    def of(self, database: Database, actor_id: int | None, project_id: int) -> tuple[Made, datetime]:
        """What is made of a project's figures, and of when it is: now, or at most ten seconds ago.

        Raises:
            NotAllowed: the person is no lead, or paused.
            NotFound: there is no such project.
        """
        mark = self._mark(database, actor_id, project_id)
        kept = self._of(str(database.url), project_id)
        with kept.lock:
            now = database.now()
            fresh = kept.at is not None and timedelta() <= now - kept.at < AT_MOST_EVERY
            if kept.made is None or kept.at is None or (kept.mark != mark and not fresh):
                kept.made = self._make(dashboard(database, actor_id, project_id))
                kept.mark, kept.at = mark, now
            return kept.made, now if kept.mark == mark else kept.at

    def _of(self, url: str, project_id: int) -> _Kept[Made]:
        with self._lock:
            kept = self._kept.pop((url, project_id), None) or _Kept()
            self._kept[url, project_id] = kept  # at the end: those that nobody looks at are forgotten first
            while len(self._kept) > PROJECTS_KEPT:
                self._kept.pop(next(iter(self._kept)))
            return kept

    def _mark(self, database: Database, actor_id: int | None, project_id: int) -> Mark:
        with database.read() as session:
            require_lead(session, actor_id)
            wanted = find_project(session, project_id).slots_total
            label = session.scalar(select(func.max(Label.id)).where(Label.project_id == project_id))
            action, item = (session.scalar(select(func.max(table.id))) for table in (AuditEntry, Item))
            return label, action, item, wanted, database.now().date()
