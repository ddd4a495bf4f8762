"""report.html: one file with its styles and figures inside, no script, and nothing fetched from anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rlhf.evaluation import figures, training
from rlhf.evaluation.samples import SCORES, Sample
from rlhf.evaluation.verdict import label
from rlhf.runs import read_metrics

EXAMPLES = 12
SHOWN_AT_ONCE = 4
Report = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """One row of the table of policies.

    Attributes:
        name: the figure in the report.
        title: what a reader sees; `{reference}` and judges' names are filled in.
        unit: what it is counted in, and which way is better.
        form: Python's format of a value.
    """

    name: str
    title: str
    unit: str
    form: str


def table_metrics(report: Report) -> list[Metric]:
    """The rows of the table of policies: those that any policy has."""
    names, reference = report["judges"], report["settings"]["reference"]
    rows = [
        Metric("reward_mean", "Reward", "reward model, mean", "+.2f"),
        Metric("reward_gain", "Gain", f"reward over {label(reference)}, in standard deviations", "+.2f"),
        Metric(f"kl_to_{reference}", f"KL to {label(reference)}", "nats per response", ".2f"),
        Metric("gold_reward_mean", "Gold reward", "held-out judge, mean", "+.2f"),
        Metric("judge_mean", _sentence(names.get("judge", "")), "held-out judge, mean", "+.3f"),
        Metric("length_mean", "Length", "tokens, mean", ".1f"),
        Metric("eos_rate", "Ended", "share of responses that the policy ended", ".0%"),
        Metric("distinct_2", "Distinct-2", "different word pairs of all", ".3f"),
        Metric("perplexity_general", "Perplexity", "general text", ".2f"),
    ]
    return [row for row in rows if any(p.get(row.name) is not None for p in report["policies"].values())]


def render(report: Report, samples: Mapping[str, Sequence[Sample]]) -> str:
    """The page of a report.

    Args:
        report: as `rlhf.evaluation.report.build` makes it.
        samples: the raw samples by policy, of which some are shown.
    """
    environment = Environment(
        loader=PackageLoader("rlhf.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"label": label, "clock": clock, "sentence": _sentence}
    runs = {name: run["path"] for name, run in report["provenance"]["runs"].items()}
    return environment.get_template("report.html.jinja").render(
        report=report,
        series={name: number % 8 + 1 for number, name in enumerate(report["policies"])},
        table=[_table_row(report, metric) for metric in table_metrics(report)],
        examples=examples(report, samples),
        shown_at_once=SHOWN_AT_ONCE,
        figures={name: Markup(svg) for name, svg in _figures(report, samples, runs).items() if svg},
        findings=_by_subject(report["verdict"]["findings"]),
        curves=[(row["name"], Markup(row["svg"])) for row in training.curves(runs)],
        stages=_stages(report["wall_seconds"]),
    )


def _figures(report: Report, samples: Mapping[str, Sequence[Sample]], runs: Mapping[str, str]) -> dict[str, str | None]:
    rewards = {name: np.array([sample.reward for sample in samples[name]]) for name in report["policies"]}
    return {
        "gains": figures.gains(report),
        "kl": figures.reward_against_kl(report, _training_points(report, runs)),
        "margin": figures.accuracy_by_margin(report),
        "calibration": figures.calibration(report),
        "distributions": figures.distributions(report, rewards),
    }


def _training_points(report: Report, runs: Mapping[str, str]) -> dict[str, list[tuple[float, float]]]:
    """KL and gain of training rollouts, where a run logged both: in the reference's units, from its own start."""
    spread = report["policies"][report["settings"]["reference"]]["reward_std"]
    points = {}
    for name in report["policies"]:
        rows = read_metrics(Path(runs[name])) if name in runs else []
        found = training.series_of(rows, "objective/kl", "objective/scores")
        if len(found) > 1 and spread:
            points[name] = [(kl, (score - found[0][1]) / spread) for kl, score in found]
    return points


def _by_subject(findings: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        groups.setdefault(finding["subject"], []).append(finding)
    return groups


def _table_row(report: Report, metric: Metric) -> dict[str, Any]:
    """One metric over all policies: value, interval, and whether it differs from the reference beyond its interval."""
    reference = report["settings"]["reference"]
    cells = []
    kl = f"kl_to_{reference}"
    for name, measured in report["policies"].items():
        value, limits = measured.get(metric.name), measured["ci95"].get(metric.name)
        difference = report["differences"][name].get(reference, {}).get(metric.name)
        cells.append(
            {
                "value": ("≤ " if metric.name == kl and name in report["best_of"] else "")
                + _format(value, metric.form),
                "interval": _interval(limits, metric.form),
                "sign": _sign(difference),
                "versus": _versus(difference, metric.form),
            }
        )
    return {"metric": metric, "cells": cells}


def _sign(difference: Mapping[str, Any] | None) -> int:
    """1 or -1 where the whole interval of a difference lies above or below 0."""
    if difference is None or None in difference["ci95"]:
        return 0
    low, high = difference["ci95"]
    return 1 if low > 0 else -1 if high < 0 else 0


def _versus(difference: Mapping[str, Any] | None, form: str) -> str:
    if difference is None:
        return ""
    signed = form if form.startswith("+") else f"+{form}"
    low, high = (_format(limit, signed) for limit in difference["ci95"])
    return f"{_format(difference['estimate'], signed)} ({low} to {high})"


def _interval(limits: Sequence[float] | None, form: str) -> str:
    """Both limits; nothing where they are one, as for the reference's KL to itself."""
    if limits is None or limits[0] == limits[1]:
        return ""
    return " to ".join(_format(limit, form) for limit in limits)


def _format(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form).replace("-", "−")


def examples(report: Report, samples: Mapping[str, Sequence[Sample]]) -> list[dict[str, Any]]:
    """The first prompts with every policy's answer and its scores: as drawn, not chosen."""
    first = samples[report["settings"]["reference"]][:EXAMPLES]
    return [
        {
            "prompt": sample.prompt,
            "answers": [_answer(name, samples[name][position]) for name in report["policies"]],
        }
        for position, sample in enumerate(first)
    ]


def _answer(policy: str, sample: Sample) -> dict[str, Any]:
    scores = [(field, getattr(sample, field)) for field in SCORES]
    return {
        "policy": policy,
        "text": sample.completion.strip(),
        "finished": sample.finished,
        "scores": [(field, _format(score, "+.2f")) for field, score in scores if score is not None],
    }


def _stages(seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    longest = max(seconds.values(), default=0) or 1
    return [
        {"name": name, "seconds": value, "percent": round(100 * value / longest, 1)} for name, value in seconds.items()
    ]


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds: 3:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
