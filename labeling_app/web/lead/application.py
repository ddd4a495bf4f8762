"""The application under /lead. `SessionGuard` has let a person in; here only leads pass, to whatever address."""

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from labeling_app.accounts.sessions import Person
from labeling_app.store import Database
from labeling_app.store.tables import Role
from labeling_app.web.html import sentence
from labeling_app.web.lead.frame import error_page, status_of
from labeling_app.web.lead.registry import PAGES
from labeling_app.web.lead.uploads import Uploads
from labeling_app.web.security import App, Receive, Scope, Send
from rlhf.errors import RlhfError

HEADINGS = {400: "This can't be", 403: "Not allowed", 404: "Not found", 405: "Not found", 503: "Not now"}


class LeadGuard:
    """Refuses everybody but leads before anything of the request is read, so that no route can forget it."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        person: Person | None = scope.get("state", {}).get("person")
        if scope["type"] == "http" and (person is None or person.role is not Role.lead):
            text = "These pages are for leads. Ask one of them to do it, or to make you one."
            await error_page(403, HEADINGS[403], text, "/app/", "To your work")(scope, receive, send)
            return
        await self.app(scope, receive, send)


def lead_pages(database: Database) -> FastAPI:
    """All pages of the lead."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, middleware=[Middleware(LeadGuard)])
    app.state.database, app.state.pages, app.state.uploads = database, PAGES, Uploads()
    for one in PAGES:
        app.include_router(one.router)
    app.add_exception_handler(RlhfError, _refused)
    app.add_exception_handler(HTTPException, _not_there)
    app.add_exception_handler(Exception, _broken)
    return app


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RlhfError)
    status = status_of(error)
    return error_page(status, HEADINGS[status], f"{error.message} {sentence(error.remedy)}".strip())


def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status in (404, 405):
        return error_page(status, HEADINGS[404], "There is no such page.")
    return error_page(status, HEADINGS[400], "What was sent can't be read. Go back, and try again.")


def _broken(request: Request, error: Exception) -> Response:
    """The server's log has the rest."""
    return error_page(
        500, "This went wrong", "It is the server's fault, and is in its log. Look what was done, and try again."
    )
