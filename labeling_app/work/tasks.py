"""What a page is told: an item to judge, or why there is none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labeling_app.answers import Answer, to_shown
from labeling_app.lookup import settings_of
from labeling_app.settings import Mode, ProjectSettings
from labeling_app.store.tables import Assignment, Draft, Item, ItemKind, Label, Member, Project
from labeling_app.work.seats import Seat

IdleReason = Literal["finished", "waiting", "paused", "closed", "consent", "unqualified", "empty"]


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        mine: what this person has answered, hidden checks among it: a count that stood still would give them away.
        team: judgements of the others that fill a slot, and all of this person's, for the same reason; never more than
            `wanted`.
        wanted: judgements that the project wants.
        seconds_per_item: this person's median over the last answers; None unless the project shows the pace.
    """

    mine: int
    team: int
    wanted: int
    seconds_per_item: float | None = None


@dataclass(frozen=True)
class Task:
    """An item in a person's hands, in the order in which they see it.

    Attributes:
        draft: what they have typed and not submitted, as their page sent it.
        given: their answer so far, where it is looked at again.
        qualification: which one of how many, for a qualification item.
    """

    assignment_id: int
    project_id: int
    project_name: str
    mode: Mode
    settings: ProjectSettings
    prompt: Any
    responses: list[Any]
    guideline_version: int
    lease_until: datetime
    draft: dict[str, Any] | None
    given: Answer | None
    progress: Progress
    qualification: tuple[int, int] | None


@dataclass(frozen=True)
class Idle:
    """Nothing to judge now.

    Attributes:
        reason: finished: all that is wanted is there. waiting: what is left is in other hands. empty: the project has
            no items. consent: the guidelines are new. unqualified: the qualification was not passed. paused, closed.
    """

    reason: IdleReason
    progress: Progress | None = None


def task_of(session: Session, assignment: Assignment, seat: Seat, progress: Progress) -> Task:
    """What the page of an assignment shows."""
    item = session.get_one(Item, assignment.item_id)
    draft = session.get(Draft, assignment.id)
    label = session.get(Label, assignment.label_id) if assignment.label_id else None
    given = None if label is None else to_shown(Answer.model_validate(label.answer), assignment.order)
    return Task(
        assignment_id=assignment.id,
        project_id=seat.project.id,
        project_name=seat.project.name,
        mode=seat.project.mode,  # type: ignore[arg-type]
        settings=seat.settings,
        prompt=item.prompt,
        responses=[item.responses[candidate] for candidate in assignment.order],
        guideline_version=seat.guideline_version,
        lease_until=assignment.lease_until,
        draft=None if draft is None else draft.content,
        given=given,
        progress=progress,
        qualification=_which(session, item) if item.kind is ItemKind.qualification else None,
    )


def progress_of(session: Session, project: Project, member: Member) -> Progress:
    """Counts that are kept beside the log, so that no page has to count it."""
    of_others = Member.project_id == project.id, Member.user_id != member.user_id
    others = session.scalar(select(func.sum(Member.done)).where(*of_others)) or 0
    team = min(int(others) + member.answered, project.slots_total)
    pace = _pace(session, member) if settings_of(project).show_pace else None
    return Progress(member.answered, team, project.slots_total, pace)


def _pace(session: Session, member: Member) -> float | None:
    last = (
        select(Label.seconds)
        .where(Label.project_id == member.project_id, Label.user_id == member.user_id)
        .order_by(Label.id.desc())
        .limit(20)
    )
    seconds = sorted(session.scalars(last))
    return seconds[len(seconds) // 2] if seconds else None


def _which(session: Session, item: Item) -> tuple[int, int]:
    """Which of the qualification items it is, from 1, and how many there are."""
    same = select(func.count()).select_from(Item)
    same = same.where(Item.project_id == item.project_id, Item.kind == ItemKind.qualification)
    total = session.scalar(same) or 0
    return (session.scalar(same.where(Item.position <= item.position)) or 0), total
