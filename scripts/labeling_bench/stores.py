"""A store of a size to measure, and the disk beneath it."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from labeling_app.accounts.invitations import accept, invite
from labeling_app.accounts.people import create_person
from labeling_app.lead.imports import import_items
from labeling_app.lead.projects import create_project
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from labeling_app.store.tables import Role
from labeling_app.work.consent import consent, current_guidelines

TEXT = (
    "A response of about twenty words, which is what people compare in the default task, and long enough to be read. "
)


def rows(items: int) -> Iterator[dict[str, Any]]:
    """So many comparisons, which all differ."""
    return ({"prompt": f"Prompt {i}", "responses": [f"{TEXT}{i}.a", f"{TEXT}{i}.b"]} for i in range(items))


def filled(
    file: Path, items: int, names: Sequence[str], *, overlap: int = 3, password: str | None = None
) -> tuple[Database, int, list[int]]:
    """A SQLite store with a project of so many items, and people who have agreed to its guidelines."""
    database = Database(str(file))
    migrate(database)
    settings = ProjectSettings(overlap=overlap)
    project = create_project(database, None, f"{items} items", "comparison", settings, "Say which is better.")
    import_items(database, None, project, rows(items))
    users = [create_person(database, None, name, Role.annotator) for name in names]
    for user in users:
        consent(database, user, current_guidelines(database, user, project).id)
        if password is not None:
            accept(database, invite(database, None, user), password)
    return database, project, users


def fsync_milliseconds(folder: Path, times: int = 50) -> float:
    """The median time that the disk takes to make 4 KiB durable."""
    taken = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e3
