"""The report of an evaluation: report.json with every figure, report.html to read."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlhf.config import resolved
from rlhf.evaluation import judges, metrics, reward_model
from rlhf.evaluation.measure import Measurements
from rlhf.evaluation.metrics import PolicyData
from rlhf.evaluation.options import EvaluationOptions
from rlhf.evaluation.page import render
from rlhf.evaluation.samples import SCORES, by_policy, write_rows
from rlhf.evaluation.training import read_stage_seconds, summarize_run
from rlhf.evaluation.verdict import verdict
from rlhf.runs import environment, write_atomic

SCHEMA = 1


def policy_data(found: Measurements, order: Sequence[str]) -> dict[str, PolicyData]:
    """The raw rows by policy, in the order given."""
    samples = by_policy(found.samples)
    return {name: PolicyData(samples[name], [row for row in found.losses if row.policy == name]) for name in order}


def build(options: EvaluationOptions, found: Measurements, wall_seconds: float) -> dict[str, Any]:
    """All figures of an evaluation as JSON holds them.

    Args:
        options: what was compared.
        found: the raw rows.
        wall_seconds: of this evaluation; the earlier stages' are read from `options.stages`.
    """
    policies = policy_data(found, options.measured)
    reference, seed = policies[options.reference], options.seed
    others = [name for name in dict.fromkeys((options.reference, options.base)) if name in policies]
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "judges": _judge_names(options),
        "reward_model": reward_model.summarize(found.pairs) if found.pairs else None,
        "best_of": {name: {"policy": options.reference, "n": n} for name, n in options.best_of_policies.items()},
        "policies": {
            name: metrics.describe(data, reference, options.reference, seed) for name, data in policies.items()
        },
        "differences": {
            name: {
                other: metrics.differences(data, policies[other], options.reference, seed)
                for other in others
                if other != name
            }
            for name, data in policies.items()
        },
        "win_rates": {
            name: judges.win_rates(data, reference) for name, data in policies.items() if name != options.reference
        },
        "correlations": {name: judges.correlations(data) for name, data in policies.items()},
        "equal_kl": judges.equal_kl(policies, options.reference, options.all_curves, options.kl_targets, seed),
        "wall_seconds": {**read_stage_seconds(options.stages), "evaluate": round(wall_seconds, 1)},
        "evaluation_seconds": found.seconds,
        "settings": {**resolved(options), "prompts": len(reference.samples), "general_texts": len(reference.losses)},
        "provenance": {"runs": _runs(options), "environment": environment()},
    }
    report["seeds"] = {"evaluate": seed} | {
        name: run["seed"] for name, run in report["provenance"]["runs"].items() if "seed" in run
    }
    report["verdict"] = verdict(report)
    return finite(report)  # type: ignore[no-any-return]


def write(report: Mapping[str, Any], found: Measurements, output_dir: Path, report_dir: Path) -> tuple[Path, Path]:
    """Write the raw rows into `output_dir` and the report into `report_dir`.

    Returns:
        The paths of report.html and report.json.
    """
    report_dir.mkdir(parents=True, exist_ok=True)
    write_rows(output_dir / "samples.jsonl", found.samples)
    write_rows(output_dir / "general_text.jsonl", found.losses)
    write_rows(output_dir / "comparisons.jsonl", found.pairs)
    page, figures = report_dir / "report.html", report_dir / "report.json"
    write_atomic(figures, json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    write_atomic(page, render(report, by_policy(found.samples)))
    return page, figures


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a manifest sums an evaluation up with."""
    model = report["reward_model"]
    gains = {f"{name}.reward_gain": figures["reward_gain"] for name, figures in report["policies"].items()}
    return {**({"reward_model.heldout_accuracy": model["heldout_accuracy"]} if model else {}), **gains}


def in_words(report: Mapping[str, Any]) -> str:
    """The verdict for a terminal."""
    marks = {"good": "+", "bad": "-", "even": "~"}
    verdict = report["verdict"]
    lines = [f"  {marks[one['tone']]} {one['subject']}: {one['text']}" for one in verdict["findings"]]
    return "\n".join([verdict["headline"], *lines])


def finite(value: Any) -> Any:
    """The same with None for every NaN and infinity, which JSON can't hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def model_folders(options: EvaluationOptions) -> dict[str, str]:
    """The folders of everything that was evaluated, by name."""
    places = {
        "reward model": options.reward_model,
        "gold reward model": options.gold_reward_model,
        **options.policies,
    }
    return {name: place for name, place in places.items() if place is not None and Path(place).is_dir()}


def _runs(options: EvaluationOptions) -> dict[str, Any]:
    return {name: summarize_run(folder) for name, folder in model_folders(options).items()}


def _judge_names(options: EvaluationOptions) -> dict[str, str]:
    """The names of the judges in use, by the field of a sample that holds their score."""
    used = {"reward": True, "gold_reward": options.gold_reward_model is not None, "judge": options.judge is not None}
    names = SCORES | ({"judge": options.judge} if options.judge else {})
    return {field: names[field] for field in SCORES if used[field]}
