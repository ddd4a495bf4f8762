"""Items: what a project has, and the import in two steps, a look and a word."""

import io
from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from labeling_app.accounts.people import list_people
from labeling_app.errors import Refused
from labeling_app.lead import imports, projects
from labeling_app.lead.effort import estimate
from labeling_app.lead.preview import Preview, preview
from labeling_app.settings import ProjectSettings
from labeling_app.store.tables import ItemKind, Role
from labeling_app.web.lead.fields import LARGEST_FIELD, Form, Sent
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, done, show
from labeling_app.web.lead.uploads import LARGEST_UPLOAD, Uploads, Waiting, pasted_name
from rlhf.data.files import READERS
from rlhf.errors import RlhfError

router = APIRouter()

SHOWN_PROBLEMS = 100


@router.get("/projects/{project}/items")
def items(visit: ProjectPage) -> Response:
    return _items(visit, Form())


@router.post("/projects/{project}/items/upload")
def upload(visit: ProjectPage, sent: Sent) -> Response:
    """Keep a file, and lead to the page that says what is in it."""
    try:
        kind = _kind(sent.text("kind"))
        chosen, text = sent.files.get("file"), sent.text("text")
        if chosen is None and not text.strip():
            raise Refused("There is no file and no text.", remedy="choose a file, or paste rows.")
        name = (chosen.filename or "") if chosen else pasted_name(text)
        content = chosen.file if chosen else io.BytesIO(text.encode("utf-8", "replace"))
        now = visit.database.now()
        waiting = _uploads(visit).keep(visit.actor, visit.project.id, kind, name, content, now)
    except RlhfError as error:
        return _items(visit, sent, error)
    return RedirectResponse(_address(visit, waiting), status_code=303)


@router.get("/projects/{project}/items/waiting/{token}")
def look(visit: ProjectPage, token: str) -> Response:
    """What an import would do."""
    return _look(visit, _find(visit, token))


@router.post("/projects/{project}/items/waiting/{token}")
def confirm(visit: ProjectPage, token: str, sent: Sent) -> Response:
    """Import what was looked at, or let it go."""
    waiting = _find(visit, token)
    if sent.text("do") != "import":
        _uploads(visit).drop(waiting)
        return done(visit, visit.address("items"), "Nothing was imported.")
    try:
        report = imports.import_items(
            visit.database,
            visit.actor,
            visit.project.id,
            waiting.file,
            kind=waiting.kind,
            skip_bad=sent.ticked("skip_bad"),
        )
    except RlhfError as error:
        return _look(visit, waiting, error)
    _uploads(visit).drop(waiting)
    left_out = len({problem.place for problem in report.problems})
    words = [f"{report.added:,} {'item' if report.added == 1 else 'items'} added"]
    words += [f"{report.known:,} were there already"] if report.known else []
    words += [f"{left_out:,} bad rows left out"] if left_out else []
    return done(visit, visit.address("items"), f"{', '.join(words)}.")


def _items(visit: ProjectVisit, form: Form, error: RlhfError | None = None) -> Response:
    summary = next(one for one in projects.list_projects(visit.database, visit.actor) if one.id == visit.project.id)
    return show(
        visit,
        "items",
        form=form,
        error=error,
        summary=summary,
        **_effort(visit, summary.work, summary.settings),
        largest=LARGEST_UPLOAD,
        largest_text=LARGEST_FIELD // 4,
        suffixes=[*READERS, ".gz"],
    )


def _look(visit: ProjectVisit, waiting: Waiting, error: RlhfError | None = None) -> Response:
    try:
        found = preview(visit.database, visit.actor, visit.project.id, waiting.file, waiting.kind)
    except RlhfError as problem:
        _uploads(visit).drop(waiting)
        return _items(visit, Form(), _told(problem, waiting))
    settings = projects.project_settings(visit.database, visit.actor, visit.project.id)
    work = found.fresh if waiting.kind is ItemKind.work else 0
    return show(
        visit,
        "items_look",
        error=_told(error, waiting) if error else None,
        status=400 if found.problems else 200,
        waiting=waiting,
        found=found,
        problems=_problems(found, waiting),
        hidden=max(0, len(found.problems) - SHOWN_PROBLEMS),
        **_effort(visit, work, settings),
        settings=settings,
        address=_address(visit, waiting),
    )


def _problems(found: Preview, waiting: Waiting) -> list[dict[str, Any]]:
    """The findings as rows of a table."""
    return [
        {
            "place": f"{one.place.unit} {one.place.number:,}" if one.place else "",
            "field": one.field,
            "message": waiting.without_folder(one.message),
        }
        for one in found.problems[:SHOWN_PROBLEMS]
    ]


def _told(error: RlhfError, waiting: Waiting) -> RlhfError:
    """The error with the file's own name in the place of ours."""
    told = waiting.without_folder
    problems = [told(problem) for problem in error.problems]
    return type(error)(told(error.message), remedy=told(error.remedy), problems=problems)


def _effort(visit: ProjectVisit, work: int, settings: ProjectSettings) -> dict[str, Any]:
    """The effort of so many items, and among how many: all who label, or as many as an item needs."""
    lines = list_people(visit.database, visit.actor)
    able = sum(1 for one in lines if one.role is Role.annotator and one.paused_reason is None)
    among = max(able, settings.overlap)
    return {"effort": estimate(work, settings, among), "among": among}


def _kind(text: str) -> ItemKind:
    try:
        return ItemKind(text or "work")
    except ValueError:
        raise Refused(f"There is no kind {text[:40]!r}.", remedy=f"use one of {', '.join(ItemKind)}.") from None


def _uploads(visit: ProjectVisit) -> Uploads:
    uploads: Uploads = visit.request.app.state.uploads
    return uploads


def _find(visit: ProjectVisit, token: str) -> Waiting:
    return _uploads(visit).find(visit.actor, visit.project.id, token, visit.database.now())


def _address(visit: ProjectVisit, waiting: Waiting) -> str:
    return visit.address(f"items/waiting/{waiting.token}")
