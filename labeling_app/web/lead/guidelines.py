"""Guidelines: written with a preview, published as a version, compared with another one."""

from fastapi import APIRouter
from fastapi.responses import Response

from labeling_app.lead import guidelines
from labeling_app.lead.wording import by_words
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, done, show
from rlhf.errors import RlhfError

router = APIRouter()


@router.get("/projects/{project}/guidelines")
def listed(visit: ProjectPage) -> Response:
    return _page(visit)


@router.post("/projects/{project}/guidelines")
def publish(visit: ProjectPage, sent: Sent) -> Response:
    """A new version, or a look at it."""
    text = sent.text("text")
    if sent.text("do") == "preview":
        return _page(visit, sent, preview=text)
    try:
        version = guidelines.publish(visit.database, visit.actor, visit.project.id, text)
    except RlhfError as error:
        return _page(visit, sent, error=error)
    said = f"Version {version} is published. Everybody is asked to agree to it before their next item."
    return done(visit, visit.address("guidelines"), said)


@router.get("/projects/{project}/guidelines/difference")
def difference(visit: ProjectPage, old: str = "", new: str = "") -> Response:
    """What changed from one version to another."""
    numbers = Form({"old": old, "new": new})
    before, after = numbers.number("old") or 0, numbers.number("new") or 0
    lines = guidelines.difference(visit.database, visit.actor, visit.project.id, before, after)
    return show(visit, "guidelines_difference", lines=by_words(lines), old=before, new=after)


def _page(
    visit: ProjectVisit, form: Form | None = None, *, error: RlhfError | None = None, preview: str = ""
) -> Response:
    versions = guidelines.versions(visit.database, visit.actor, visit.project.id)
    newest = versions[0].text if versions else ""
    return show(
        visit,
        "guidelines",
        form=form or Form({"text": newest}),
        error=error,
        versions=versions,
        preview=preview,
        longest=guidelines.LONGEST_GUIDELINES,
    )
