"""The export: one folder with what people said, as training data, and a manifest of how it came about.

preferences.jsonl   comparisons with a winner, for a reward model or DPO
ties.jsonl          ties and "both bad", which a pairwise loss can't use
edits.jsonl         edited > chosen, and edited > rejected
safety.jsonl        responses that were marked as unsafe
labels.jsonl        every single judgement that counts, pseudonymous
manifest.json       guidelines, sampling, aggregation, what was left out and why, checksums
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

import rlhf
from labeling_app.access import require_lead
from labeling_app.accounts import audit
from labeling_app.export.aggregate import Aggregator, Majority, Weighted
from labeling_app.export.collect import Judged, Tally, judged_items
from labeling_app.export.folder import JsonLines, write_manifest, written_aside
from labeling_app.export.options import ExportOptions, ExportReport
from labeling_app.export.rows import comparison_rows, edit_rows, label_rows, safety_rows
from labeling_app.lookup import find_project, settings_of
from labeling_app.store import Database
from labeling_app.store.tables import Guideline, Project

FILES = ("preferences", "ties", "edits", "safety", "labels")


def export_labels(
    database: Database,
    actor_id: int | None,
    project_id: int,
    folder: str | Path,
    options: ExportOptions | None = None,
) -> ExportReport:
    """Write a project's labels to a new folder.

    Gold and qualification items, hidden repeats, superseded revisions, skips, withheld people and, unless they are
    asked for, late judgements are left out, and counted. A lead's decision takes precedence over what others said.

    Raises:
        NotAllowed, NotFound: as everywhere.
        Refused: the folder holds something already, or can't be written.
    """
    options, target = options or ExportOptions(), Path(folder)
    with database.read() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id)
        aggregator = aggregator_for(session, project_id, options)
        with written_aside(target, options.overwrite) as aside:
            tally = Tally()
            files = _write(aside, judged_items(session, project_id, options, tally), aggregator, project, tally)
            manifest = _manifest(session, database, project, options, aggregator, tally, files)
            write_manifest(aside, manifest)
    rows = {name: one["rows"] for name, one in files.items()}
    with database.write() as session:
        audit.record(session, database.now(), actor_id, "labels.export", project=project_id, rows=rows)
    return ExportReport(target, rows, dict(tally.left_out), manifest)


def aggregator_for(session: Session, project_id: int, options: ExportOptions) -> Aggregator:
    """How votes become verdicts; a model of the annotators is fitted to all of them first."""
    if options.aggregation == "majority":
        return Majority()
    return Weighted(judged_items(session, project_id, options, Tally()))


def project_rows(session: Session, project: Project, options: ExportOptions) -> Iterator[dict[str, Any]]:
    """Every comparison of a project as a preference or tie row."""
    aggregator = aggregator_for(session, project.id, options)
    for item in judged_items(session, project.id, options, Tally()):
        yield from comparison_rows(item, aggregator, source_of(project))


def source_of(project: Project) -> str:
    """What rows say of where they come from."""
    return f"labeling app, {project.name}"


def _write(
    aside: Path, items: Iterable[Judged], aggregator: Aggregator, project: Project, tally: Tally
) -> dict[str, dict[str, Any]]:
    source = source_of(project)
    with ExitStack() as opened:
        files = {name: opened.enter_context(JsonLines(aside / f"{name}.jsonl")) for name in FILES}
        for item in items:
            for row in comparison_rows(item, aggregator, source):
                files["preferences" if "chosen" in row else "ties"].write(row)
            for name, rows in (
                ("edits", edit_rows(item, aggregator, source, tally.left_out)),
                ("safety", safety_rows(item, source)),
                ("labels", label_rows(item)),
            ):
                for row in rows:
                    files[name].write(row)
    return {f"{name}.jsonl": file.describe() for name, file in files.items()}


def _manifest(
    session: Session,
    database: Database,
    project: Project,
    options: ExportOptions,
    aggregator: Aggregator,
    tally: Tally,
    files: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    settings = settings_of(project)
    return {
        "format": 1,
        "app_version": rlhf.__version__,
        "exported_at": database.now().isoformat(),
        "project": {"name": project.name, "mode": project.mode, "created_at": project.created_at.isoformat()},
        "guidelines": _guidelines(session, project.id, tally),
        "sampling": {
            "overlap": settings.overlap,
            "gold_share": settings.gold_share,
            "repeat_share": settings.repeat_share,
            "seed": settings.seed,
            "order": "drawn by the server for each assignment, and kept with it",
        },
        "settings": settings.model_dump(mode="json"),
        "options": options.model_dump(mode="json", exclude={"overwrite"}),
        "aggregation": aggregator.describe(),
        "annotators": dict(sorted(tally.by_annotator.items())),
        "left_out": dict(sorted(tally.left_out.items())),
        "files": files,
    }


def _guidelines(session: Session, project_id: int, tally: Tally) -> list[dict[str, Any]]:
    """The versions by which somebody judged, with the checksums of their texts."""
    query = select(Guideline).where(Guideline.project_id == project_id).order_by(Guideline.version)
    return [
        {
            "version": one.version,
            "published_at": one.created_at.isoformat(),
            "sha256": hashlib.sha256(one.text.encode()).hexdigest(),
            "labels": tally.by_guideline[one.version],
        }
        for one in session.scalars(query)
        if tally.by_guideline[one.version]
    ]
