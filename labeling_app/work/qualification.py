"""The qualification set: whether an answer is right, and whether a person may go on to real work."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labeling_app.answers import Answer, side
from labeling_app.lookup import settings_of
from labeling_app.store.joins import NEWEST
from labeling_app.store.tables import (
    Assignment,
    AssignmentStatus,
    Item,
    ItemKind,
    Label,
    Member,
    Project,
    Qualification,
)


def feedback_on(answer: Answer, expected: Answer) -> bool:
    """Whether an answer agrees with the expected one: the same side, or the same best response."""
    if answer.kind != expected.kind:
        return False
    if answer.strength is not None and expected.strength is not None:
        return side(answer.strength) == side(expected.strength)
    if answer.ranks is not None and expected.ranks is not None:
        return _best(answer.ranks) == _best(expected.ranks)
    return True


def judge_member(session: Session, project: Project, member: Member) -> None:
    """Decide on a person who has answered all qualification items of a project."""
    items = select(func.count()).select_from(Item)
    total = session.scalar(items.where(Item.project_id == project.id, Item.kind == ItemKind.qualification)) or 0
    answered = (
        select(Label.answer, Item.expected)
        .join(Assignment, NEWEST)
        .join(Item, Item.id == Assignment.item_id)
        .where(
            Item.project_id == project.id,
            Item.kind == ItemKind.qualification,
            Assignment.user_id == member.user_id,
            Assignment.status.in_((AssignmentStatus.done, AssignmentStatus.skipped)),
        )
    )
    rows = session.execute(answered).all()
    if len(rows) < total:
        return
    right = sum(_is_right(answer, expected) for answer, expected in rows)
    enough = right >= settings_of(project).qualification_pass * total
    member.qualification = Qualification.passed if enough else Qualification.failed


def _is_right(answer: dict[str, object], expected: dict[str, object] | None) -> bool:
    return expected is not None and feedback_on(
        Answer.model_validate(answer), Answer.model_validate(expected["answer"])
    )


def _best(ranks: list[int]) -> set[int]:
    return {candidate for candidate, rank in enumerate(ranks) if rank == 1}
