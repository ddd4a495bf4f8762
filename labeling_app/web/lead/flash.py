"""The one line that is said after a redirect, in a cookie that is signed: nobody else can put words onto a page."""

import base64
import binascii
import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from labeling_app.web.security import token_of

COOKIE, PATH = "said", "/lead"
SECONDS, LONGEST = 60, 500


def say(request: Request, response: Response, message: str) -> None:
    """Have the next page of this session say a line; it is text there, never HTML."""
    text = base64.urlsafe_b64encode(message[:LONGEST].encode()).decode()
    response.set_cookie(
        COOKIE,
        f"{text}.{_signature(request, text)}",
        max_age=SECONDS,
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def said(request: Request) -> str:
    """What is to be said on this page; nothing where the cookie isn't of this session's making."""
    text, _, signature = request.cookies.get(COOKIE, "").partition(".")
    if not text or not hmac.compare_digest(signature.encode(), _signature(request, text).encode()):
        return ""
    try:
        return base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def done_saying(response: Response) -> None:
    """Said once is enough."""
    response.delete_cookie(COOKIE, path=PATH)


def _signature(request: Request, text: str) -> str:
    """By the session's own token, which only its browser and we know."""
    key = (token_of(request.scope) or "").encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
