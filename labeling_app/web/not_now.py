"""What is answered while the store can't be reached or written to, whichever part of the application meets it."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from labeling_app.errors import Unavailable
from labeling_app.web.html import page, sentence
from labeling_app.web.security import App, Receive, Scope, Send

RETRY_AFTER_SECONDS = 10


class NotNow:
    """Answers 503, by a page or by JSON. The lead's pages and the work's events have answers of their own."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Unavailable as error:
            if begun or scope["type"] != "http":
                raise
            await _answer(scope, error)(scope, receive, send)


def _answer(scope: Scope, error: Unavailable) -> Response:
    text = f"{error.message} {sentence(error.remedy)}"
    if "text/html" in Headers(scope=scope).get("accept", ""):
        link = "/" + quote(scope["path"].lstrip("/")) if scope["method"] == "GET" else "/"
        response: Response = page("notice", 503, heading="Not now", text=text, link=link, action="Try again")
    else:
        response = JSONResponse({"error": text}, 503)
    response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return response
