"""What a person has typed or chosen and not submitted: it survives a reload, another device, and the server."""

import json
from typing import Any

from labeling_app.answers import LONGEST_TEXT
from labeling_app.errors import NotFound, Refused
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import AssignmentStatus, Draft
from labeling_app.work.seats import own

LONGEST_DRAFT = 3 * LONGEST_TEXT


@retried
def save_draft(database: Database, user_id: int, assignment_id: int, content: dict[str, Any]) -> None:
    """Keep the newest state of a page.

    Raises:
        NotAllowed: the account can't be used, or is paused.
        NotFound: the item isn't in this person's hands.
        Refused: the draft is too long.
    """
    if len(json.dumps(content, ensure_ascii=False)) > LONGEST_DRAFT:
        raise Refused(f"A draft has at most {LONGEST_DRAFT:,} characters.", remedy="shorten the text.")
    with database.write() as session:
        now = database.now()
        assignment, _ = own(session, now, user_id, assignment_id)
        if assignment.status is not AssignmentStatus.open:
            raise NotFound("This item is no longer in your hands.", remedy="load the page again.")
        session.merge(Draft(assignment_id=assignment_id, content=content, saved_at=now))
