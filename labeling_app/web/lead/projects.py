"""The list of projects, and the page that begins one."""

from fastapi import APIRouter
from fastapi.responses import Response

from labeling_app.lead import projects
from labeling_app.lead.guidelines import LONGEST_GUIDELINES
from labeling_app.settings import Mode, ProjectSettings
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import AnyPage, Visit, done, project_address, show
from labeling_app.web.lead.settings_form import MOST_AXES, form_of, settings_from
from rlhf.errors import RlhfError

router = APIRouter()

EXAMPLE = """# Which response is better?

You see a prompt with two responses. Say which one **helps more**, and how much.

- Judge what is said, not how long it is.
- If both are equally good, say *equal*. If neither can be used, say *both bad*.
- If you can't tell, skip it and say why.
"""


@router.get("/")
def listed(visit: AnyPage) -> Response:
    return show(visit, "projects", projects=projects.list_projects(visit.database, visit.actor))


@router.get("/projects/new")
def new(visit: AnyPage) -> Response:
    return _new(visit, form_of(ProjectSettings(overlap=2), guidelines=EXAMPLE))


@router.post("/projects/new")
def begin(visit: AnyPage, sent: Sent) -> Response:
    try:
        settings = settings_from(sent, ProjectSettings())
        mode: Mode = "ranking" if sent.text("mode") == "ranking" else "comparison"
        name, text = sent.text("name").strip(), sent.text("guidelines")
        number = projects.create_project(visit.database, visit.actor, name, mode, settings, text)
    except RlhfError as error:
        return _new(visit, sent, error)
    return done(visit, project_address(number, "items"), f"“{name}” is begun. Import its items.")


def _new(visit: Visit, form: Form, error: RlhfError | None = None) -> Response:
    return show(
        visit,
        "project_new",
        form=form,
        error=error,
        longest_name=projects.LONGEST_NAME,
        longest_guidelines=LONGEST_GUIDELINES,
        most_axes=MOST_AXES,
    )
