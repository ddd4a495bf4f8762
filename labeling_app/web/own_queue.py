"""Each person's events are their own. Gradio hands the outcome of an event to whoever names its page's session hash,
and asks not whose it is; here each person has hashes of their own, so that nobody can name another's.
"""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders

from labeling_app.accounts.sessions import Person
from labeling_app.web.security import App, Receive, Scope, Send, refuse

FIELD = "session_hash"


class OwnQueue:
    """Puts the person before the session hash that their page has drawn. `SessionGuard` has let them in."""

    def __init__(self, app: App, below: str = "/app/gradio_api"):
        self.app = app
        self.join, self.data, self.beat = f"{below}/queue/join", f"{below}/queue/data", f"{below}/heartbeat/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        person: Person | None = scope.get("state", {}).get("person")
        path = scope.get("path", "")
        if person is None or scope["type"] != "http":
            await self.app(scope, receive, send)
        elif path == self.data:
            pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            owned = [(name, _owned(person, value) if name == FIELD else value) for name, value in pairs]
            await self.app({**scope, "query_string": urlencode(owned).encode()}, receive, send)
        elif path.startswith(self.beat):
            owned_path = self.beat + _owned(person, path.removeprefix(self.beat))
            await self.app({**scope, "path": owned_path, "raw_path": owned_path.encode()}, receive, send)
        elif path == self.join:
            await self._joined(person, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _joined(self, person: Person, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            event = json.loads(await _body_of(receive))
            is_event = isinstance(event, dict) and isinstance(event.get(FIELD), str)
            body = json.dumps(event | {FIELD: _owned(person, event[FIELD])}).encode() if is_event else None
        except (ValueError, RecursionError):
            body = None
        if body is None:
            await refuse(send, 422, "This is no event of the page.")
            return
        headers = MutableHeaders(raw=list(scope["headers"]))
        del headers["transfer-encoding"]
        headers["content-length"] = str(len(body))
        sent = False

        async def replaced() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app({**scope, "headers": headers.raw}, replaced, send)


def _owned(person: Person, session_hash: str) -> str:
    return f"{person.id}_{session_hash}"


async def _body_of(receive: Receive) -> bytes:
    """The whole body, which `BodyLimit` keeps small."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body
