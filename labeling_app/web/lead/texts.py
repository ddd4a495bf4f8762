"""Filters of the templates for texts of people and models: Markdown that can do nothing, and moments."""

from datetime import datetime
from typing import Any

from markupsafe import Markup

from labeling_app.web.html import PAGES
from labeling_app.web.pages.render import prompt_html, response_html, text_html


def _markdown(text: str) -> Markup:
    return Markup(text_html(text))


def _prompt(prompt: Any) -> Markup:
    return Markup(prompt_html(prompt))


def _response(response: Any) -> Markup:
    return Markup(response_html(response))


def _moment(moment: datetime) -> Markup:
    """In UTC, which is said once on the page; a browser's script could only guess what a lead means."""
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), f"{moment:%d %b %Y, %H:%M}")


def _count(number: float) -> str:
    return f"{number:,}"


def _plural(number: float, one: str, many: str = "") -> str:
    """`3 | plural("item")` is "3 items"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _hours(hours: float) -> str:
    """A time of work: in minutes below an hour."""
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


PAGES.filters |= {
    "hours": _hours,
    "markdown": _markdown,
    "prompt": _prompt,
    "response": _response,
    "moment": _moment,
    "count": _count,
    "plural": _plural,
}
