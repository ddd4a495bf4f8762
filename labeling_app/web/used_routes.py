"""The routes of Gradio that the labelling page uses; there is no way to the others.

Gradio serves files, takes uploads, fetches other addresses, records audio and edits its own source by routes that no
page of ours asks for. What isn't there can't be misused, whatever a later version of it adds.
"""

import re

from labeling_app.web.security import App, Receive, Scope, Send, refuse

FILE = r"(?:[\w~+-][\w.~+-]*/)*[\w~+-][\w.~+-]*"  # no segment begins with a dot: none leads upwards
READ = (
    "",  # the page
    "/",
    "/config",
    "/theme.css",
    "/manifest.json",
    "/favicon.ico",
    f"/assets/{FILE}",
    f"/static/{FILE}",
    "/gradio_api/app_id",  # when the server is back after a restart
    r"/gradio_api/heartbeat/\w+",
    "/gradio_api/queue/data",
)
WRITTEN = ("/gradio_api/queue/join",)


def _any_of(paths: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(paths), re.ASCII)


USED = {"GET": _any_of(READ), "HEAD": _any_of(READ), "POST": _any_of(WRITTEN)}


class UsedRoutes:
    """Answers 404 to whatever the page doesn't use."""

    def __init__(self, app: App, below: str = "/app"):
        self.app = app
        self.below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._leads_somewhere(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refuse(send, 404, "There is nothing here.")

    def _leads_somewhere(self, scope: Scope) -> bool:
        path = scope.get("path", "")
        if path != self.below and not path.startswith(f"{self.below}/"):
            return True
        return scope["type"] == "http" and is_used(scope["method"], path.removeprefix(self.below))


def is_used(method: str, path: str) -> bool:
    """Whether the page asks for this; `path` below the page's own."""
    used = USED.get(method)
    return used is not None and used.fullmatch(path) is not None
