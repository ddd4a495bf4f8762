"""The settings of a project as fields of a form: shares in percent, scales as numbered rows."""

import re
from typing import Any

from pydantic import ValidationError

from labeling_app.errors import Refused
from labeling_app.settings import ProjectSettings
from labeling_app.web.lead.fields import Form

MOST_AXES = 6
SHARES = ("gold_share", "repeat_share", "qualification_pass")
TICKS = ("edit", "safety_flag", "show_pace")
PLAIN = ("overlap", "rationale", "lease_minutes", "expected_seconds", "rest_minutes")
AXIS = ("name", "description", "low", "high")
DECIMAL = re.compile(r"\d{1,9}([.,]\d{1,6})?")
# What a field is called on the page.
LABELS = {
    "overlap": "People who judge each item",
    "gold_share": "Hidden gold items",
    "repeat_share": "Hidden repeats",
    "qualification_pass": "To pass the qualification",
    "rationale": "A reason in words",
    "axes": "Ratings on named scales",
    "lease_minutes": "A silent page keeps its item for",
    "expected_seconds": "One judgement takes about",
    "rest_minutes": "Remind of a rest after",
}


def form_of(settings: ProjectSettings, **further: str) -> Form:
    """The form that shows these settings."""
    texts = {name: _written(getattr(settings, name)) for name in PLAIN}
    texts |= {name: _written(getattr(settings, name) * 100) for name in SHARES}
    texts |= {name: "yes" for name in TICKS if getattr(settings, name)}
    for number, axis in enumerate(settings.axes, start=1):
        texts |= {f"axis-{number}-{name}": str(getattr(axis, name)) for name in AXIS}
    return Form(texts | further)


def settings_from(form: Form, before: ProjectSettings) -> ProjectSettings:
    """The settings that were sent; what the form doesn't ask for stays.

    Raises:
        Refused: some can't be; all of them are listed, by what they are called on the page.
    """
    values: dict[str, Any] = {name: form.text(name).strip().replace(",", ".") for name in PLAIN}
    values |= {name: form.ticked(name) for name in TICKS}
    values["axes"] = _axes(form)
    problems = []
    for name in SHARES:
        text = form.text(name).strip()
        if DECIMAL.fullmatch(text):
            values[name] = float(text.replace(",", ".")) / 100
        else:
            problems.append(f"{LABELS[name]}: expected a number of percent, such as 5")
    try:
        settings = ProjectSettings.model_validate(before.model_dump() | values)
    except ValidationError as error:
        problems += [_problem(one["loc"], one["msg"]) for one in error.errors()]
    if problems:
        raise Refused("These settings can't be.", problems=problems, remedy="correct them; nothing was changed.")
    return settings


def _axes(form: Form) -> list[dict[str, str]]:
    rows = [{name: form.text(f"axis-{number}-{name}").strip() for name in AXIS} for number in range(1, MOST_AXES + 1)]
    return [row for row in rows if row["name"]]


def _problem(where: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    if not where:
        return message
    label = LABELS.get(str(where[0]), str(where[0]))
    number = f", scale {where[1] + 1}" if len(where) > 1 and isinstance(where[1], int) else ""
    return f"{label}{number}: {message}"


def _written(value: Any) -> str:
    """A number without a needless rest: 10.0 as "10", 0.07 * 100 as "7"."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
