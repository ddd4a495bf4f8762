"""The settings of a project, and whether it is open."""

from fastapi import APIRouter
from fastapi.responses import Response

from labeling_app.lead import projects
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, done, show
from labeling_app.web.lead.settings_form import MOST_AXES, form_of, settings_from
from rlhf.errors import RlhfError

router = APIRouter()


@router.get("/projects/{project}/settings")
def settings(visit: ProjectPage) -> Response:
    return _page(visit, form_of(projects.project_settings(visit.database, visit.actor, visit.project.id)))


@router.post("/projects/{project}/settings")
def change(visit: ProjectPage, sent: Sent) -> Response:
    try:
        before = projects.project_settings(visit.database, visit.actor, visit.project.id)
        after = settings_from(sent, before)
        if after == before:
            return done(visit, visit.address("settings"), "These are the settings already; nothing was changed.")
        projects.change_settings(visit.database, visit.actor, visit.project.id, after)
    except RlhfError as error:
        return _page(visit, sent, error)
    return done(visit, visit.address("settings"), "Saved. Pages that are open follow with their next item.")


@router.post("/projects/{project}/close")
def close(visit: ProjectPage) -> Response:
    projects.close(visit.database, visit.actor, visit.project.id)
    return done(visit, visit.address("settings"), "The project is closed. What is on people's pages can still be sent.")


@router.post("/projects/{project}/reopen")
def reopen(visit: ProjectPage) -> Response:
    projects.reopen(visit.database, visit.actor, visit.project.id)
    return done(visit, visit.address("settings"), "The project is open again.")


def _page(visit: ProjectVisit, form: Form, error: RlhfError | None = None) -> Response:
    return show(visit, "settings", form=form, error=error, most_axes=MOST_AXES)
