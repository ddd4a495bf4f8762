"""The application: coming in and going out by FastAPI, the work by the Gradio app that is mounted at /app."""

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated

# Before Gradio is imported: it phones home by default.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# After each event it makes statistics of up to 10,000 earlier ones, for a page that we don't show: an event takes the
# longer, the longer the server runs.
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**9)
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"

import gradio as gr
from fastapi import FastAPI, Form, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import text
from starlette.middleware import Middleware

from labeling_app.accounts import browsers, invitations, sessions
from labeling_app.accounts.passwords import SHORTEST
from labeling_app.accounts.sessions import Person
from labeling_app.errors import LabelingError, NotAllowed, NotFound, Refused, Throttled, Unavailable
from labeling_app.store import Database
from labeling_app.store.tables import Role
from labeling_app.web.html import page, sentence
from labeling_app.web.lead import lead_pages
from labeling_app.web.lead.uploads import LARGEST_UPLOAD, PATH
from labeling_app.web.not_now import NotNow
from labeling_app.web.own_queue import OwnQueue
from labeling_app.web.pages import build, head, theme
from labeling_app.web.security import (
    BROWSER_COOKIE,
    COOKIE,
    BodyLimit,
    OriginGuard,
    ProtectiveHeaders,
    SessionGuard,
    token_of,
)
from labeling_app.web.used_routes import UsedRoutes

HERE = Path(__file__).parent


def create_app(
    database: Database, *, host: str, port: int, names: tuple[str, ...] = (), https: bool = False
) -> FastAPI:
    """The whole application.

    Args:
        database: migrated.
        host, port: where it listens.
        names: further host names by which browsers reach it, with their port where it isn't the scheme's own.
        https: whether browsers reach it by HTTPS: cookies are then sent by nothing else.
    """
    return _with_work(create_entrance(database, host=host, port=port, names=names, https=https), database)


def create_entrance(
    database: Database, *, host: str, port: int, names: tuple[str, ...] = (), https: bool = False
) -> FastAPI:
    """The application without the work at /app: coming in, going out, and the lead's pages."""
    hosts = {f"{host}:{port}", *names} | ({f"localhost:{port}", f"127.0.0.1:{port}"} if _is_local(host) else set())
    scheme = "https" if https else "http"
    # The first one stands outside.
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[
            Middleware(ProtectiveHeaders),
            Middleware(NotNow),
            Middleware(OriginGuard, hosts=hosts, scheme=scheme),
            Middleware(BodyLimit, uploads=((PATH, LARGEST_UPLOAD),)),
            Middleware(SessionGuard, database=database),
            Middleware(UsedRoutes),
            Middleware(OwnQueue),
            # Where there is one, Gradio leaves other origins to it instead of reflecting them.
            Middleware(CORSMiddleware, allow_origins=[f"{scheme}://{name}" for name in sorted(hosts)]),
        ],
    )
    app.state.database, app.state.https = database, https
    app.add_api_route("/", _to_work, methods=["GET"])
    app.add_api_route("/login", _login_page, methods=["GET"])
    app.add_api_route("/login", _log_in, methods=["POST"])
    app.add_api_route("/logout", _log_out, methods=["POST"])
    app.add_api_route("/invitation/{token}", _invitation_page, methods=["GET"])
    app.add_api_route("/invitation/{token}", _accept, methods=["POST"])
    app.add_api_route("/healthz", _health, methods=["GET"])
    app.add_api_route("/favicon.ico", lambda: FileResponse(HERE / "static" / "icon.svg"), methods=["GET"])
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.mount("/lead", lead_pages(database))
    return app


def _with_work(app: FastAPI, database: Database) -> FastAPI:
    blocks = build(database)
    blocks.queue(default_concurrency_limit=16, max_size=256, api_open=False)

    def person_of(request: Request) -> str | None:
        """The session's person, whom `SessionGuard` has let in."""
        person: Person | None = request.scope.get("state", {}).get("person")
        return None if person is None else str(person.id)

    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path="/app",
        auth_dependency=person_of,
        theme=theme(),
        head=head(),
        footer_links=[],
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
        max_file_size="1mb",
        allowed_paths=[],
        blocked_paths=[str(database.path.resolve().parent)] if database.path else [],
    )
    return mounted


def _is_local(host: str) -> bool:
    return host in ("127.0.0.1", "localhost", "::1")


def _health(request: Request) -> Response:
    """Whether the store answers, for a supervisor or a proxy."""
    try:
        with request.app.state.database.read() as session:
            session.execute(text("SELECT 1"))
    except LabelingError as error:
        return JSONResponse({"status": error.message}, status_code=503)
    return JSONResponse({"status": "ok"})


def _to_work(request: Request) -> Response:
    return RedirectResponse(_home(request.app.state.database, token_of(request.scope)), status_code=303)


def _home(database: Database, token: str | None) -> str:
    """Where somebody begins: a lead at the projects, others at their work."""
    person = sessions.user_of(database, token) if token else None
    return "/lead/" if person is not None and person.role is Role.lead else "/app/"


def _login_page(ended: bool = False) -> Response:
    return page("login", name="", message="You are logged out." if ended else "", problem=False)


def _log_in(request: Request, username: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "") -> Response:
    address = request.client.host if request.client else "unknown"
    database, browser = request.app.state.database, request.cookies.get(BROWSER_COOKIE)
    try:
        token = sessions.log_in(database, username, password, address, browser)
    except (NotAllowed, Refused) as error:
        return _not_in(error, username)
    response = RedirectResponse(_home(database, token), status_code=303)
    _set_cookie(request, response, COOKIE, token, sessions.ABSOLUTE)
    person = sessions.user_of(database, token)
    with suppress(Unavailable):  # a full disk keeps nobody out
        if person is not None:
            known = browsers.remember(database, person.id, browser)
            _set_cookie(request, response, BROWSER_COOKIE, known, browsers.REMEMBERED, path="/login")
    return response


def _not_in(error: LabelingError, username: str) -> Response:
    message = f"{error.message} {sentence(error.remedy)}"
    if not isinstance(error, Throttled):
        return page("login", 401, name=username, message=message, problem=True)
    response = page("login", 429, name=username, message=message, problem=True)
    response.headers["retry-after"] = str(error.seconds)
    return response


def _set_cookie(
    request: Request, response: Response, name: str, value: str, lifetime: timedelta, path: str = "/"
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(lifetime.total_seconds()),
        path=path,
        httponly=True,
        samesite="strict",
        secure=request.app.state.https,
    )


def _log_out(request: Request) -> Response:
    token = token_of(request.scope)
    if token:
        sessions.log_out(request.app.state.database, token)
    response = RedirectResponse("/login?ended=true", status_code=303)
    response.delete_cookie(COOKIE)
    return response


def _invitation_page(request: Request, token: str) -> Response:
    try:
        name = invitations.look(request.app.state.database, token)
    except NotFound as error:
        return _no_invitation(error)
    return page("invitation", name=name, shortest=SHORTEST, message="")


def _accept(
    request: Request,
    token: str,
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    database = request.app.state.database
    try:
        name = invitations.look(database, token)
        if password != again:
            raise Refused("The two passwords differ.", remedy="type the same one twice.")
        invitations.accept(database, token, password)
    except NotFound as error:
        return _no_invitation(error)
    except Refused as error:
        message = f"{error.message} {sentence(error.remedy)}"
        return page("invitation", 400, name=name, shortest=SHORTEST, message=message)
    return page(
        "notice",
        heading="Your password is set",
        text=f"Log in as {name} from now on.",
        link="/login",
        action="Log in",
    )


def _no_invitation(error: NotFound) -> Response:
    return page(
        "notice",
        404,
        heading="No such link",
        text=f"{error.message} {sentence(error.remedy)}",
        link="/login",
        action="Log in",
    )
