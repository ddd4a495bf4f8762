"""The table of annotators: which columns it has, what stands in a cell, and in which order its rows stand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labeling_app.lead.people_figures import Drift, PersonFigures, Share
from rlhf.stats.intervals import Interval


@dataclass(frozen=True)
class Cell:
    """A figure, and under it what it may be as well."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Column:
    """A column; `key` names it in addresses, `value` is what it is sorted by, `meaning` explains its heading."""

    key: str
    title: str
    meaning: str
    value: Callable[[PersonFigures], float | str | None]
    cell: Callable[[PersonFigures], Cell]


@dataclass(frozen=True)
class Row:
    """A person with their figures, and the reasons to look at them."""

    name: str
    withheld: bool
    cells: list[Cell]
    reasons: list[str]


@dataclass(frozen=True)
class Heading:
    """A column's heading: a link that sorts by it, the other way where it is sorted by it already."""

    title: str
    meaning: str
    query: str
    order: str  # "ascending", "descending" or "none", as browsers are told


NOTHING = Cell("–")


def shown_share(share: Share) -> Cell:
    if share.interval is None:
        return NOTHING
    of = f" · of {share.of:,}" if share.warning else ""
    return Cell(f"{share.interval.estimate:.0%}", f"{_limits(share.interval)}{of}")


def _limits(interval: Interval) -> str:
    return f"{interval.low * 100:.0f}–{interval.high:.0%}"


def _labels(one: PersonFigures) -> Cell:
    return Cell(f"{one.labels:,}", f"{one.late:,} late" if one.late else "")


def _seconds(one: PersonFigures) -> Cell:
    return NOTHING if one.median_seconds is None else Cell(f"{one.median_seconds:.0f} s")


def _reading(one: PersonFigures) -> Cell:
    found = one.speed_and_length
    if found is None:
        return NOTHING
    return Cell(_signed(found.estimate), f"{_signed(found.low)}…{_signed(found.high)}")


def _drift(one: PersonFigures) -> Cell:
    found: Drift = one.drift
    if found.pace is None:
        return NOTHING
    agreement = "" if found.agreement is None else f"agr. {_signed(found.agreement * 100, 0)}%"
    return Cell(f"{_signed((found.pace - 1) * 100, 0)}% time", agreement)


def _signed(number: float, digits: int = 2) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")


def _of_share(key: str, title: str, meaning: str, share: Callable[[PersonFigures], Share]) -> Column:
    return Column(key, title, meaning, lambda one: share(one).value, lambda one: shown_share(share(one)))


COLUMNS = (
    Column("labels", "Judgements", "of work, without checks", lambda one: one.labels, _labels),
    _of_share("gold", "Gold right", "gold items on which the side was right", lambda one: one.gold),
    _of_share("rest", "With the rest", "others' judgements of an item that say the same", lambda one: one.with_rest),
    _of_share("left", "Left taken", "decided comparisons won by the left one: half is good", lambda one: one.left),
    _of_share("longer", "Longer taken", "decided comparisons won by the longer one", lambda one: one.longer),
    _of_share("ties", "Ties", "judgements that decide nothing", lambda one: one.ties),
    Column("seconds", "Time", "median for a judgement, without idling", lambda one: one.median_seconds, _seconds),
    Column(
        "reading",
        "Reads",
        "rank correlation of time with length: who hardly reads is near 0",
        lambda one: one.speed_and_length.estimate if one.speed_and_length else None,
        _reading,
    ),
    _of_share("repeats", "Repeats", "hidden repeats, sides swapped, with the same winner", lambda one: one.consistency),
    Column("drift", "Drift", "last third of a session against the first", lambda one: one.drift.pace, _drift),
)
BY_NAME = Column("name", "Annotator", "", lambda one: one.name, lambda one: Cell(one.name))


def rows(people: Sequence[PersonFigures], reasons: dict[int, list[str]], sort: str, down: bool) -> list[Row]:
    """The rows in order; those without the figure that is sorted by come last, whichever way."""
    column = _column(sort)
    known = [one for one in people if column.value(one) is not None]
    known.sort(key=lambda one: one.name)
    known.sort(key=lambda one: column.value(one), reverse=down)  # type: ignore[arg-type,return-value]
    unknown = sorted((one for one in people if column.value(one) is None), key=lambda one: one.name)
    return [
        Row(one.name, one.withheld, [each.cell(one) for each in COLUMNS], reasons.get(one.user_id, []))
        for one in [*known, *unknown]
    ]


def headings(sort: str, down: bool) -> list[Heading]:
    """The headings of all columns, the name's first. Figures are sorted from the largest first, names from a to z."""
    current = _column(sort).key
    found = []
    for one in (BY_NAME, *COLUMNS):
        first_down = one is not BY_NAME
        turned = not down if one.key == current else first_down
        order = "none" if one.key != current else "descending" if down else "ascending"
        found.append(Heading(one.title, one.meaning, f"sort={one.key}&order={'down' if turned else 'up'}", order))
    return found


def _column(key: str) -> Column:
    return next((one for one in COLUMNS if one.key == key), BY_NAME)
