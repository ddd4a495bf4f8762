"""Adjudication: the queue of items on which people disagree, and the page on which a lead decides one."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from markupsafe import Markup

from labeling_app.answers import STRONGEST, Answer
from labeling_app.errors import NotFound, Refused
from labeling_app.lead import adjudication, cases
from labeling_app.store.tables import ItemKind
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import ProjectPage, ProjectVisit, done, show
from labeling_app.web.pages.render import plain, prompt_html, response_html
from labeling_app.web.pages.words import answer_in_words
from rlhf.errors import RlhfError

router = APIRouter()
SHOWN = 50
EXCERPT = 140
LEFT_OUT = "the lead can't decide it"
SCALE = [
    (-3, "A", "much better"),
    (-2, "A", "clearly better"),
    (-1, "A", "a bit better"),
    (0, "", "equal"),
    (1, "B", "a bit better"),
    (2, "B", "clearly better"),
    (3, "B", "much better"),
]


@dataclass(frozen=True)
class Said:
    """What somebody said, in words, with the side that it favours: "a", "b" or neither."""

    words: str
    side: str


@dataclass(frozen=True)
class Line:
    """A dispute in the queue."""

    item_id: int
    excerpt: str
    said: list[Said]


@router.get("/projects/{project}/adjudication")
def queue(visit: ProjectPage) -> Response:
    found = cases.queue(visit.database, visit.actor, visit.project.id, limit=SHOWN)
    lines = [
        Line(one.item_id, excerpt(one.prompt), [said(each.answer) for each in one.opinions if not each.apart])
        for one in found.disputes
    ]
    return show(visit, "adjudication", lines=lines, total=found.total)


@router.get("/projects/{project}/adjudication/{item}")
def one_item(visit: ProjectPage, item: str, names: str = "") -> Response:
    return _shown(visit, number_of(item), names=bool(names))


@router.post("/projects/{project}/adjudication/{item}")
def decide(visit: ProjectPage, item: str, sent: Sent) -> Response:
    number = number_of(item)
    found = cases.case(visit.database, visit.actor, visit.project.id, number)
    try:
        fields = _fields(sent, found)
        note, gold = sent.text("note").strip() or None, sent.ticked("gold")
        adjudication.decide(visit.database, visit.actor, number, fields, note, make_gold=gold, seen=sent.text("seen"))
    except RlhfError as error:
        return _shown(visit, number, names=sent.ticked("names"), form=sent, error=error)
    words = answer_in_words(Answer.model_validate(fields))
    become = " It is a gold item now." if gold else ""
    following = f"adjudication/{found.after}" if found.after else "adjudication"
    names = "?names=yes" if found.after and sent.ticked("names") else ""
    return done(visit, visit.address(following) + names, f"Decided: {words}.{become}")


def number_of(item: str) -> int:
    """The id in an address.

    Raises:
        NotFound: it is none.
    """
    if not (item.isascii() and item.isdigit() and len(item) <= 18):
        raise NotFound("There is no such item.", remedy="choose one from the list.")
    return int(item)


def said(answer: Answer) -> Said:
    """A judgement in words, and its side."""
    strength = answer.strength or 0
    return Said(answer_in_words(answer), "a" if strength < 0 else "b" if strength > 0 else "")


def letters_of(mode: str, count: int) -> list[str]:
    """What responses are called: A and B, in a ranking 1, 2, 3."""
    return [str(number + 1) if mode == "ranking" else "AB"[number] for number in range(count)]


def excerpt(prompt: Any) -> str:
    """The end of a prompt, as text: what is asked comes last."""
    text = " ".join(plain(prompt if isinstance(prompt, str) else prompt[-1:]).split())
    return text if len(text) <= EXCERPT else f"… {text[-EXCERPT:]}"


def _fields(sent: Form, found: cases.Case) -> dict[str, Any]:
    """The answer of the form; what is in it is checked by the verb."""
    choice = sent.text("decision")
    if choice == "skip":
        return {"kind": "skip", "reason": LEFT_OUT}
    if found.mode == "ranking":
        return {"kind": "ranking", "ranks": _ranks(sent, len(found.responses))}
    if choice == "both_bad":
        return {"kind": "both_bad"}
    if choice not in {str(strength) for strength in range(-STRONGEST, STRONGEST + 1)}:
        raise Refused("Nothing is chosen.", remedy="choose what is better, or that both are bad.")
    return {"kind": "choice", "strength": int(choice)}


def _ranks(sent: Form, count: int) -> list[int]:
    """Ranks as in sport from places that were chosen for each response, whatever their gaps."""
    places = [sent.number(f"rank-{number}") for number in range(1, count + 1)]
    known = [place for place in places if place is not None and 1 <= place <= count]
    if len(known) < count:
        raise Refused("Not every response has a place.", remedy="choose one for each; equal ones tie.")
    return [1 + sum(other < place for other in known) for place in known]


def _shown(
    visit: ProjectVisit, item: int, *, names: bool, form: Form | None = None, error: RlhfError | None = None
) -> Response:
    found = cases.case(visit.database, visit.actor, visit.project.id, item)
    opinions = [(one, one.annotator if names else one.pseudonym, said(one.answer)) for one in found.opinions]
    return show(
        visit,
        "adjudication_item",
        form=form,
        error=error,
        case=found,
        gold=found.kind is ItemKind.gold,
        prompt=Markup(prompt_html(found.prompt)),
        responses=[Markup(response_html(one)) for one in found.responses],
        letters=letters_of(found.mode, len(found.responses)),
        opinions=opinions,
        rulings=[(one, said(one.answer)) for one in found.rulings],
        names=names,
        scale=SCALE,
    )
