"""One progress bar over everything that an evaluation does, so that the time left is that of the whole."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol

from tqdm import tqdm


class Progress(Protocol):
    """What the long loops report to."""

    def stage(self, name: str) -> None:
        """Say what is being done now."""

    def done(self, sequences: int) -> None:
        """So many sequences more have been generated or scored."""


class Bar:
    """A tqdm bar that counts sequences."""

    def __init__(self, bar: "tqdm[NoReturn]"):
        self._bar = bar

    def stage(self, name: str) -> None:
        self._bar.set_description_str(f"{name:<32.32}")

    def done(self, sequences: int) -> None:
        self._bar.update(sequences)


class Quiet:
    """No bar."""

    def stage(self, name: str) -> None: ...

    def done(self, sequences: int) -> None: ...


@contextmanager
def progress_bar(sequences: int) -> Iterator[Progress]:
    """A bar over `sequences` sequences, to score or to generate, with the time left."""
    with tqdm(total=sequences, unit="seq", smoothing=0.05, dynamic_ncols=True) as bar:
        yield Bar(bar)


def longest_first(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Positions in batches of `size`, those of like length together, the longest first.

    Sorting keeps padding small; the longest batch comes first so that a lack of memory shows at once.
    """
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    return [order[start : start + size] for start in range(0, len(order), size)]
