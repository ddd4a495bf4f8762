"""The dashboard of a project: where it stands, whether people agree, and how each of them judges."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.lead.disputes import disputed
from labeling_app.lead.judgements import Said, load
from labeling_app.lead.overall import Coefficients, Couple, by_day, coefficients, couples, day_of
from labeling_app.lead.people_figures import PersonFigures, person_figures
from labeling_app.lead.units import agreement_with_rest, units_of
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, AssignmentStatus, Item, ItemKind, User
from rlhf.stats.agreement import Agreement


@dataclass(frozen=True)
class Day:
    """What was done on a day, by UTC: judgements of work that count, by how many people, and their median time."""

    day: date
    labels: int
    people: int
    median_seconds: float


@dataclass(frozen=True)
class Dashboard:
    """All figures of a project.

    Attributes:
        labels_today: judgements of work since midnight, UTC. labels: all.
        items_done: items of which all that is wanted was said, of `items`.
        agreement: the headline: Krippendorff's ordinal alpha of the strengths, for rankings its nominal one.
        disputes: items in adjudication.
        pace, agreement_by_day: by day.
        couples: of two people each, those who share the most items first.
        people: by name.
    """

    labels_today: int
    labels: int
    items_done: int
    items: int
    agreement: Agreement
    disputes: int
    pace: list[Day]
    agreement_by_day: list[tuple[date, Agreement]]
    coefficients: Coefficients
    couples: list[Couple]
    people: list[PersonFigures]


def dashboard(database: Database, actor_id: int | None, project_id: int, *, seed: int = 0) -> Dashboard:
    """All figures of a project. The seed is of the bootstrap intervals: the same data gives the same figures."""
    with database.read() as session:
        require_lead(session, actor_id)
        project = find_project(session, project_id)
        said = load(session, project_id)
        people = _people(session, said)
        done, items = _items(session, project_id)
        disputes = len(disputed(session, project_id, said))
    units = units_of(said)
    overall = coefficients(units, seed=seed)
    rest = agreement_with_rest(said, units)
    pace = _pace(said)
    return Dashboard(
        labels_today=sum(day.labels for day in pace if day.day == database.now().date()),
        labels=int(said.counts.sum()),
        items_done=done,
        items=items,
        agreement=overall.nominal if project.mode == "ranking" else overall.ordinal,
        disputes=disputes,
        pace=pace,
        agreement_by_day=by_day(said, units, seed=seed),
        coefficients=overall,
        couples=couples(said, seed=seed),
        people=[person_figures(said, one.id, one.name, one.withheld, rest, seed=seed) for one in people],
    )


def _people(session: Session, said: Said) -> list[User]:
    ids = np.unique(said.user).tolist()
    return list(session.scalars(select(User).where(User.id.in_(ids)).order_by(User.name)))


def _items(session: Session, project_id: int) -> tuple[int, int]:
    work = (Item.project_id == project_id, Item.kind == ItemKind.work)
    total = session.scalar(select(func.count()).select_from(Item).where(*work)) or 0
    still = session.scalar(select(func.count()).select_from(Item).where(*work, Item.open_slots > 0)) or 0
    # What is in somebody's hands has no open slot, and isn't judged yet.
    held = (Assignment.project_id == project_id, Assignment.status == AssignmentStatus.open, Assignment.holds_slot)
    in_hands = (
        select(func.count(Assignment.item_id.distinct()))
        .join(Item, Item.id == Assignment.item_id)
        .where(*held, *work, Item.open_slots <= 0)
    )
    return total - still - (session.scalar(in_hands) or 0), total


def _pace(said: Said) -> list[Day]:
    days, counted = said.day, said.counts
    rows = [(day, np.flatnonzero(counted & (days == day))) for day in np.unique(days[counted]).tolist()]
    return [
        Day(day_of(day), len(of_day), len(np.unique(said.user[of_day])), float(np.median(said.seconds[of_day])))
        for day, of_day in rows
    ]
