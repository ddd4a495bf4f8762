"""A run's metrics as pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlhf.runs import read_metrics


def plot_metrics(run_dir: Path, panels: Mapping[str, Sequence[str]], x: str = "step") -> list[Path]:
    """Draw one PNG for each panel into `run_dir/plots`.

    Args:
        run_dir: the run whose `metrics.jsonl` is read.
        panels: for each title the metrics that share its axes; a panel without any data is left out.
        x: the metric on the horizontal axis.

    Returns:
        The files written.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = read_metrics(run_dir)
    folder = run_dir / "plots"
    folder.mkdir(exist_ok=True)
    files = []
    for title, names in panels.items():
        series = {name: _series(rows, x, name) for name in names}
        series = {name: points for name, points in series.items() if points}
        if not series:
            continue
        figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
        for name, points in series.items():
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1.6)
        axes.set(title=title, xlabel=x)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if len(series) > 1:
            axes.legend(frameon=False, fontsize="small")
        file = folder / f"{title.lower().replace(' ', '_')}.png"
        figure.savefig(file, dpi=150)
        plt.close(figure)
        files.append(file)
    return files


def _series(rows: list[dict[str, Any]], x: str, name: str) -> list[tuple[float, float]]:
    return [(row[x], row[name]) for row in rows if x in row and name in row and math.isfinite(row[name])]
