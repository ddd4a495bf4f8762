"""Adding a row of a key that somebody else may be adding at this moment."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from labeling_app.store.tables import Base


def added(session: Session, row: Base) -> bool:
    """Add a row; False where another transaction was first, whose row can be read now. What was done before stands."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True
