"""The dashboard of a project: where it stands, whether people agree, and how each of them judges."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labeling_app.access import require_lead
from labeling_app.lead.adjudication import disputed
from labeling_app.lead.judgements import Said, load
from labeling_app.lead.overall import Coefficients, Couple, by_day, coefficients, couples
from labeling_app.lead.people_figures import PersonFigures, agreement_with_rest, person_figures
from labeling_app.lookup import find_project
from labeling_app.store import Database
from labeling_app.store.tables import Item, ItemKind, User
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
        items_done: items that nobody is needed for any more, of `items`.
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
        disputes = len(disputed(session, project_id))
    overall = coefficients(said, seed=seed)
    rest = agreement_with_rest(said)
    pace = _pace(said)
    return Dashboard(
        labels_today=sum(day.labels for day in pace if day.day == database.now().date()),
        labels=int(said.counts.sum()),
        items_done=done,
        items=items,
        agreement=overall.nominal if project.mode == "ranking" else overall.ordinal,
        disputes=disputes,
        pace=pace,
        agreement_by_day=by_day(said, seed=seed),
        coefficients=overall,
        couples=couples(said, seed=seed),
        people=[person_figures(said, one.id, one.name, one.withheld, rest, seed=seed) for one in people],
    )


def _people(session: Session, said: Said) -> list[User]:
    ids = sorted(set(said.user.tolist()))
    return list(session.scalars(select(User).where(User.id.in_(ids)).order_by(User.name)))


def _items(session: Session, project_id: int) -> tuple[int, int]:
    work = (Item.project_id == project_id, Item.kind == ItemKind.work)
    total = session.scalar(select(func.count()).select_from(Item).where(*work)) or 0
    still = session.scalar(select(func.count()).select_from(Item).where(*work, Item.open_slots > 0)) or 0
    return total - still, total


def _pace(said: Said) -> list[Day]:
    found: dict[date, list[int]] = defaultdict(list)
    for index in np.flatnonzero(said.counts).tolist():
        found[said.at[index].date()].append(index)
    return [
        Day(day, len(rows), len(set(said.user[rows].tolist())), float(np.median(said.seconds[rows])))
        for day, rows in sorted(found.items())
    ]
