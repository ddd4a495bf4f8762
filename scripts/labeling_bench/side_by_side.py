"""Our page's events and Label Studio's calls, in turns, by the same annotators: as many, as quick to think."""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from labeling_bench.figures import ratio, summary
from labeling_bench.label_studio import VERSION, TheirAnnotator, fill, install, label_studio
from labeling_bench.ours import PASSWORD, OurAnnotator, our_server
from labeling_bench.processes import MeasureFailed
from labeling_bench.stores import filled, rows

OVERLAP = 3
STEPS = ("submit", "next", "answer and next")
Waits = dict[str, list[float]]


class Annotator(Protocol):
    """Somebody at a labelling page."""

    async def begin(self) -> None: ...
    async def answer(self, thinking: float) -> dict[str, float]: ...
    async def end(self) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What is measured: each team, thinking and not, for so many seconds, each round once on either side."""

    items: int
    teams: tuple[int, ...]
    thinking: tuple[float, ...]
    seconds: float
    rounds: int


def compare(plan: Plan, program_folder: Path, scratch: Path, console: Console) -> dict[str, Any]:
    """Fill both stores with the same items, and let the same teams work on them."""
    program = install(program_folder, console)
    names = [f"annotator {number}" for number in range(max(plan.teams))]
    items = list(rows(plan.items))
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        with console.status(f"{plan.items:,} items: filling our store"):
            began = time.perf_counter()
            database, _, _ = filled(Path(folder) / "ours.db", plan.items, names, overlap=OVERLAP, password=PASSWORD)
            database.close()
            import_seconds = {"ours": time.perf_counter() - began}
        (Path(folder) / "ours").mkdir()
        with (
            our_server(Path(folder) / "ours", str(database.path)) as ours,
            label_studio(program, Path(folder)) as theirs,
        ):
            with console.status(f"{plan.items:,} items: filling Label Studio's store"):
                tasks = [{"prompt": row["prompt"], "a": row["responses"][0], "b": row["responses"][1]} for row in items]
                project, import_seconds["label_studio"] = fill(theirs, tasks, OVERLAP, names)
            runs = _in_turns(
                plan,
                {
                    "ours": lambda name: OurAnnotator(ours, name),
                    "label_studio": lambda name: TheirAnnotator(theirs, name, project),
                },
                names,
                console,
            )
    return {"version": VERSION, "items": plan.items, "import_seconds": import_seconds, "runs": runs}


def _in_turns(
    plan: Plan, sides: dict[str, Callable[[str], Annotator]], names: Sequence[str], console: Console
) -> list[dict[str, Any]]:
    runs = []
    for team in plan.teams:
        for thinking in plan.thinking:
            waits: dict[str, Waits] = {side: defaultdict(list) for side in sides}
            for number in range(plan.rounds):
                for side, sitting_down in sides.items():
                    with console.status(f"{team} thinking {thinking:g} s, round {number + 1}: {side}"):
                        people = [sitting_down(name) for name in names[:team]]
                        asyncio.run(work(people, waits[side], seconds=plan.seconds, thinking=thinking))
            found = {side: {step: summary(took) for step, took in steps.items()} for side, steps in waits.items()}
            times = {
                step: ratio(of_them, found["ours"]["answer and next"])
                for step, of_them in found["label_studio"].items()
            }
            runs.append({"annotators": team, "thinking": thinking, **found, "ratio": times})
    return runs


async def work(people: Sequence[Annotator], waits: Waits, *, seconds: float, thinking: float) -> None:
    """Let everybody answer for so long. They begin one after the other, within the time that one thinks.

    Raises:
        MeasureFailed: an answer wasn't stored, or the items ran out.
    """
    for person in people:
        await person.begin()
    end = time.monotonic() + seconds
    delays = [thinking * number / len(people) for number in range(len(people))]
    try:
        async with asyncio.TaskGroup() as group:
            for person, delay in zip(people, delays, strict=True):
                group.create_task(_annotate(person, waits, end, thinking, delay))
    except* MeasureFailed as failures:
        raise failures.exceptions[0] from None
    finally:
        for person in people:
            await person.end()


async def _annotate(person: Annotator, waits: Waits, end: float, thinking: float, delay: float) -> None:
    await asyncio.sleep(delay)
    while time.monotonic() < end:
        await asyncio.sleep(thinking)
        for step, took in (await person.answer(thinking)).items():
            waits[step].append(took)
