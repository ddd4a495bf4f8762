"""The report's figures, each an SVG drawn from the report's own dictionary; None where there is nothing to draw."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rlhf import svg
from rlhf.evaluation.samples import SCORES
from rlhf.evaluation.verdict import label

WIDE, HALF = 9.6, 5.0
Report = Mapping[str, Any]


def series_colors(report: Report) -> dict[str, str]:
    """A colour for each policy, by its place in the report; used alike in figures and tables."""
    return {name: svg.SERIES[i % len(svg.SERIES)] for i, name in enumerate(report["policies"])}


def gains(report: Report) -> str | None:
    """How far each policy rose over the reference, by judge, in standard deviations of the reference's scores."""
    reference, judges = report["settings"]["reference"], report["judges"]
    names = [name for name in report["policies"] if name != reference]
    fields = [field for field in SCORES if any(report["policies"][n].get(f"{field}_gain") is not None for n in names)]
    if not names or not fields:
        return None
    colors = series_colors(report)
    with svg.figure(WIDE, 1.0 + 0.46 * len(names), 1, len(fields), sharex=True, sharey=True, squeeze=False) as (
        drawing,
        grid,
    ):
        for axes, field in zip(grid[0], fields, strict=True):
            for row, name in enumerate(reversed(names)):
                figures = report["policies"][name]
                if figures.get(f"{field}_gain") is not None:
                    _dot(axes, figures[f"{field}_gain"], row, figures["ci95"].get(f"{field}_gain"), colors[name])
            axes.axvline(0, color=svg.MUTED, linewidth=1)
            axes.set(title=_sentence(judges[field]), ylim=(-0.5, len(names) - 0.3))
            axes.set_yticks(range(len(names)), [label(name) for name in reversed(names)])
            axes.tick_params(axis="y", labelcolor=svg.INK, labelsize=10)
            axes.grid(axis="y", visible=False)
            axes.margins(x=0.12)
        drawing.supxlabel(
            f"rise over {label(reference)}, in standard deviations of its scores", fontsize=9, color=svg.MUTED
        )
        return svg.to_svg(drawing, "gains", f"Rise of each policy over {label(reference)} according to each judge")


def _dot(axes: Any, x: float, y: float, limits: Sequence[float] | None, color: str) -> None:
    """A point with its horizontal interval and its value above."""
    if limits:
        axes.plot(limits, [y, y], color=color, linewidth=3.2, alpha=0.45, solid_capstyle="round")
    axes.plot([x], [y], "o", color=color, markersize=7, markeredgecolor=svg.PAPER, markeredgewidth=1.2)
    axes.annotate(f"{x:+.2f}".replace("-", "−"), (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=8.5)


def reward_against_kl(report: Report, training: Mapping[str, Sequence[tuple[float, float]]]) -> str | None:
    """Gain against KL: a point for each policy, the curves, and where they are read.

    Args:
        report: the report.
        training: (KL, gain) points of training rollouts by policy, drawn thin; may be empty.
    """
    reference = report["settings"]["reference"]
    kl_name = f"kl_to_{reference}"
    measured = {name: figures for name, figures in report["policies"].items() if figures.get("reward_gain") is not None}
    if len(measured) < 2:
        return None
    colors = series_colors(report)
    with svg.figure(HALF, 3.5) as (drawing, axes):
        for name, points in training.items():
            axes.plot(*zip(*points, strict=True), color=colors[name], linewidth=1, alpha=0.55)
        for curve in report["equal_kl"].values():
            points = [(0.0, 0.0), *sorted((point["kl"], point["gain"]) for point in curve["points"])]
            color = colors[curve["points"][-1]["policy"]]
            axes.plot(*zip(*points, strict=True), color=color, linewidth=1.4, linestyle=(0, (4, 3)))
            for read in curve["at"]:
                if read["gain"] is not None:
                    axes.plot([read["kl"]], [read["gain"]], "D", color=color, markersize=4.5)
        for name, figures in measured.items():
            _cross(axes, figures, kl_name, "reward_gain", colors[name], hollow=name in report["best_of"])
            axes.annotate(label(name), (figures[kl_name], figures["reward_gain"]), (8, 5), textcoords="offset points")
        axes.set(xlabel=f"KL to {label(reference)}, nats per response", ylabel="gain, standard deviations")
        axes.margins(0.1)
        return svg.to_svg(drawing, "kl", f"Gain of the reward against the KL to {label(reference)}, by policy")


def _cross(axes: Any, figures: Mapping[str, Any], x_name: str, y_name: str, color: str, *, hollow: bool) -> None:
    """A point with an interval in both directions; hollow where its KL is an upper bound."""
    x, y = figures[x_name], figures[y_name]
    for name in (x_name, y_name):
        limits = figures["ci95"].get(name)
        if limits:
            xs, ys = (limits, [y, y]) if name == x_name else ([x, x], limits)
            axes.plot(xs, ys, color=color, linewidth=2.6, alpha=0.45, solid_capstyle="round")
    inside, edge = (svg.PAPER, color) if hollow else (color, svg.PAPER)
    axes.plot([x], [y], "o", color=inside, markersize=7.5, markeredgecolor=edge, markeredgewidth=1.2, zorder=3)


def accuracy_by_margin(report: Report) -> str | None:
    """The reward model's accuracy by how clear people's preference is, with what one person alone reaches."""
    rows = (report["reward_model"] or {}).get("by_margin") or []
    if not rows:
        return None
    with svg.figure(HALF, 3.5) as (drawing, axes):
        places = np.arange(len(rows))
        for place, row in zip(places, rows, strict=True):
            axes.plot([place] * 2, row["ci95"], color=svg.SERIES[1], linewidth=5, alpha=0.35, solid_capstyle="round")
            axes.plot([place], [row["accuracy"]], "o", color=svg.SERIES[1], markersize=8, markeredgecolor=svg.PAPER)
            axes.annotate(f"{row['accuracy']:.0%}", (place, row["accuracy"]), (9, -3), textcoords="offset points")
        people = [row["people_agreement"] for row in rows]
        if all(share is not None for share in people):
            axes.plot(places, people, color=svg.MUTED, linestyle=(0, (2, 2)), linewidth=1.4)
            spot, share = places[len(rows) // 2], people[len(rows) // 2]
            axes.annotate(
                "one person alone", (spot, share), (-8, 7), textcoords="offset points", ha="right", color=svg.MUTED
            )
        axes.axhline(0.5, color=svg.MUTED, linewidth=0.8)
        axes.text(-0.45, 0.505, "chance", fontsize=8, color=svg.MUTED, va="bottom")
        axes.set_xticks(places, [f"{_range(row)}\n{row['pairs']:,} pairs" for row in rows])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set(xlim=(-0.5, len(rows) - 0.3), ylim=(0.45, 1.03), xlabel="margin: how clear people's preference is")
        axes.grid(axis="x", visible=False)
        return svg.to_svg(drawing, "margin", "Accuracy of the reward model by margin, with 95% intervals")


def _range(row: Mapping[str, Any]) -> str:
    return f"{row['margin_above']:.3g}–{row['margin_up_to']:.3g}"


def calibration(report: Report) -> str | None:
    """How often the reward model is right against how sure it is."""
    bins = ((report["reward_model"] or {}).get("calibration") or {}).get("bins") or []
    if len(bins) < 2:
        return None
    with svg.figure(HALF, 3.5) as (drawing, axes):
        axes.plot([0.5, 1], [0.5, 1], color=svg.MUTED, linewidth=1, linestyle=(0, (2, 2)))
        axes.text(0.62, 0.605, "perfectly calibrated", fontsize=8, color=svg.MUTED, rotation=36, va="top")
        axes.plot([one["confidence"] for one in bins], [one["accuracy"] for one in bins], color=svg.SERIES[1])
        for one in bins:
            x = one["confidence"]
            axes.plot([x, x], one["ci95"], color=svg.SERIES[1], linewidth=3, alpha=0.35, solid_capstyle="round")
            axes.plot([x], [one["accuracy"]], "o", color=svg.SERIES[1], markeredgecolor=svg.PAPER, markersize=6.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set(xlabel="confidence in the preferred response", ylabel="how often it is right", xlim=(0.48, 1.02))
        return svg.to_svg(drawing, "calibration", "Accuracy of the reward model by its confidence")


def distributions(report: Report, rewards: Mapping[str, NDArray[np.float64]]) -> str | None:
    """The rewards of each policy's samples as smoothed densities, one above the other, with the means marked."""
    varied = {name: values for name, values in rewards.items() if np.ptp(values) > 0}
    if not varied:
        return None
    colors = series_colors(report)
    low, high = (edge(np.concatenate(list(varied.values()))) for edge in (np.min, np.max))
    grid = np.linspace(low, high, 240)
    with svg.figure(HALF, 3.5) as (drawing, axes):
        for row, (name, values) in enumerate(reversed(varied.items())):
            density = stats.gaussian_kde(values)(grid)
            top = row + 1.25 * density / density.max()
            axes.fill_between(grid, row, top, color=colors[name], alpha=0.28, linewidth=0, zorder=10 - row)
            axes.plot(grid, top, color=colors[name], linewidth=1.5, zorder=10 - row)
            axes.plot([values.mean()] * 2, [row, row + 0.55], color=colors[name], linewidth=2.2, zorder=11)
        axes.set_yticks(range(len(varied)), [label(name) for name in reversed(varied)])
        axes.tick_params(axis="y", labelcolor=svg.INK, labelsize=10)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="reward of a response; the bar marks the mean", ylim=(-0.1, len(varied) + 0.45))
        return svg.to_svg(drawing, "distributions", "Distribution of the reward over each policy's samples")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
