"""What the runs behind a report say of themselves: their curves, their manifests, their wall time."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlhf import svg
from rlhf.errors import DataError
from rlhf.runs import read_metrics

# GRPO and RLOO.
GROUP_PANELS: dict[str, tuple[str, ...]] = {
    "score": ("objective/scores_before_penalty", "reward"),
    "KL to the reference": ("objective/kl", "kl"),
    "entropy": ("entropy",),
    "response length": ("completions/mean_length",),
}
# For each recipe what is worth a look, by the title of its panel; the first metric that a run has is drawn.
PANELS: dict[str, dict[str, tuple[str, ...]]] = {
    "sft": {"loss": ("loss", "train/loss"), "held-out loss": ("eval_loss",)},
    "reward": {
        "loss": ("loss",),
        "accuracy on training pairs": ("accuracy", "train/accuracy"),
        "held-out accuracy": ("eval_accuracy",),
    },
    "ppo": {
        "score": ("objective/scores", "objective/rlhf_reward"),
        "KL to the reference": ("objective/kl",),
        "entropy": ("objective/entropy", "policy/entropy_avg"),
        "explained variance of the value": ("val/explained_variance", "value/explained_variance"),
    },
    "dpo": {
        "loss": ("loss",),
        "accuracy of the implied reward": ("rewards/accuracies",),
        "margin of the implied reward": ("rewards/margins",),
    },
    "grpo": GROUP_PANELS,
    "rloo": GROUP_PANELS,
}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run directory; None where there is none (a model from elsewhere)."""
    file = folder / "manifest.json"
    if not file.is_file():
        return None
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return manifest


def summarize_run(folder: str) -> dict[str, Any]:
    """Where a model comes from, in short, for the report's provenance."""
    manifest = read_manifest(Path(folder)) or {}
    keys = (
        "run_id",
        "recipe",
        "status",
        "created_at",
        "wall_seconds",
        "seed",
        "parents",
        "data",
        "base_model",
        "summary",
    )
    labels = manifest.get("label_ids")
    return {
        "path": folder,
        **{key: manifest[key] for key in keys if key in manifest},
        **({"labels_used": len(labels)} if labels is not None else {}),
    }


def read_stage_seconds(file: str | None) -> dict[str, float]:
    """Wall seconds by stage, as the script that ran the stages recorded them; empty without a file.

    A stage is a number of seconds, or an object with `wall_seconds` among its entries.

    Raises:
        DataError: the file holds something else.
    """
    if file is None or not Path(file).is_file():
        return {}
    try:
        stages = json.loads(Path(file).read_text(encoding="utf-8"))
        return {
            str(name): float(stage["wall_seconds"] if isinstance(stage, dict) else stage)
            for name, stage in stages.items()
        }
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(
            f"{file} is no record of stages: {type(error).__name__}: {error}",
            remedy='It has to be of the form {"stage": seconds}, or {"stage": {"wall_seconds": seconds}}.',
        ) from error


def curves(folders: Mapping[str, str]) -> list[dict[str, str]]:
    """One row of small plots for each run with metrics: its name and the SVG."""
    found = []
    for name, folder in folders.items():
        recipe = (read_manifest(Path(folder)) or {}).get("recipe", "")
        panels = _panels(read_metrics(Path(folder)), PANELS.get(recipe, {"loss": ("loss",)}))
        if panels:
            found.append({"name": name, "svg": _draw(name, panels)})
    return found


def _panels(
    rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, tuple[str, ...]]
) -> dict[str, list[tuple[float, float]]]:
    panels = {}
    for title, names in wanted.items():
        series = next((points for name in names if len(points := series_of(rows, "step", name)) > 1), None)
        if series:
            panels[title] = series
    return panels


def series_of(rows: Sequence[Mapping[str, Any]], x: str, y: str) -> list[tuple[float, float]]:
    """The finite points of two metrics that were logged together."""
    points = [(row[x], row[y]) for row in rows if x in row and y in row]
    return [(float(a), float(b)) for a, b in points if math.isfinite(a) and math.isfinite(b)]


def _draw(name: str, panels: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    with svg.figure(2.4 * 4, 1.75, 1, 4, squeeze=False) as (drawing, grid):
        for axes, (title, points) in zip(grid[0], panels.items(), strict=False):
            axes.plot(*zip(*points, strict=True), color=svg.SERIES[1], linewidth=1.6)
            axes.set_title(title, fontsize=8.5, fontweight="normal")
            axes.locator_params(nbins=4)
            axes.tick_params(labelsize=7.5)
        for axes in grid[0][len(panels) :]:
            axes.set_visible(False)
        return svg.to_svg(drawing, f"curves-{name}", f"Training curves of {name}: {', '.join(panels)}")
