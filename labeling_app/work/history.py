"""What a person has answered, the newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from labeling_app.access import require_user
from labeling_app.answers import Answer, to_shown
from labeling_app.store import Database
from labeling_app.store.tables import Assignment, Item, ItemKind, Label


@dataclass(frozen=True)
class Past:
    """An own answer, in the order in which its item was shown.

    Attributes:
        at: when it was answered, or corrected last.
        late: it came after its lease had ended.
    """

    assignment_id: int
    prompt: Any
    responses: list[Any]
    answer: Answer
    revision: int
    at: datetime
    late: bool


def past(
    database: Database, user_id: int, project_id: int, *, limit: int = 50, before: int | None = None
) -> list[Past]:
    """Own answers, the last claimed first; hidden checks look like any other. Qualification items are left out.

    Args:
        before: an assignment's id: only earlier ones, to go on from the end of a page.

    Raises:
        NotAllowed: the account can't be used, or is paused.
    """
    with database.read() as session:
        require_user(session, user_id)
        found = (
            select(Assignment, Item, Label)
            .join(Item, Item.id == Assignment.item_id)
            .join(Label, Label.id == Assignment.label_id)
            .where(
                Assignment.user_id == user_id,
                Assignment.project_id == project_id,
                Item.kind != ItemKind.qualification,
            )
            .order_by(Assignment.id.desc())
            .limit(min(limit, 200))
        )
        if before is not None:
            found = found.where(Assignment.id < before)
        return [_past(assignment, item, label) for assignment, item, label in session.execute(found)]


def _past(assignment: Assignment, item: Item, label: Label) -> Past:
    return Past(
        assignment_id=assignment.id,
        prompt=item.prompt,
        responses=[item.responses[candidate] for candidate in assignment.order],
        answer=to_shown(Answer.model_validate(label.answer), assignment.order),
        revision=label.revision,
        at=label.created_at,
        late=label.late,
    )
