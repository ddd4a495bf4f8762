"""What stands around the application, as ASGI middleware: it sees every request before FastAPI and Gradio do.

Gradio answers some of its routes to anybody (start-up events, its theme, a heartbeat that streams), and reflects any
origin on a host name other than localhost. So nothing under /app is reached without a session, and nothing is changed
from another origin.
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse

from labeling_app.accounts.sessions import Person, user_of
from labeling_app.store import Database
from labeling_app.web.html import page

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "session"
BROWSER_COOKIE = "browser"  # outlives sessions; lets nobody in
LARGEST_BODY = 1_000_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Pages of FastAPI's run no script at all; Gradio's run their own, which carry the nonce.
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with "no-referrer" a form would send its origin as null
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}
# Gradio makes addresses of its pages from these.
FORWARDED = frozenset({b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-forwarded-port"})
SCRIPT = re.compile(rb"<script(?=[\s>])")


def token_of(scope: Scope) -> str | None:
    """The session token of a request's cookie."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


class SessionGuard:
    """Lets nobody to the work without a session: a page leads to the login, everything else is refused."""

    def __init__(self, app: App, database: Database, guarded: tuple[str, ...] = ("/app", "/lead")):
        self.app = app
        self.database = database
        self.guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or not any(path == one or path.startswith(f"{one}/") for one in self.guarded):
            await self.app(scope, receive, send)
            return
        person = await self._person(scope)
        if person is not None:
            scope.setdefault("state", {})["person"] = person
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif "text/html" in Headers(scope=scope).get("accept", ""):
            if scope["method"] == "GET":
                await _answer(send, 303, b"", [(b"location", b"/login")])
            else:
                await _ended()(scope, receive, send)
        else:
            await refuse(send, 401, "Your session has ended. Log in again.")

    async def _person(self, scope: Scope) -> Person | None:
        token = token_of(scope)
        return await run_in_threadpool(user_of, self.database, token) if token else None


class OriginGuard:
    """Refuses hosts that this server isn't known by, and changes that another origin asks for."""

    def __init__(self, app: App, hosts: Iterable[str], scheme: str):
        """
        Args:
            hosts: names and addresses, with the port where there is one, as the Host header gives them.
            scheme: by which browsers reach the server; what a header says of it, or of another host, is dropped.
        """
        self.app = app
        self.scheme = scheme
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            await refuse(send, 421, "This server isn't known by that name.")
        elif scope.get("method", "GET") not in SAFE_METHODS and not self._is_own(headers, host):
            await refuse(send, 403, "This request comes from another page.")
        else:
            told = [(name, value) for name, value in scope["headers"] if name not in FORWARDED]
            await self.app({**scope, "headers": told, "scheme": self.scheme}, receive, send)

    def _is_own(self, headers: Headers, host: str) -> bool:
        """Browsers send an Origin with every request that changes something; a request without one is no browser's."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        return urlsplit(origin).netloc.lower() == host


class BodyLimit:
    """Refuses a request whose body is too large, as soon as that is seen."""

    def __init__(self, app: App, largest: int = LARGEST_BODY, uploads: tuple[tuple[re.Pattern[str], int], ...] = ()):
        """
        Args:
            largest: in bytes.
            uploads: paths, as whole, that take more.
        """
        self.app = app
        self.largest = largest
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        largest = max([self.largest, *(most for path, most in self.uploads if path.fullmatch(scope["path"]))])
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > largest:
            await refuse(send, 413, f"A request has at most {largest:,} bytes.")
            return
        seen = 0

        async def limited() -> dict[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            return message if seen <= largest else {"type": "http.disconnect"}

        await self.app(scope, limited, send)


class ProtectiveHeaders:
    """Sets the headers that keep a browser from doing what a hostile text asks for."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        page = _Page(send, secrets.token_urlsafe(16))
        await self.app(scope, receive, page.send)


class _Page:
    """One response on its way: headers are added, and a page's script tags get their nonce."""

    def __init__(self, send: Send, nonce: str):
        self._send = send
        self._nonce = nonce
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            for name, value in HEADERS.items():
                headers[name] = value
            headers["content-security-policy"] = POLICY.format(nonce=self._nonce)
            message = {**message, "headers": headers.raw}
            if headers.get("content-type", "").startswith("text/html"):
                headers["cache-control"] = "no-store"
                self._start = message  # held back: its length changes
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_whole(self._start)
            return
        await self._send(message)

    async def _send_whole(self, start: MutableMapping[str, Any]) -> None:
        body = SCRIPT.sub(f'<script nonce="{self._nonce}"'.encode(), self._body)
        MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _ended() -> HTMLResponse:
    """For a form that was sent after its session had ended. Browsers send it again when this answer is loaded again."""
    return page(
        "notice",
        401,
        heading="Your session has ended",
        text="Log in in another tab, then load this page again: what you typed is sent again. Nothing was done yet.",
        link="/login",
        action="Log in",
    )


async def refuse(send: Send, status: int, message: str) -> None:
    """Answer with an error, as JSON."""
    await _answer(send, status, json.dumps({"error": message}).encode(), [(b"content-type", b"application/json")])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
