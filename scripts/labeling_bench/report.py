"""What was measured, as tables."""

from collections.abc import Callable
from typing import Any

from rich.table import Table

from labeling_bench.figures import Summary

NUMBERS = ("p50 ms", "p95 ms", "max ms")


def store(found: dict[str, Any], fsync_ms: float) -> Table:
    settings = found["settings"]
    title = f"{settings['annotators']} annotators thinking {settings['thinking']:g} s; fsync {fsync_ms:.1f} ms"
    table = Table("items", "call", "calls", *NUMBERS, title=title)
    for size in found["sizes"]:
        for call in ("next", "submit"):
            table.add_row(f"{size['items']:,}", call, *_cells(size[call]))
    return table


def browser(found: dict[str, Any], fsync_ms: float) -> Table:
    title = f"Chromium {found['chromium']}, {found['items']:,} items; fsync {fsync_ms:.1f} ms"
    table = Table("from", "answers", *NUMBERS, title=title)
    for how in ("key", "click"):
        table.add_row(how, *_cells(found[how]))
    return table


def label_studio(found: dict[str, Any], fsync_ms: float) -> Table:
    title = f"beside Label Studio {found['version']}, {found['items']:,} items; fsync {fsync_ms:.1f} ms"
    table = Table("team", "thinking", "step", "calls", *NUMBERS, "p95 / ours", title=title)
    for run in found["runs"]:
        who = str(run["annotators"]), f"{run['thinking']:g} s"
        table.add_row(*who, "ours: answer and next", *_cells(run["ours"]["answer and next"]), "")
        for step, of_them in run["label_studio"].items():
            times = f"{run['ratio'][step]['p95']:.1f}"
            table.add_row(*who, f"Label Studio: {step}", *_cells(of_them), times)
        table.add_section()
    return table


def _cells(one: Summary) -> list[str]:
    return [f"{one['calls']:,}", *(f"{one[name]:.1f}" for name in ("p50", "p95", "max"))]


TABLES: dict[str, Callable[[dict[str, Any], float], Table]] = {
    "store": store,
    "browser": browser,
    "label_studio": label_studio,
}
