"""The sides in turns, each time in a fresh process, so that a slow phase of the machine hits all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ppo_bench.figures import Run, differences
from ppo_bench.processes import ChildFailed
from ppo_bench.workload import VARIANTS, Workload
from rlhf.errors import RlhfError

# Seconds of the processes that have ended, by workload and side.
Seen = Mapping[tuple[Workload, str], Sequence[float]]
Measure = Callable[[Workload, str, Callable[[], None]], dict[str, Any]]


@dataclass(frozen=True)
class Turn:
    """One process: a side on a workload, in a round counted from 1."""

    workload: Workload
    variant: str
    round: int

    @property
    def key(self) -> tuple[Workload, str]:
        return self.workload, self.variant


def in_turns(workloads: Sequence[Workload], variants: Sequence[str], rounds: int) -> list[Turn]:
    """Round after round every workload, by one side after the other; another side begins each round."""
    turns = []
    for number in range(rounds):
        start = number % len(variants)
        order = [*variants[start:], *variants[:start]]
        turns += [Turn(workload, variant, number + 1) for workload in workloads for variant in order]
    return turns


def seconds_left(turns: Sequence[Turn], seen: Seen) -> float | None:
    """How long these turns will take, from what is known: the same turn, else the side elsewhere, else anything."""
    if not seen:
        return None
    everything = fmean(second for seconds in seen.values() for second in seconds)
    total = 0.0
    for turn in turns:
        of_side = [second for (_, variant), seconds in seen.items() if variant == turn.variant for second in seconds]
        total += fmean(seen.get(turn.key) or of_side or [everything])
    return total


def shown(seconds: float | None) -> str:
    """A duration for a person: `1 h 20 min`, `12 min`, `40 s`."""
    if seconds is None:
        return "?"
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{max(seconds, 0):.0f} s"


class TurnTaker:
    """Takes the turns, shows which one is running and how long all will take, and keeps what they measured."""

    def __init__(self, measure: Measure, rollouts: int, console: Console, *, keep_going: bool = False):
        """
        Args:
            measure: runs a side on a workload, and calls back at each rollout.
            rollouts: of each process.
            console: where the progress goes.
            keep_going: whether a side that runs out of memory is recorded as that, instead of ending everything.
        """
        self.measure = measure
        self.rollouts = rollouts
        self.console = console
        self.keep_going = keep_going
        self.runs: dict[Workload, list[Run]] = {}
        self._seen: dict[tuple[Workload, str], list[float]] = {}

    def take(self, turns: Sequence[Turn], after_each: Callable[[], None] = lambda: None) -> None:
        """Take all turns, in their order.

        Raises:
            RlhfError: a process failed, or two sides did work that can't be compared.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        columns = (*columns, TextColumn("{task.fields[left]} left"))
        # Drawn at each rollout only: what wakes up beside two threads that wait for each other slows the measured one.
        with Progress(*columns, console=self.console, auto_refresh=False) as progress:
            bar = progress.add_task("", total=len(turns) * self.rollouts, left="?")
            for number, turn in enumerate(turns):
                self._take(turn, turns[number + 1 :], progress, bar)
                left = shown(seconds_left(turns[number + 1 :], self._seen))
                progress.update(bar, completed=(number + 1) * self.rollouts, left=left, refresh=True)
                after_each()

    def _take(self, turn: Turn, rest: Sequence[Turn], progress: Progress, bar: TaskID) -> None:
        runs = self.runs.setdefault(turn.workload, [])
        if any("failed" in run and run["variant"] == turn.variant for run in runs):
            return  # it would fail again
        started = time.monotonic()

        def show(advance: int = 1) -> None:
            expected, later = seconds_left([turn], self._seen), seconds_left(rest, self._seen)
            left = None if expected is None or later is None else later + max(expected - time.monotonic() + started, 0)
            progress.update(bar, advance=advance, left=shown(left), refresh=True)

        progress.update(bar, description=f"round {turn.round}: {VARIANTS[turn.variant]}")
        show(advance=0)
        run = self._run(turn, show)
        self._seen.setdefault(turn.key, []).append(time.monotonic() - started)
        first = next((other for other in runs if "failed" not in other), run)
        problems = [] if "failed" in run else differences(turn.workload, run, first)
        if problems:
            raise RlhfError(
                "The sides did not do the same work, so their times can't be compared.",
                problems=problems,
                remedy="report this with the command that you ran.",
            )
        runs.append(run)
        progress.console.print(f"  round {turn.round}  {VARIANTS[turn.variant]:16} {_in_short(run)}", highlight=False)

    def _run(self, turn: Turn, show: Callable[[], None]) -> dict[str, Any]:
        label = {"variant": turn.variant, "round": turn.round}
        try:
            return label | self.measure(turn.workload, turn.variant, show)
        except ChildFailed as error:
            if not (self.keep_going and error.out_of_memory):
                raise
            return label | {"failed": error.message}


def _in_short(run: Run) -> str:
    if "failed" in run:
        return str(run["failed"])
    seconds = median(step["seconds"] for step in run["steps"])
    return f"{seconds:6.1f} s a rollout, at most {run['peak_memory_bytes'] / 2**30:.2f} GiB"
