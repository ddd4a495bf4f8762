"""The overview of a project: its figures and plots, which follow the work while one looks at them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from labeling_app.lead.figures import Dashboard
from labeling_app.lead.live import LiveFigures
from labeling_app.lead.marks import marks
from labeling_app.web.html import page
from labeling_app.web.lead import people_table
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, show
from labeling_app.web.lead.plots import Plot, plots
from rlhf.stats.agreement import Agreement

router = APIRouter()
REFRESH_SECONDS = 30


@dataclass(frozen=True)
class Shown:
    """What is made of a project's figures, and kept."""

    found: Dashboard
    plots: list[Plot]
    marks: dict[int, list[str]]
    coefficients: list[tuple[str, str, Agreement]]
    names: dict[int, str]


def _made(found: Dashboard) -> Shown:
    names = {one.user_id: one.name for one in found.people}
    return Shown(found, plots(found), marks(found.people), _coefficients(found), names)


def _coefficients(found: Dashboard) -> list[tuple[str, str, Agreement]]:
    """Name, what it is of, and value. Of two people Cohen's kappa, of more Fleiss'."""
    told = found.coefficients
    kappas = (told.fleiss, told.linear, told.quadratic)
    whose = "Fleiss’"
    if len(found.couples) == 1:
        (couple,) = found.couples
        kappas, whose = (couple.kappa, couple.linear, couple.quadratic), "Cohen’s"
    return [
        ("Raw agreement", "couples of judgements that take the same side", told.raw),
        (f"{whose} kappa", "the same, beyond chance", kappas[0]),
        ("… weighted, linear", "of strengths: the nearer, the better", kappas[1]),
        ("… weighted, quadratic", "of strengths: what lies far apart counts most", kappas[2]),
        ("Krippendorff’s alpha, nominal", "of sides", told.nominal),
        ("… ordinal", "of strengths by their order", told.ordinal),
        ("… interval", "of strengths by their distance", told.interval),
    ]


LIVE = LiveFigures(_made)


@router.get("/projects/{project}/")
def overview(visit: ProjectPage, sort: str = "", order: str = "") -> Response:
    shown, at = LIVE.of(visit.database, visit.actor, visit.project.id)
    return show(visit, "overview", refresh=REFRESH_SECONDS, **_values(visit, shown, at, sort, order))


@router.get("/projects/{project}/figures")
def figures(visit: ProjectPage, sort: str = "", order: str = "") -> Response:
    """The part of the page that changes, for its script."""
    shown, at = LIVE.of(visit.database, visit.actor, visit.project.id)
    return page("lead/parts/figures", project=visit.project, **_values(visit, shown, at, sort, order))


def _values(visit: ProjectVisit, shown: Shown, at: datetime, sort: str, order: str) -> dict[str, Any]:
    down = order == "down"
    known = [sort == one.key for one in people_table.COLUMNS]
    query = f"?sort={sort}&order={'down' if down else 'up'}" if any(known) or sort == "name" else ""
    return {
        "shown": shown,
        "found": shown.found,
        "at": at,
        "query": query,
        "address": visit.address(),
        "headings": people_table.headings(sort, down),
        "rows": people_table.rows(shown.found.people, shown.marks, sort, down),
        "columns": people_table.COLUMNS,
    }
