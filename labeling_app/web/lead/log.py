"""The audit log: what leads and the command line did, the newest first."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from labeling_app.lead.audit_log import A_PAGE, entries
from labeling_app.web.lead.fields import Form
from labeling_app.web.lead.frame import AnyPage, show

router = APIRouter()

# In words; an action that isn't here is shown by its name.
ACTIONS = {
    "project.create": "began the project",
    "project.change": "changed the settings of",
    "project.close": "closed",
    "project.reopen": "opened again",
    "items.import": "imported items into",
    "item.decide": "decided an item of",
    "guidelines.publish": "published guidelines of",
    "labels.export": "exported the labels of",
    "person.create": "added",
    "person.invite": "made a one-time link for",
    "person.pause": "paused",
    "person.resume": "let work again",
    "person.role": "changed the role of",
    "person.log_out": "logged out",
    "person.forget": "had forgotten",
}


@router.get("/log")
def listed(visit: AnyPage, before: str = "") -> Response:
    number = Form({"before": before}).number("before")
    found = entries(visit.database, visit.actor, before=number, limit=A_PAGE + 1)
    shown = found[:A_PAGE]
    return show(
        visit,
        "log",
        entries=[(one, ACTIONS.get(one.action, one.action), in_words(one.detail)) for one in shown],
        older=shown[-1].id if len(found) > A_PAGE else None,
        newest=number is None,
    )


def in_words(detail: dict[str, Any]) -> list[str]:
    """What else an entry knows, one thing a line."""
    words = []
    for name, value in detail.items():
        if isinstance(value, dict):
            words += [f"{what}: {_short(one)}" for what, one in value.items()]
        elif value not in (None, False, ""):
            words.append(f"{name.replace('_', ' ')}: {_short(value)}")
    return words


def _short(value: Any) -> str:
    """A setting's old and new value as a change, others as they are."""
    text = f"{value[0]} → {value[1]}" if isinstance(value, list) and len(value) == 2 else str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
