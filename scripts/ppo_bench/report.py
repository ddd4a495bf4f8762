"""The results as tables for a terminal, and as one JSON file with a section for each mode."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from ppo_bench.figures import PHASES
from ppo_bench.workload import VARIANTS, Workload
from rlhf.errors import ConfigError
from rlhf.runs import environment, write_atomic

SCHEMA = 1
GIB = 2**30


def section(machine: Mapping[str, Any], settings: Mapping[str, Any], **content: Any) -> dict[str, Any]:
    """What every section begins with."""
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": dict(machine),
        "git": environment()["git"],
        "settings": dict(settings),
        **content,
    }


def read(path: Path) -> dict[str, Any]:
    """The sections of an earlier measurement, which a new one adds to; an empty report where there is no file.

    Raises:
        ConfigError: the file holds something else.
    """
    if not path.exists():
        return {"schema": SCHEMA}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        report = None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise ConfigError(f"{path} is not a report of this program.", remedy="name another file by --json.")
    return report


def write(path: Path | None, name: str, content: Mapping[str, Any]) -> None:
    """Put one section into the file and leave its others as they are; without a path, nothing."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(read(path) | {name: content}, indent=2) + "\n")


def sides_table(comparison: Mapping[str, Any]) -> Table:
    """All figures of one workload: a row for each side, then one for each ratio."""
    title = f"{Workload(**comparison['workload']).in_words()}\n[not bold]seconds of a rollout and of its phases[/]"
    table = _table(title, "", "samples/s", "rollout", *PHASES, "GiB")
    table.caption = "\n".join(_notes(comparison))
    table.caption_justify = "left"
    for name, side in comparison["variants"].items():
        seconds = [f"{side['seconds'][key]:.2f}" for key in ("total", *PHASES)]
        table.add_row(VARIANTS[name], f"{side['samples_per_second']:.2f}", *seconds, f"{_peak(side) / GIB:.2f}")
    for pair, ratio in comparison["ratios"].items():
        seconds = [_times(ratio["seconds"][key]) for key in ("total", *PHASES)]
        memory = ratio["peak_gpu_memory"] or ratio["peak_memory"]
        table.add_row(ratio_label(pair), _times(ratio["samples_per_second"]), *seconds, _times(memory))
    return table


def _notes(comparison: Mapping[str, Any]) -> list[str]:
    """What the figures rest on, and how far the rounds lie apart."""
    notes = []
    for name, side in comparison["variants"].items():
        low, high = side["seconds_range"]
        work = f"{side['optimizer_steps']:g} optimizer steps, {side['response_tokens']:.1f} tokens a response"
        notes.append(f"{VARIANTS[name]}: {side['rollouts']} rollouts, {low:.1f} to {high:.1f} s; {work}")
    for pair, ratio in comparison["ratios"].items():
        rounds = ratio["samples_per_second_by_round"]
        if len(rounds) > 1:
            notes.append(f"{ratio_label(pair)} by round: {min(rounds):.2f} to {max(rounds):.2f} times the speed")
    return notes


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _peak(side: Mapping[str, Any]) -> float:
    """Of the GPU where there is one, else of the whole process."""
    return float(side["peak_gpu_memory_bytes"] or side["peak_memory_bytes"])


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def best_table(found: Mapping[str, Any]) -> Table:
    """Each side at its fastest micro-batch size."""
    table = _table("Each side at its fastest micro-batch size", "", "micro-batch", "samples/s", "GiB")
    for name, side in found["variants"].items():
        size, speed = found["micro_batch_size"][name], side["samples_per_second"]
        table.add_row(VARIANTS[name], str(size), f"{speed:.2f}", f"{_peak(side) / GIB:.2f}")
    for pair, ratio in found["ratios"].items():
        memory = ratio["peak_gpu_memory"] or ratio["peak_memory"]
        table.add_row(ratio_label(pair), "", _times(ratio["samples_per_second"]), _times(memory))
    return table


def scaling_table(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    """Seconds and memory of each side by batch and response length."""
    names = list(dict.fromkeys(name for comparison in comparisons for name in comparison["variants"]))
    table = _table("Seconds a rollout, and GiB at the peak", "batch", "response", *(VARIANTS[name] for name in names))
    for comparison in comparisons:
        workload = comparison["workload"]
        cells = [_scaling_cell(comparison["variants"].get(name)) for name in names]
        table.add_row(str(workload["batch_size"]), str(workload["response_length"]), *cells)
    return table


def _scaling_cell(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return ""
    if "failed" in side:
        return "out of memory"
    return f"{side['seconds']['total']:.1f} s, {_peak(side) / GIB:.2f}"


def equal_kl_table(content: Mapping[str, Any]) -> Table:
    """The gain of each side at each KL: the mean over the seeds, and from which to which."""
    title = "Gain in reward at equal KL, in standard deviations of SFT's reward"
    table = _table(title, "", *(f"KL {kl:g}" for kl in content["kl_targets"]), "largest KL")
    for name, side in content["variants"].items():
        table.add_row(VARIANTS[name], *(_gain_cell(one) for one in side["at"]), f"{side['kl_reached']:.1f}")
    return table


def _gain_cell(one: Mapping[str, Any]) -> str:
    if one["mean"] is None:
        return "not reached"
    gains = [gain for gain in one["by_seed"].values() if gain is not None]
    if len(gains) > 1:
        return f"{one['mean']:.2f} ({min(gains):.2f} to {max(gains):.2f})"
    intervals = [interval for interval in one["ci95_by_seed"].values() if interval is not None]
    return f"{one['mean']:.2f}" + (f" ({intervals[0][0]:.2f} to {intervals[0][1]:.2f})" if intervals else "")


def ratio_label(pair: str) -> str:
    """`ours_third/trl` as people read it."""
    one, other = pair.split("/")
    return f"{VARIANTS[one]} / {VARIANTS[other].removesuffix(' 1.12.0')}"
