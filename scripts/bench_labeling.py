"""Measure how long annotators wait for the labelling app's store.

    python scripts/bench_labeling.py           10,000 and 100,000 items, 50 annotators who think for a second
    python scripts/bench_labeling.py --items 20000 --annotators 10 --seconds 60 --json bench.json

Each size gets a SQLite file of its own. "next" claims the next item, "submit" stores an answer; each is a transaction
that is on the disk before it returns. The disk's own fsync is measured beside them.
"""

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

from labeling_bench.crowd import work
from labeling_bench.stores import filled, fsync_milliseconds
from rich.console import Console
from rich.table import Table

console = Console(highlight=False)


def main() -> None:
    """Measure every size, print a table, write JSON."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        fsync = fsync_milliseconds(Path(folder))
        sizes = [_measure(Path(folder), items, options) for items in options.items]
    found = {
        "machine": {"cpus": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "settings": {name: getattr(options, name) for name in ("annotators", "seconds", "thinking")},
        "fsync_ms": fsync,
        "sizes": sizes,
    }
    console.print(_table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _measure(folder: Path, items: int, options: argparse.Namespace) -> dict[str, Any]:
    with console.status(f"{items:,} items: filling the store"):
        database, project, users = filled(folder / f"{items}.db", items, options.annotators)
    with console.status(f"{items:,} items: {options.annotators} annotators for {options.seconds:.0f} s"):
        waits = work(database, project, users, seconds=options.seconds, thinking=options.thinking)
    database.close()
    return {"items": items, **waits.as_json()}


def _table(found: dict[str, Any]) -> Table:
    settings = found["settings"]
    title = f"{settings['annotators']} annotators thinking {settings['thinking']} s; fsync {found['fsync_ms']:.1f} ms"
    table = Table("items", "call", "calls", "p50 ms", "p95 ms", "max ms", title=title)
    for size in found["sizes"]:
        for call in ("next", "submit"):
            one = size[call]
            numbers = (f"{one[name]:.1f}" for name in ("p50", "p95", "max"))
            table.add_row(f"{size['items']:,}", call, f"{one['calls']:,}", *numbers)
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000], help="sizes of the project")
    parser.add_argument("--annotators", type=int, default=50, help="at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each size (default: %(default)s)")
    parser.add_argument("--thinking", type=float, default=1.0, help="seconds for one answer (default: %(default)s)")
    parser.add_argument("--dir", type=Path, help="where the stores lie, by default where temporary files do")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
