"""The judgements that count, item by item, in portions: an export holds no more than one portion in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labeling_app.answers import Answer
from labeling_app.export.options import ExportOptions
from labeling_app.store.tables import Assignment, Decision, Guideline, Item, ItemKind, Label, User

ITEMS_AT_ONCE = 500


@dataclass(frozen=True)
class Judgement:
    """A judgement that counts: one person's newest word on an item, in stored order."""

    uid: str
    annotator: str
    answer: Answer
    order: list[int]
    revision: int
    guideline_version: int | None
    seconds: float
    idle_seconds: float
    late: bool
    created_at: datetime


@dataclass(frozen=True)
class Ruling:
    """What a lead decided about an item."""

    uid: str
    lead: str
    answer: Answer
    created_at: datetime


@dataclass(frozen=True)
class Judged:
    """An item to judge with the judgements that count, and the ruling that takes precedence over them."""

    uid: str
    prompt: Any
    responses: list[Any]
    models: list[str] | None
    further: dict[str, Any]
    judgements: list[Judgement]
    ruling: Ruling | None


@dataclass
class Tally:
    """What was seen and what was left out, and why."""

    left_out: Counter[str] = field(default_factory=Counter)
    by_annotator: Counter[str] = field(default_factory=Counter)
    by_guideline: Counter[int | None] = field(default_factory=Counter)


def judged_items(session: Session, project_id: int, options: ExportOptions, tally: Tally) -> Iterator[Judged]:
    """Every item that has enough judgements, or a ruling, in order. The tally is complete when all were taken."""
    _tally_checks(session, project_id, tally)
    last = 0
    while items := _items_after(session, project_id, last):
        last = items[-1].position
        ids = [item.id for item in items]
        judgements = _judgements(session, ids, options, tally)
        rulings = _rulings(session, ids)
        for item in items:
            given, ruling = judgements.get(item.id, []), rulings.get(item.id)
            if reason := _why_not(given, ruling, options):
                tally.left_out[reason] += 1
                continue
            for one in given:
                tally.by_annotator[one.annotator] += 1
                tally.by_guideline[one.guideline_version] += 1
            yield Judged(item.uid, item.prompt, item.responses, item.origins, item.further, given, ruling)


def _why_not(given: Sequence[Judgement], ruling: Ruling | None, options: ExportOptions) -> str | None:
    if ruling is not None:
        return "items that a lead decided to leave out" if ruling.answer.kind == "skip" else None
    if not given:
        return "items without a judgement"
    return f"items with fewer than {options.min_labels} judgements" if len(given) < options.min_labels else None


def _items_after(session: Session, project_id: int, last: int) -> Sequence[Any]:
    columns = (Item.id, Item.uid, Item.position, Item.prompt, Item.responses, Item.origins, Item.further)
    work = (Item.project_id == project_id, Item.kind == ItemKind.work, Item.position > last)
    return session.execute(select(*columns).where(*work).order_by(Item.position).limit(ITEMS_AT_ONCE)).all()


def _judgements(
    session: Session, item_ids: Sequence[int], options: ExportOptions, tally: Tally
) -> dict[int, list[Judgement]]:
    query = (
        select(Label, Assignment, User.pseudonym, User.withheld, Guideline.version)
        .join(Assignment, Assignment.id == Label.assignment_id)
        .join(User, User.id == Label.user_id)
        .outerjoin(Guideline, Guideline.id == Label.guideline_id)
        .where(Label.item_id.in_(item_ids))
        .order_by(Label.id)
    )
    found: dict[int, list[Judgement]] = {}
    for label, assignment, pseudonym, withheld, version in session.execute(query):
        if reason := _why_label_not(label, assignment, withheld, options):
            tally.left_out[reason] += 1
            continue
        found.setdefault(label.item_id, []).append(
            Judgement(
                uid=label.uid,
                annotator=pseudonym,
                answer=Answer.model_validate(label.answer),
                order=assignment.order,
                revision=label.revision,
                guideline_version=version,
                seconds=label.seconds,
                idle_seconds=label.idle_seconds,
                late=label.late,
                created_at=label.created_at,
            )
        )
    session.expunge_all()  # else each portion would stay until the end
    return found


def _why_label_not(label: Label, assignment: Assignment, withheld: bool, options: ExportOptions) -> str | None:
    if assignment.label_id != label.id:
        return "superseded revisions"
    if assignment.repeat_of is not None:
        return "judgements of hidden repeats"
    if label.answer.get("kind") == "skip":
        return "skips"
    if withheld:
        return "judgements of withheld annotators"
    return "late judgements" if label.late and not options.include_late else None


def _rulings(session: Session, item_ids: Sequence[int]) -> dict[int, Ruling]:
    query = (
        select(Decision, User.pseudonym)
        .join(User, User.id == Decision.decided_by)
        .where(Decision.item_id.in_(item_ids))
        .order_by(Decision.id)
    )
    return {  # a later one takes the place of an earlier one
        decision.item_id: Ruling(decision.uid, lead, Answer.model_validate(decision.answer), decision.created_at)
        for decision, lead in session.execute(query)
    }


def _tally_checks(session: Session, project_id: int, tally: Tally) -> None:
    query = (
        select(Item.kind, func.count())
        .select_from(Label)
        .join(Item, Item.id == Label.item_id)
        .where(Label.project_id == project_id, Item.kind != ItemKind.work)
        .group_by(Item.kind)
    )
    for kind, count in session.execute(query):
        tally.left_out[f"judgements of {kind} items"] += count
