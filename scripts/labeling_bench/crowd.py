"""Annotators who think between two answers, each a thread, and how long the store let them wait."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from labeling_app.store import Database
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Idle
from labeling_bench.figures import Summary, summary


@dataclass
class Waits:
    """Seconds that each call took."""

    next_item: list[float] = field(default_factory=list)
    submit: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Summary]:
        """Milliseconds: the median, the 95th percentile and the longest."""
        return {"next": summary(self.next_item), "submit": summary(self.submit)}


def work(database: Database, project: int, users: Sequence[int], *, seconds: float, thinking: float) -> Waits:
    """Let everybody answer for so long. They begin one after the other, within the time that one thinks."""
    waits, end = Waits(), time.monotonic() + seconds
    threads = [
        threading.Thread(target=_annotate, args=(database, project, user, waits, end, thinking, delay))
        for user, delay in zip(users, (thinking * i / len(users) for i in range(len(users))), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waits


def _annotate(
    database: Database, project: int, user: int, waits: Waits, end: float, thinking: float, delay: float
) -> None:
    time.sleep(delay)
    while time.monotonic() < end:
        began = time.perf_counter()
        task = next_task(database, user, project)
        waits.next_item.append(time.perf_counter() - began)
        if isinstance(task, Idle):
            return
        time.sleep(thinking)
        began = time.perf_counter()
        fields = {"kind": "choice", "strength": 1}
        submit(database, user, task.assignment_id, fields, f"{user}-{task.assignment_id}", seconds=thinking)
        waits.submit.append(time.perf_counter() - began)
