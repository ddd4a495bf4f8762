"""The errors that a user can mend.

    RlhfError
    ├── ConfigError             an option, a YAML file, a command line
    ├── DataError               a data set: its file, its lines, its fields
    ├── ModelError              a model folder, a tokenizer, an adapter
    ├── MissingDependencyError  an optional package that is not installed
    └── TrainingError           a running job that can't go on (NaN, a reward function that fails)

Each says what is wrong, lists every single problem it found, and ends with the remedy. The command line and the recipes
show it on one screen and exit with code 2; a traceback is kept for the errors that are ours.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SHOWN_PROBLEMS = 20
EXIT_CODE = 2


class RlhfError(Exception):
    """An error with a cause that the user can mend.

    Args:
        message: what is wrong, in one sentence, naming the file, line or key.
        remedy: what to do about it.
        problems: the single findings, one line each; at most `SHOWN_PROBLEMS` of them are shown.
    """

    def __init__(self, message: str, *, remedy: str = "", problems: Sequence[str] = ()):
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  - {problem}" for problem in self.problems[:SHOWN_PROBLEMS]]
        hidden = len(self.problems) - SHOWN_PROBLEMS
        if hidden > 0:
            lines.append(f"  … and {hidden:,} more")
        if self.remedy:
            lines.append(f"Remedy: {self.remedy}")
        return "\n".join(lines)


class ConfigError(RlhfError):
    """An option that is unknown, of the wrong type, missing, or clashes with another."""


class DataError(RlhfError):
    """A data set that is missing, empty, or has rows that break the contract."""


class ModelError(RlhfError):
    """A model folder, tokenizer or adapter that can't be used."""


class MissingDependencyError(RlhfError):
    """An optional package that the chosen option needs."""

    def __init__(self, package: str, extra: str, needed_for: str):
        super().__init__(
            f"{needed_for} needs the package {package}, which is not installed.",
            remedy=f"pip install '{package}'  (or the whole extra: pip install '.[{extra}]')",
        )


class TrainingError(RlhfError):
    """A running job that can't go on; the last checkpoint is kept."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Show an `RlhfError` on standard error and exit with code 2. Also usable as a decorator."""
    try:
        yield
    except RlhfError as error:
        sys.stderr.write(f"\nError: {error}\n")
        raise SystemExit(EXIT_CODE) from error
