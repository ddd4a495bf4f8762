"""Two transactions of PostgreSQL's that meet: the one begins while the other holds what it wants."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

from labeling_app.store import Database

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
LONGEST_SECONDS = 120
Result = TypeVar("Result")


def meet(database: Database, first: Callable[[Session], Any], then: Callable[[], Result]) -> Result:
    """Commit what `first` does only when `then`, which has begun in the meantime, waits for it; what `then` returns."""
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            first(session)
            session.flush()
            running = pool.submit(then)
            until_waiting(database, running)
        return running.result(LONGEST_SECONDS)


def until_waiting(database: Database, running: "Future[Any]") -> None:
    """Return when somebody waits for a lock, or `running` has ended and waits for nothing."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not running.done():
        with database.read() as session:
            if session.scalar(WAITING):
                return
        if time.monotonic() > deadline:
            raise TimeoutError("nobody waits for a lock")
        time.sleep(0.01)
