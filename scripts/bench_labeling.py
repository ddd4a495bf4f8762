"""Measure how long annotators wait for the labelling app.

    python scripts/bench_labeling.py                           the store: 10,000 and 100,000 items, 50 annotators
    python scripts/bench_labeling.py --measure browser         one annotator in a real Chromium, 100,000 items
    python scripts/bench_labeling.py --measure label_studio    beside Label Studio, over HTTP
    python scripts/bench_labeling.py --measure store browser label_studio --json bench.json

store         50 annotators who think for a second. "next" claims the next item, "submit" stores an answer; each is a
              transaction that is on the disk before it returns. The disk's own fsync is measured beside them.
browser       from a key or a click until the next item is drawn and the page says "saved", by the page's own clock.
label_studio  the same items in both, each on a SQLite file of its own, in a server process of its own; the same teams,
              in turns. Ours sends what the page sends: one event stores the answer and brings the next item. Label
              Studio's page makes two calls for that, "submit" and "next". It is installed once, into --label_studio.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labeling_bench import browser, report, side_by_side
from labeling_bench.crowd import work
from labeling_bench.stores import filled, fsync_milliseconds
from rich.console import Console

from rlhf.errors import exit_on_error

console = Console(highlight=False)


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    """Take every measure that is asked for, print its table, write JSON."""
    options = _options(argv)
    measures = {"store": _store, "browser": _browser, "label_studio": _label_studio}
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        found: dict[str, Any] = {
            "machine": {
                "cpus": os.cpu_count(),
                "processor": platform.processor() or platform.machine(),
                "load_average": os.getloadavg(),  # above the number of cores, others were at work too
            },
            "fsync_ms": fsync_milliseconds(Path(folder)),
        }
        for name in options.measure:
            found[name] = measures[name](Path(folder), options)
            console.print(report.TABLES[name](found[name], found["fsync_ms"]))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _store(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    names = [f"annotator {number}" for number in range(options.annotators)]
    sizes = []
    for items in options.items:
        with console.status(f"{items:,} items: filling the store"):
            database, project, users = filled(folder / f"{items}.db", items, names)
        with console.status(f"{items:,} items: {options.annotators} annotators for {options.seconds:.0f} s"):
            waits = work(database, project, users, seconds=options.seconds, thinking=options.thinking)
        database.close()
        sizes.append({"items": items, **waits.as_json()})
    settings = {name: getattr(options, name) for name in ("annotators", "seconds", "thinking")}
    return {"settings": settings, "sizes": sizes}


def _browser(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    return browser.measure(max(options.items), options.answers, folder, console)


def _label_studio(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    plan = side_by_side.Plan(
        items=options.team_items,
        teams=tuple(options.teams),
        thinking=(options.thinking, 0.0),
        seconds=options.seconds,
        rounds=options.rounds,
    )
    return side_by_side.compare(plan, options.label_studio, folder, console)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--measure", nargs="+", choices=sorted(report.TABLES), default=["store"], help="default: %(default)s"
    )
    parser.add_argument(
        "--items",
        type=int,
        nargs="+",
        default=[10_000, 100_000],
        help="sizes of the project for the store; the browser gets the largest",
    )
    parser.add_argument("--annotators", type=int, default=50, help="at the store at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each measurement (default: %(default)s)")
    parser.add_argument("--thinking", type=float, default=1.0, help="seconds for one answer (default: %(default)s)")
    parser.add_argument("--answers", type=int, default=100, help="in the browser, by keys and by clicks each")
    parser.add_argument("--teams", type=int, nargs="+", default=[1, 10], help="annotators beside Label Studio's")
    parser.add_argument("--team_items", type=int, default=10_000, help="items there (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of either side (default: %(default)s)")
    parser.add_argument(
        "--label_studio",
        type=Path,
        default=Path("assets/bench/label-studio"),
        metavar="FOLDER",
        help="where it is installed, or will be (default: %(default)s)",
    )
    parser.add_argument("--dir", type=Path, help="where the stores lie, by default where temporary files do")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
