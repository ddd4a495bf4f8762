"""Questions: what annotators ask about items, and what leads tell them."""

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from markupsafe import Markup

from labeling_app.lead import questions
from labeling_app.web.lead.adjudication import excerpt, letters_of, number_of, said
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, done, show
from labeling_app.web.pages.render import prompt_html, response_html
from rlhf.errors import RlhfError

router = APIRouter()


@dataclass(frozen=True)
class Line:
    """A thread in the list, with the beginning of its last message."""

    found: questions.Question
    item: str
    last: str


@router.get("/projects/{project}/questions")
def inbox(visit: ProjectPage) -> Response:
    found = questions.inbox(visit.database, visit.actor, visit.project.id)
    lines = [Line(one, excerpt(one.prompt), _beginning(one.text)) for one in found]
    return show(visit, "questions", lines=lines, waiting=sum(one.waiting for one in found))


@router.get("/projects/{project}/questions/{assignment}")
def thread(visit: ProjectPage, assignment: str) -> Response:
    return _shown(visit, number_of(assignment))


@router.post("/projects/{project}/questions/{assignment}")
def write(visit: ProjectPage, assignment: str, sent: Sent) -> Response:
    number, text, seen = number_of(assignment), sent.text("text"), sent.number("seen") or 0
    where = (visit.database, visit.actor, visit.project.id, number)
    try:
        if sent.text("do") != "close":
            questions.answer(*where, text)
            return done(visit, visit.address(f"questions/{number}"), "Sent.")
        if not text.strip():
            questions.close(*where, seen)
            return done(visit, visit.address("questions"), "Closed. It opens again when somebody writes.")
        if questions.answer_and_close(*where, text, seen):
            return done(visit, visit.address("questions"), "Sent, and closed. It opens again when somebody writes.")
    except RlhfError as error:
        return _shown(visit, number, form=sent, error=error)
    return done(visit, visit.address(f"questions/{number}"), "Sent. It stays open: they wrote in the meantime.")


def _beginning(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 160 else f"{words[:160]}…"


def _shown(visit: ProjectVisit, assignment: int, form: Form | None = None, error: RlhfError | None = None) -> Response:
    found = questions.conversation(visit.database, visit.actor, visit.project.id, assignment)
    return show(
        visit,
        "question",
        form=form,
        error=error,
        found=found,
        prompt=Markup(prompt_html(found.prompt)),
        responses=[Markup(response_html(one)) for one in found.responses],
        letters=letters_of(found.mode, len(found.responses)),
        judged=None if found.answer is None else said(found.answer),
    )
