"""What the app tells a person who asked for something that can't be.

    RlhfError
    └── LabelingError
        ├── NotAllowed    this person may not do this
        │   └── Throttled too many wrong attempts came before: not now
        ├── NotFound      there is no such thing, or this person may not know of it
        ├── Refused       what was sent is not acceptable: incomplete, too long, of the wrong form
        └── Unavailable   the store can't be reached or written to: a full disk, a lost server
            └── Conflict  two transactions waited for each other, and this one was given up

The pages show the message and the remedy; no other text of an exception ever reaches a browser.
"""

from rlhf.errors import RlhfError


class LabelingError(RlhfError):
    """An error that is shown to the person who caused it."""


class NotAllowed(LabelingError):
    """This person may not do this."""


class Throttled(NotAllowed):
    """Too many wrong attempts came before this one; `seconds` from now it is looked at."""

    def __init__(self, message: str, *, remedy: str, seconds: int):
        super().__init__(message, remedy=remedy)
        self.seconds = seconds


class NotFound(LabelingError):
    """There is no such thing, or this person may not know of it: the two can't be told apart from outside."""


class Refused(LabelingError):
    """What was sent is not acceptable."""


class Unavailable(LabelingError):
    """The store can't be reached or written to; nothing was stored, or it says what."""


class Conflict(Unavailable):
    """Two transactions waited for each other, and this one was given up; `store.retrying` runs it again."""
