"""Which item a person gets next: qualification first, then work, with gold items and repeats hidden among it.

Whether the next one is hidden, and which, follows from the project's seed, the person and how many they were served: a
draw can be repeated, and nobody can influence it.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Exists, Select, bindparam, exists, or_, select, text
from sqlalchemy.orm import Session, aliased

from labeling_app.settings import ProjectSettings
from labeling_app.store.tables import Assignment, AssignmentStatus, Item, ItemKind, Member, Project, Qualification
from labeling_app.work.seats import Seat
from labeling_app.work.tasks import IdleReason

# A repeat comes only when so many answers lie between it and the first.
ANSWERS_BETWEEN = 10
# Slots of so many lapsed leases are given back in one claim: a claim stays quick whatever happened before it.
EXPIRED_AT_ONCE = 50
# Written out, as the partial indexes say it: with bound values neither database knows that they apply.
HAS_FREE_SLOT = text("item.open_slots > 0 AND item.kind = 'work'")
IS_CHECK = text("item.kind <> 'work'")
IS_OPEN = text("assignment.status = 'open'")
# Built once, like those of seats.py.
LAPSED = (
    select(Assignment)
    .where(
        Assignment.project_id == bindparam("project"),
        IS_OPEN,
        Assignment.lease_until < bindparam("now"),
    )
    .order_by(Assignment.lease_until)
    .limit(EXPIRED_AT_ONCE)
    .with_for_update(skip_locked=True)
)
HAS_QUALIFICATION = select(
    exists().where(Item.project_id == bindparam("project"), Item.kind == ItemKind.qualification, IS_CHECK)
)


def take_next(session: Session, now: datetime, seat: Seat) -> Assignment | IdleReason:
    """A new assignment for a person who holds none, or why there is none.

    Slots of leases that have run out are given back first, in the same transaction.
    """
    settings, member = seat.settings, seat.member
    release_expired(session, now, seat.project.id)
    draw = random.Random(f"{settings.seed}/{member.user_id}/{member.served}")
    found = _qualification(session, now, settings, member, draw)
    if found is None:
        found = _hidden(session, now, settings, member, draw) or _work(session, now, settings, member, draw)
    if isinstance(found, Assignment):
        member.served += 1
        session.flush()
        return found
    return found or _why_nothing(session, seat.project, member)


def release_expired(session: Session, now: datetime, project_id: int) -> None:
    """End open assignments whose lease has run out, and give back the slots that they hold."""
    for assignment in session.scalars(LAPSED, {"project": project_id, "now": now}).all():
        item = _locked_item(session, assignment.item_id, skip_locked=True)
        if item is not None:  # else somebody is at it: the next claim ends this one
            expire(session, assignment, item)


def expire(session: Session, assignment: Assignment, item: Item | None = None) -> None:
    """End an open assignment that was not answered in time."""
    assignment.status = AssignmentStatus.expired
    give_slot_back(session, assignment, item)


def give_slot_back(session: Session, assignment: Assignment, item: Item | None = None) -> None:
    """Let somebody else have the slot that an assignment holds, if it does. `item`: locked, where it is at hand."""
    if assignment.holds_slot:
        assignment.holds_slot = False
        item = item or _locked_item(session, assignment.item_id)
        if item is not None:
            item.open_slots += 1
        session.flush()


def take_slot(session: Session, assignment: Assignment) -> bool:
    """Let an assignment hold a slot of its item again; False where none is left."""
    item = _locked_item(session, assignment.item_id)
    if item is None or item.open_slots < 1:
        return False
    item.open_slots -= 1
    assignment.holds_slot = True
    session.flush()
    return True


def _locked_item(session: Session, item_id: int, *, skip_locked: bool = False) -> Item | None:
    found = select(Item).where(Item.id == item_id).with_for_update(skip_locked=skip_locked)
    return session.scalars(found.execution_options(populate_existing=True)).first()


def lease_of(settings: ProjectSettings, now: datetime) -> datetime:
    return now + timedelta(minutes=settings.lease_minutes)


def _qualification(
    session: Session, now: datetime, settings: ProjectSettings, member: Member, draw: random.Random
) -> Assignment | IdleReason | None:
    """The next qualification item; "unqualified" after a failure; None where nothing stands before real work."""
    if member.qualification is Qualification.passed:
        return None
    if member.qualification is Qualification.failed:
        return "unqualified"
    if not session.scalar(HAS_QUALIFICATION, {"project": member.project_id}):
        return None
    begun = _once_more(session, now, settings, member, Item.kind == ItemKind.qualification)
    item = None if begun else _first_unseen(session, member, ItemKind.qualification)
    return begun if item is None else _assign(session, now, settings, member, item, draw)


def _hidden(
    session: Session, now: datetime, settings: ProjectSettings, member: Member, draw: random.Random
) -> Assignment | None:
    """A gold item or a repeat, where the draw says so and there is one."""
    dealt = draw.random()
    if dealt < settings.gold_share:
        item = _first_unseen(session, member, ItemKind.gold)
        return None if item is None else _assign(session, now, settings, member, item, draw)
    if dealt < settings.gold_share + settings.repeat_share:
        return _repeat(session, now, settings, member, draw)
    return None


def _repeat(
    session: Session, now: datetime, settings: ProjectSettings, member: Member, draw: random.Random
) -> Assignment | None:
    """An earlier item of this person once more, in another order."""
    again = aliased(Assignment)
    first = (
        select(Assignment)
        .join(Item, Item.id == Assignment.item_id)
        .where(
            Assignment.user_id == member.user_id,
            Assignment.project_id == member.project_id,
            Assignment.status == AssignmentStatus.done,
            Assignment.repeat_of.is_(None),
            Item.kind == ItemKind.work,
            ~exists().where(again.repeat_of == Assignment.id),
        )
        .order_by(Assignment.finished_at.desc(), Assignment.id.desc())
        .offset(ANSWERS_BETWEEN)
        .limit(1)
    )
    found = session.scalars(first).first()
    if found is None:
        return None
    item = session.get_one(Item, found.item_id)
    order = other_order(found.order, draw)
    return _add(session, now, settings, member, item, order, holds_slot=False, repeat_of=found.id)


def _work(
    session: Session, now: datetime, settings: ProjectSettings, member: Member, draw: random.Random
) -> Assignment | None:
    """The next item with a free slot that this person never had; else one that they let expire."""
    ahead = Item.position > member.cursor
    item = _with_free_slot(session, member, ahead) or _with_free_slot(session, member, ~ahead)
    if item is not None:
        member.cursor = item.position
        item.open_slots -= 1
        return _assign(session, now, settings, member, item, draw, holds_slot=True)
    return _once_more(session, now, settings, member, Item.kind != ItemKind.qualification)


def _with_free_slot(session: Session, member: Member, where: ColumnElement[bool]) -> Item | None:
    """The first one in order. Others' claims that are under way are passed over, not waited for."""
    found = free_items(member).where(where).order_by(Item.position).limit(1)
    found = found.with_for_update(of=Item, skip_locked=True).execution_options(populate_existing=True)
    return session.scalars(found).first()


def free_items(member: Member) -> Select[Item]:
    """Items with a free slot that this person never had."""
    return select(Item).where(Item.project_id == member.project_id, HAS_FREE_SLOT, ~_had(member))


def checks_of(member: Member, kind: ItemKind) -> Select[Item]:
    """Gold or qualification items that this person never had."""
    return select(Item).where(Item.project_id == member.project_id, Item.kind == kind, IS_CHECK, ~_had(member))


def _had(member: Member) -> Exists:
    # A repeat follows a first: leaving repeats out lets the unique index of firsts answer.
    first = Assignment.repeat_of.is_(None)
    return exists().where(Assignment.item_id == Item.id, Assignment.user_id == member.user_id, first)


def _once_more(
    session: Session, now: datetime, settings: ProjectSettings, member: Member, kind: ColumnElement[bool]
) -> Assignment | None:
    """Open an own assignment again that had expired unanswered, in its order, if its item has a free slot."""
    expired = (
        select(Assignment)
        .join(Item, Item.id == Assignment.item_id)
        .where(
            Assignment.user_id == member.user_id,
            Assignment.project_id == member.project_id,
            Assignment.status == AssignmentStatus.expired,
            kind,
            or_(Item.open_slots > 0, Item.kind != ItemKind.work, Assignment.repeat_of.is_not(None)),
        )
        .order_by(Assignment.id)
        .with_for_update(of=Assignment)
    )
    for assignment in session.scalars(expired).all():
        fills = assignment.repeat_of is None and session.get_one(Item, assignment.item_id).kind is ItemKind.work
        if fills and not take_slot(session, assignment):
            continue
        assignment.status = AssignmentStatus.open
        assignment.claimed_at, assignment.lease_until = now, lease_of(settings, now)
        return assignment
    return None


def _first_unseen(session: Session, member: Member, kind: ItemKind) -> Item | None:
    return session.scalars(checks_of(member, kind).order_by(Item.position).limit(1)).first()


def _assign(
    session: Session,
    now: datetime,
    settings: ProjectSettings,
    member: Member,
    item: Item,
    draw: random.Random,
    *,
    holds_slot: bool = False,
) -> Assignment:
    order = list(range(len(item.responses)))
    draw.shuffle(order)
    return _add(session, now, settings, member, item, order, holds_slot=holds_slot)


def _add(
    session: Session,
    now: datetime,
    settings: ProjectSettings,
    member: Member,
    item: Item,
    order: list[int],
    *,
    holds_slot: bool,
    repeat_of: int | None = None,
) -> Assignment:
    assignment = Assignment(
        project_id=item.project_id,
        item_id=item.id,
        user_id=member.user_id,
        repeat_of=repeat_of,
        order=order,
        status=AssignmentStatus.open,
        holds_slot=holds_slot,
        claimed_at=now,
        lease_until=lease_of(settings, now),
    )
    session.add(assignment)
    return assignment


def other_order(order: Sequence[int], draw: random.Random) -> list[int]:
    """The sides swapped; of more than two responses another permutation than the first."""
    changed = list(reversed(order))
    if len(changed) > 2:
        draw.shuffle(changed)
    return changed if changed != list(order) else list(reversed(order))


def _why_nothing(session: Session, project: Project, member: Member) -> IdleReason:
    work = exists().where(Item.project_id == project.id, Item.kind == ItemKind.work)
    if not session.scalar(select(work)):
        return "empty"
    if session.scalar(select(free_items(member).exists())):  # somebody is just taking it, and may give it back
        return "waiting"
    in_hands = exists().where(
        Assignment.project_id == project.id,
        Assignment.status == AssignmentStatus.open,
        Assignment.user_id != member.user_id,
    )
    return "waiting" if session.scalar(select(in_hands)) else "finished"
