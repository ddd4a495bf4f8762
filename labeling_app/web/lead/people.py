"""People: who is there, and a page for each, with all that a lead can do about them."""

from fastapi import APIRouter
from fastapi.responses import Response

from labeling_app.accounts import forget as forgetting
from labeling_app.accounts import invitations, people
from labeling_app.accounts.people import PersonLine
from labeling_app.errors import NotFound, Refused
from labeling_app.store.tables import Role
from labeling_app.web.lead.fields import Form, Sent
from labeling_app.web.lead.frame import ROOT, AnyPage, Visit, done, show
from rlhf.errors import RlhfError

router = APIRouter()
ADDRESS = f"{ROOT}/people"


@router.get("/people")
def listed(visit: AnyPage) -> Response:
    return _listed(visit, Form())


@router.post("/people")
def add(visit: AnyPage, sent: Sent) -> Response:
    """Add somebody, and show their link, once."""
    try:
        number = people.create_person(visit.database, visit.actor, sent.text("name"), _role(sent))
    except RlhfError as error:
        return _listed(visit, sent, error)
    return _link(visit, _person(visit, str(number)))


@router.get("/people/{person}")
def one(visit: AnyPage, person: str) -> Response:
    return _one(visit, _person(visit, person))


@router.post("/people/{person}/link")
def link(visit: AnyPage, person: str) -> Response:
    """A new one-time link, for a first or a lost password; older ones end."""
    return _link(visit, _person(visit, person))


@router.post("/people/{person}/role")
def role(visit: AnyPage, person: str, sent: Sent) -> Response:
    line = _person(visit, person)
    try:
        people.change_role(visit.database, visit.actor, line.id, _role(sent))
    except RlhfError as error:
        return _one(visit, line, sent, error)
    now = "a lead, who sees and changes everything" if _role(sent) is Role.lead else "an annotator"
    return done(visit, f"{ADDRESS}/{line.id}", f"{line.name} is {now}.")


@router.post("/people/{person}/pause")
def pause(visit: AnyPage, person: str, sent: Sent) -> Response:
    line = _person(visit, person)
    withhold = sent.ticked("withhold")
    try:
        people.pause(visit.database, visit.actor, line.id, sent.text("reason"), withhold=withhold)
    except RlhfError as error:
        return _one(visit, line, sent, error)
    kept = " Their labels are left out of exports." if withhold else ""
    return done(visit, f"{ADDRESS}/{line.id}", f"{line.name} is paused.{kept}")


@router.post("/people/{person}/resume")
def resume(visit: AnyPage, person: str) -> Response:
    line = _person(visit, person)
    people.resume(visit.database, visit.actor, line.id)
    return done(visit, f"{ADDRESS}/{line.id}", f"{line.name} may work again, and their labels count.")


@router.post("/people/{person}/log-out")
def log_out(visit: AnyPage, person: str) -> Response:
    line = _person(visit, person)
    people.log_out(visit.database, visit.actor, line.id)
    return done(visit, f"{ADDRESS}/{line.id}", f"{line.name} is logged out everywhere.")


@router.post("/people/{person}/forget")
def forget(visit: AnyPage, person: str, sent: Sent) -> Response:
    line = _person(visit, person)
    try:
        if sent.text("confirm").strip().casefold() != line.name:
            raise Refused("The name that you typed is another one.", remedy=f"type {line.name} to confirm it.")
        forgetting.forget(visit.database, visit.actor, line.id)
    except RlhfError as error:
        return _one(visit, line, sent, error)
    return done(visit, ADDRESS, "Forgotten. Earlier backups and exports still hold what they held.")


def _listed(visit: Visit, form: Form, error: RlhfError | None = None) -> Response:
    return show(visit, "people", form=form, error=error, people=people.list_people(visit.database, visit.actor))


def _one(visit: Visit, line: PersonLine, form: Form | None = None, error: RlhfError | None = None) -> Response:
    return show(visit, "person", form=form, error=error, person=line, oneself=line.id == visit.actor)


def _link(visit: Visit, line: PersonLine) -> Response:
    """The link stands in this answer and nowhere else: neither in an address nor in the database."""
    token = invitations.invite(visit.database, visit.actor, line.id)
    url = visit.request.url
    address = f"{url.scheme}://{url.netloc}/invitation/{token}"
    return show(visit, "person_link", person=line, link=address, days=invitations.VALID.days)


def _role(sent: Form) -> Role:
    return Role.lead if sent.text("role") == "lead" else Role.annotator


def _person(visit: Visit, number: str) -> PersonLine:
    found = [line for line in people.list_people(visit.database, visit.actor) if str(line.id) == number]
    if not found:
        raise NotFound("There is no such person.", remedy="choose one from the list.")
    return found[0]
