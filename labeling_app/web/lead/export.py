"""Export: a project's labels as training data, in one file that is written for this download and goes with it."""

import re
import unicodedata
from collections.abc import Iterator
from typing import IO

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from labeling_app.errors import Refused
from labeling_app.export import ExportOptions
from labeling_app.export.archive import export_archive
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, show
from rlhf.errors import RlhfError

router = APIRouter()

AT_ONCE = 1 << 18


@router.get("/projects/{project}/export")
def options(visit: ProjectPage) -> Response:
    return _page(visit, Form({"min_labels": "1"}))


@router.post("/projects/{project}/export")
def download(visit: ProjectPage, sent: Sent) -> Response:
    try:
        chosen = _options(sent)
        archive, _ = export_archive(visit.database, visit.actor, visit.project.id, chosen)
    except RlhfError as error:
        return _page(visit, sent, error)
    name = f"labels-{_plain(visit.project.name)}-{visit.database.now():%Y-%m-%d}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(_parts(archive), media_type="application/zip", headers=headers)


def _options(sent: Form) -> ExportOptions:
    values = {
        "aggregation": sent.text("aggregation", "majority"),
        "include_late": sent.ticked("include_late"),
        "min_labels": sent.text("min_labels", "1").strip(),
    }
    try:
        return ExportOptions.model_validate(values)
    except ValidationError as error:
        names = {"aggregation": "How judgements become one row", "min_labels": "Judgements that an item needs"}
        problems = [f"{names[str(one['loc'][0])]}: {one['msg'].removeprefix('Input ')}" for one in error.errors()]
        raise Refused("This can't be exported so.", problems=problems, remedy="choose again.") from None


def _page(visit: ProjectVisit, form: Form, error: RlhfError | None = None) -> Response:
    return show(visit, "export", form=form, error=error)


def _parts(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        while part := archive.read(AT_ONCE):
            yield part


def _plain(name: str) -> str:
    """A name as a part of a file's name, in ASCII."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:40] or "project"
