"""Verbs that are run again where PostgreSQL gave up one of two transactions that waited for each other.

What was given up is undone as a whole, so a verb that is one transaction can simply begin anew. SQLite has one writer
at a time, and nothing to give up.
"""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from labeling_app.errors import Conflict

ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.02  # at most; each further one is twice as long

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def retried(verb: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a verb again after a conflict, a few times, after waits that chance makes different for each of the two.

    Raises:
        Conflict: it met one every time.
    """

    @wraps(verb)
    def patient(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        for attempt in range(ATTEMPTS - 1):
            try:
                return verb(*args, **kwargs)
            except Conflict:
                time.sleep(random.uniform(0, FIRST_WAIT_SECONDS * 2**attempt))
        return verb(*args, **kwargs)

    return patient
