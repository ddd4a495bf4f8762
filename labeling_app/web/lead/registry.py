"""Which pages the lead has, in the order of the tabs. A page is a module here, a template, and a line in this list."""

from dataclasses import dataclass

from fastapi import APIRouter

from labeling_app.web.lead import (
    adjudication,
    export,
    guidelines,
    items,
    log,
    overview,
    people,
    projects,
    questions,
    settings,
)


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        router: its routes, under /lead.
        title: on its tab; empty for one without a tab.
        path: its address, under /lead/ or under /lead/projects/{project}/.
        of_project: whether it stands in a project's row of tabs, or on top.
    """

    router: APIRouter
    title: str
    path: str
    of_project: bool = True


PAGES = (
    Page(projects.router, "Projects", "", of_project=False),
    Page(overview.router, "Overview", ""),
    Page(items.router, "Items", "items"),
    Page(guidelines.router, "Guidelines", "guidelines"),
    Page(adjudication.router, "Adjudication", "adjudication"),
    Page(questions.router, "Questions", "questions"),
    Page(export.router, "Export", "export"),
    Page(settings.router, "Settings", "settings"),
    Page(people.router, "People", "people", of_project=False),
    Page(log.router, "Log", "log", of_project=False),
)
