"""A server that is going to be killed: annotators answer, and each answer that the store has committed is printed.

python -m tests.labeling_app.work.killed DATABASE_URL PROJECT ROUND USER...
"""

import sys
import threading

from labeling_app.store import Database
from labeling_app.work.claims import next_task
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Idle


def annotate(database: Database, project: int, user: int, run: str) -> None:
    while True:
        task = next_task(database, user, project)
        if isinstance(task, Idle):
            return
        name = f"{run}-{user}-{task.assignment_id}"
        submit(database, user, task.assignment_id, {"kind": "choice", "strength": 1}, name, seconds=1)
        sys.stdout.write(f"{name}\n")  # acknowledged: from here on it must not be lost
        sys.stdout.flush()


def main(url: str, project: str, run: str, *users: str) -> None:
    database = Database(url)
    threads = [threading.Thread(target=annotate, args=(database, int(project), int(user), run)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
