"""Which numbers an option may be."""

from collections.abc import Callable, Iterator
from typing import Any

# The option, what it must be in words, and whether a number is that.
Ranges = tuple[tuple[str, str, Callable[[float], bool]], ...]


def out_of_range(options: Any, ranges: Ranges) -> Iterator[str]:
    """A sentence for each option that is set and out of its range."""
    for name, wanted, holds in ranges:
        if getattr(options, name) is not None and not holds(getattr(options, name)):
            yield f"{name} is {getattr(options, name)}; it must be {wanted}"
