"""Many annotators at once, each a thread, who note what the store has acknowledged."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import func, select

from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AssignmentStatus, Item, Label
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Idle


@dataclass
class Crowd:
    """What a crowd did.

    Attributes:
        acknowledged: submission ids whose answer the store has confirmed.
        handed: (person, prompt) for every item that was handed out.
        most_held: the most people who were seen to hold or have answered one item at once.
        errors: whatever went wrong.
    """

    database: Database
    project: int
    acknowledged: list[str] = field(default_factory=list)
    handed: Counter[tuple[int, str]] = field(default_factory=Counter)
    most_held: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def work(self, users: list[int], answers_each: int = 10**9) -> None:
        """Let everybody work at once until nothing is left for them, while somebody watches."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        workers = [threading.Thread(target=self.guarded, args=(user, answers_each)) for user in users]
        watcher.start()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        done.set()
        watcher.join()

    def guarded(self, user: int, answers_each: int) -> None:
        try:
            self._annotate(user, answers_each)
        except BaseException as error:
            self.errors.append(error)

    def _annotate(self, user: int, answers_each: int) -> None:
        for _ in range(answers_each):
            task = next_task(self.database, user, self.project)
            if isinstance(task, Idle):
                return
            self.handed[user, task.prompt] += 1
            name = f"{user}-{task.assignment_id}"
            submit(self.database, user, task.assignment_id, {"kind": "choice", "strength": 1}, name, seconds=1)
            self.acknowledged.append(name)

    def _watch(self, done: threading.Event) -> None:
        """Look at the store again and again: is an item in more hands than it may be?"""
        taken = Assignment.status.in_((AssignmentStatus.open, AssignmentStatus.done))
        most = select(func.count().label("n")).where(taken).group_by(Assignment.item_id).subquery()
        while not done.is_set():
            with self.database.read() as session:
                self.most_held = max(self.most_held, session.scalar(select(func.max(most.c.n))) or 0)
            done.wait(0.05)


def stored(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Label.submission_id)))


def check_whole(database: Database, overlap: int) -> None:
    """Every item was judged by exactly as many different people as it should be, and its slots say so."""
    with database.read() as session:
        judged = session.execute(
            select(Label.item_id, func.count(), func.count(Label.user_id.distinct())).group_by(Label.item_id)
        ).all()
        assert {(labels, persons) for _, labels, persons in judged} == {(overlap, overlap)}
        assert len(judged) == session.scalar(select(func.count()).select_from(Item))
        assert set(session.scalars(select(Item.open_slots))) == {0}
