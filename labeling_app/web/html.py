"""Pages from templates. Whatever is put into one is escaped, whoever wrote it."""

from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

PAGES = Environment(
    loader=PackageLoader("labeling_app.web"),
    autoescape=select_autoescape(["jinja"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(template: str, **values: Any) -> str:
    """The text of a page; the template's name goes without `.html.jinja`."""
    return PAGES.get_template(f"{template}.html.jinja").render(**values)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page as an answer."""
    return HTMLResponse(rendered(template, **values), status_code=status)


def sentence(text: str) -> str:
    """A remedy, as a sentence of its own."""
    return text[:1].upper() + text[1:]


PAGES.filters["sentence"] = sentence
