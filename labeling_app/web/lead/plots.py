"""The dashboard's plots: SVG in the page's colours, each with its title, and with what is good said in words."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup

from labeling_app.lead.figures import Dashboard
from labeling_app.lead.people_figures import PersonFigures
from rlhf import svg
from rlhf.stats.intervals import Interval

WIDTH, HEIGHT = 4.9, 2.3  # inches
ROW, AROUND_ROWS = 0.25, 0.75
MOST_PEOPLE = 30
DAYS_SHOWN = 60
NARROWEST = 0.2  # range of an axis
BLUE, ORANGE = svg.SERIES[0], svg.SERIES[1]
# Matplotlib keeps the style that is drawn with in one place for all threads.
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class Plot:
    """A plot with its heading, and what is good, for those who see it and those who don't."""

    title: str
    good: str
    drawing: Markup


def plots(found: Dashboard) -> list[Plot]:
    """Those plots for which there are figures."""
    made: list[Callable[[Dashboard], Plot | None]] = [_pace, _agreement, _left, _longer, _with_rest, _reading]
    with _DRAWING:
        return [plot for make in made if (plot := make(found)) is not None]


def _pace(found: Dashboard) -> Plot | None:
    days = found.pace[-DAYS_SHOWN:]
    if not days:
        return None
    told = f"{len(days)} days, {days[0].day} to {days[-1].day}; {days[-1].labels:,} judgements on the last."
    with svg.figure(WIDTH, HEIGHT) as (drawing, axes):
        places = [one.day.toordinal() for one in days]
        svg.bars(axes, places, [one.labels for one in days], BLUE)
        _days(axes, places)
        axes.yaxis.get_major_locator().set_params(integer=True)
        return _plot(drawing, "pace", "Judgements by day", "Good: steady, without days of rush.", told)


def _agreement(found: Dashboard) -> Plot | None:
    days = [(day, one) for day, one in found.agreement_by_day if one.value is not None][-DAYS_SHOWN:]
    if not days:
        return None
    values = [one.value or 0.0 for _, one in days]
    told = f"Couples took the same side in {values[0]:.0%} on {days[0][0]}, in {values[-1]:.0%} on {days[-1][0]}."
    good = "Couples who take the same side. Good: high and level; a fall asks for clearer guidelines, or a rest."
    with svg.figure(WIDTH, HEIGHT) as (drawing, axes):
        places = [day.toordinal() for day, _ in days]
        limits = [one.interval.limits if one.interval else None for _, one in days]
        svg.line_with_band(axes, places, values, limits, BLUE)
        _days(axes, places)
        lowest = min([low for low, _ in filter(None, limits)] + values)
        axes.set_ylim(max(0.0, lowest - 0.05), 1.02)
        _percent(axes.yaxis)
        return _plot(drawing, "agreement", "Agreement by day", good, told)


def _left(found: Dashboard) -> Plot | None:
    title = "How often the left response is taken"
    good = "Good: each bar crosses the line at one half: which side a response stands on decides nothing."
    return _by_person(found, "left", title, good, lambda one: one.left.interval, at=0.5)


def _longer(found: Dashboard) -> Plot | None:
    known = [one.longer.value for one in found.people if one.longer.value is not None]
    if not known:
        return None
    title = "How often the longer response is taken"
    good = "Good: all near the line, their median. Longer may be better; who stands apart goes by length."
    middle = float(np.median(known))
    return _by_person(found, "longer", title, good, lambda one: one.longer.interval, at=middle, color=ORANGE)


def _with_rest(found: Dashboard) -> Plot | None:
    good = "Good: far to the right. Who stands left of all others may read the guidelines in another way."
    return _by_person(found, "rest", "Agreement with the rest", good, lambda one: one.with_rest.interval)


def _reading(found: Dashboard) -> Plot | None:
    title = "Time against length, as a rank correlation"
    good = "Good: right of the line: what is longer takes longer. Near it, time doesn't depend on what is to be read."
    return _by_person(
        found, "reading", title, good, lambda one: one.speed_and_length, at=0.0, percent=False, color=ORANGE
    )


def _by_person(
    found: Dashboard,
    name: str,
    title: str,
    good: str,
    figure: Callable[[PersonFigures], Interval | None],
    *,
    at: float | None = None,
    percent: bool = True,
    color: str = BLUE,
) -> Plot | None:
    busiest = sorted(found.people, key=lambda one: -one.labels)[:MOST_PEOPLE]
    known = [(one.name, figure(one)) for one in sorted(busiest, key=lambda one: one.name)]
    rows = [(person, interval) for person, interval in known if interval is not None]
    if not rows:
        return None
    told = "; ".join(f"{person} {interval.estimate:{'.0%' if percent else '.2f'}}" for person, interval in rows) + "."
    if len(found.people) > MOST_PEOPLE:
        good += f" Shown are the {MOST_PEOPLE} who judged most."
    names, intervals = [_short(person) for person, _ in rows], [interval for _, interval in rows]
    with svg.figure(WIDTH, AROUND_ROWS + ROW * max(len(rows), 3)) as (drawing, axes):
        if at is not None:
            axes.axvline(at, color=svg.MUTED, linewidth=1, linestyle=(0, (3, 3)))
        estimates, limits = [one.estimate for one in intervals], [one.limits for one in intervals]
        svg.dots_with_intervals(axes, names, estimates, limits, color)
        _at_least(axes, NARROWEST)
        if percent:
            _percent(axes.xaxis)
        return _plot(drawing, name, title, good, told)


def _plot(drawing: Any, name: str, title: str, good: str, told: str) -> Plot:
    return Plot(title, good, Markup(svg.to_svg(drawing, f"plot-{name}", f"{told} {good}", title=title)))


def _at_least(axes: Any, width: float) -> None:
    """Show a range of some width: small differences are to look small."""
    low, high = axes.get_xlim()
    if high - low < width:
        middle = (low + high) / 2
        axes.set_xlim(middle - width / 2, middle + width / 2)


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _days(axes: Any, places: Sequence[int]) -> None:
    """A few dates under an axis of days."""
    first, last = places[0], places[-1]
    shown = sorted({round(first + (last - first) * part / 4) for part in range(5)})
    axes.set_xticks(shown, [f"{date.fromordinal(day):%d %b}".lstrip("0") for day in shown])
    axes.set_xlim(first - 1, last + 1)


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"
