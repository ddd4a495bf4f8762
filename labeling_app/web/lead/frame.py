"""What all pages of the lead share: who asks, of which project, the layout, and how errors and successes are said."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from labeling_app.accounts.sessions import Person
from labeling_app.errors import NotAllowed, NotFound, Unavailable
from labeling_app.lead.projects import ProjectName, project_names
from labeling_app.store import Database
from labeling_app.web.html import page
from labeling_app.web.lead import flash, texts  # noqa: F401, the filters of the templates
from labeling_app.web.lead.fields import Form
from rlhf.errors import SHOWN_PROBLEMS, RlhfError

ROOT = "/lead"


@dataclass(frozen=True)
class Visit:
    """A lead's request. `projects` are all that there are, the newest first."""

    request: Request
    database: Database
    person: Person
    projects: list[ProjectName]

    @property
    def actor(self) -> int:
        """Who acts, for the verbs."""
        return self.person.id


@dataclass(frozen=True)
class ProjectVisit(Visit):
    """A lead's request to a page of a project."""

    project: ProjectName

    def address(self, path: str = "") -> str:
        """Of a page of this project: `address("items")`."""
        return project_address(self.project.id, path)


def project_address(project_id: int, path: str = "") -> str:
    """Of a page of a project."""
    return f"{ROOT}/projects/{project_id}/{path}"


def _visit(request: Request) -> Visit:
    database, person = request.app.state.database, request.state.person
    return Visit(request, database, person, project_names(database, person.id))


AnyVisit = Annotated[Visit, Depends(_visit)]


def _project_visit(visit: AnyVisit, project: str) -> ProjectVisit:
    found = [one for one in visit.projects if str(one.id) == project]
    if not found:
        raise NotFound("There is no such project.", remedy="choose one from the list.")
    return ProjectVisit(visit.request, visit.database, visit.person, visit.projects, found[0])


# What a page's function asks for; its path names the project: "/projects/{project}/items".
AnyPage = AnyVisit
ProjectPage = Annotated[ProjectVisit, Depends(_project_visit)]


def show(
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    error: RlhfError | None = None,
    form: Form | None = None,
    **values: Any,
) -> Response:
    """A page in the layout.

    Args:
        template: its name under templates/lead.
        error: said on top, with cause, findings and remedy; gives the status.
        form: what the fields of a form hold: what was sent, where that was refused.
        values: of the template.
    """
    said = flash.said(visit.request)
    project = visit.project if isinstance(visit, ProjectVisit) else None
    response = page(
        f"lead/{template}",
        status_of(error) if error else status,
        visit=visit,
        project=project,
        tabs=_tabs(visit.request, project),
        top=_tabs(visit.request, None),
        said=said,
        error=error,
        shown_problems=SHOWN_PROBLEMS,
        form=form or Form(),
        **values,
    )
    if flash.COOKIE in visit.request.cookies:
        flash.done_saying(response)
    return response


def done(visit: Visit, address: str, message: str) -> Response:
    """After a change: the page to look at next, which says once what was done. A reload there does nothing again."""
    response = RedirectResponse(address, status_code=303)
    flash.say(visit.request, response, message)
    return response


def status_of(error: RlhfError) -> int:
    """The status of a page that says this error."""
    if isinstance(error, NotAllowed):
        return 403
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, Unavailable) else 400


def error_page(
    status: int, heading: str, text: str, link: str = ROOT + "/", action: str = "To the projects"
) -> HTMLResponse:
    """A page of its own for what can't be shown in the layout."""
    return page("notice", status, heading=heading, text=text, link=link, action=action)


@dataclass(frozen=True)
class ShownTab:
    """A link of the navigation."""

    title: str
    address: str
    current: bool


def _tabs(request: Request, project: ProjectName | None) -> list[ShownTab]:
    path, tabs = request.url.path, []
    for one in request.app.state.pages:
        if one.title and one.of_project == (project is not None):
            address = project_address(project.id, one.path) if project else f"{ROOT}/{one.path}"
            below = bool(one.path) and path.startswith(f"{address}/")
            tabs.append(ShownTab(one.title, address, path == address or below))
    return tabs
