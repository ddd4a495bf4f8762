"""What an import would do, before it does anything."""

from dataclasses import dataclass

from labeling_app.access import require_lead
from labeling_app.lead.contents import Content, Reader
from labeling_app.lead.imports import Source, find_fresh, mode_of, read_contents
from labeling_app.lookup import find_project, settings_of
from labeling_app.store import Database
from labeling_app.store.tables import ItemKind
from rlhf.data import Problem

SAMPLES = 3


@dataclass(frozen=True)
class Preview:
    """What an import would do.

    Attributes:
        fresh: items that it would add.
        known: rows that are items of the project already, or stand twice in the source.
        judged: rows that also hold what people said of them, which would not be imported.
        bad_rows: rows that can't be imported, with all findings in `problems`.
        samples: the first of the new ones.
    """

    fresh: int
    known: int
    judged: int
    bad_rows: int
    problems: list[Problem]
    samples: list[Content]


def preview(database: Database, actor_id: int | None, project_id: int, source: Source, kind: ItemKind) -> Preview:
    """Read a source as `import_items` does, and write nothing.

    Raises:
        Refused: there are too many rows, or none.
        DataError: the source is not there, or can't be read as a whole.
    """
    with database.read() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id)
        reader = Reader(mode_of(project), settings_of(project), kind)
    contents, problems = read_contents(source, reader)
    with database.read() as session:
        fresh, clashes = find_fresh(session, project_id, contents, kind)
    problems = problems + clashes
    return Preview(
        fresh=len(fresh),
        known=len(contents) - len(fresh) - len(clashes),
        judged=sum(one.content.judged for one in contents),
        bad_rows=len({problem.place for problem in problems}),
        problems=problems,
        samples=[content for _, content in fresh[:SAMPLES]],
    )
