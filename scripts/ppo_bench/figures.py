"""From measured rollouts to medians and ratios. Pure functions.

A run is what one process measured: `variant`, `round`, `steps` (a row for each rollout, see `child.Recorder`) and peak
memory. A run that failed for want of memory has `failed` instead.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from ppo_bench.workload import OURS, THIRD, TRL, Workload

PHASES = ("generate", "score", "forward", "train")
# Which sides are divided by which.
PAIRS = ((OURS, TRL), (THIRD, TRL), (THIRD, OURS))

Run = Mapping[str, Any]


def compare(workload: Workload, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that was measured of one workload: each side's figures, the ratios of the sides, the raw runs."""
    names = list(dict.fromkeys(run["variant"] for run in runs))
    by_name = {name: [run for run in runs if run["variant"] == name] for name in names}
    return {
        "workload": workload.as_json(),
        "variants": {name: summarize(by_name[name], workload.batch_size) for name in names},
        "ratios": {
            f"{one}/{other}": ratio
            for one, other in PAIRS
            if one in by_name
            and other in by_name
            and (ratio := ratios(by_name[one], by_name[other], workload.batch_size)) is not None
        },
        "runs": list(runs),
    }


def summarize(runs: Sequence[Run], batch_size: int) -> dict[str, Any]:
    """One side's figures over all its measured rollouts.

    Returns:
        `seconds` are medians, of a whole rollout with its training (`total`) and of each phase; memory is the largest
        of any run. Where a run failed, only `failed` says why.
    """
    failed = [run["failed"] for run in runs if "failed" in run]
    if failed:
        return {"failed": failed[0]}
    steps = [step for run in runs for step in run["steps"]]
    totals = [step["seconds"] for step in steps]
    gpu = [run["peak_gpu_memory_bytes"] for run in runs if run.get("peak_gpu_memory_bytes") is not None]
    return {
        "samples_per_second": batch_size / median(totals),
        "seconds": {"total": median(totals)} | {name: median(step[name] for step in steps) for name in PHASES},
        "seconds_range": [min(totals), max(totals)],
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs),
        "peak_gpu_memory_bytes": max(gpu) if gpu else None,
        "optimizer_steps": median(step["optimizer_steps"] for step in steps),
        "response_tokens": fmean(step["response_tokens"] for step in steps),
        "rollouts": len(steps),
    }


def ratios(ours: Sequence[Run], others: Sequence[Run], batch_size: int) -> dict[str, Any] | None:
    """One side's figures divided by the other's: more is better for speed, less for seconds and memory.

    Returns:
        Ratios of the figures over all rounds, and that of the speed in each round; None where a run failed.
    """
    one, other = summarize(ours, batch_size), summarize(others, batch_size)
    if "failed" in one or "failed" in other:
        return None
    return {
        "samples_per_second": one["samples_per_second"] / other["samples_per_second"],
        "samples_per_second_by_round": _by_round(ours, others),
        "seconds": {name: _divide(one["seconds"][name], other["seconds"][name]) for name in ("total", *PHASES)},
        "peak_memory": one["peak_memory_bytes"] / other["peak_memory_bytes"],
        "peak_gpu_memory": _divide(one["peak_gpu_memory_bytes"], other["peak_gpu_memory_bytes"]),
    }


def _by_round(ours: Sequence[Run], others: Sequence[Run]) -> list[float]:
    """The ratio of the speeds in each round that both have finished."""
    one, other = (
        {run["round"]: median(step["seconds"] for step in run["steps"]) for run in runs} for runs in (ours, others)
    )
    return [other[number] / one[number] for number in sorted(one.keys() & other.keys())]


def _divide(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def best(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each side at the micro-batch size at which it was fastest, and the ratios of those.

    Args:
        comparisons: of one workload at several micro-batch sizes.
    """
    chosen: dict[str, Mapping[str, Any]] = {}
    for name in dict.fromkeys(name for comparison in comparisons for name in comparison["variants"]):
        fit = [c for c in comparisons if "samples_per_second" in c["variants"].get(name, {})]
        if fit:
            chosen[name] = max(fit, key=lambda c: c["variants"][name]["samples_per_second"])
    return {
        "micro_batch_size": {name: one["workload"]["micro_batch_size"] for name, one in chosen.items()},
        "variants": {name: one["variants"][name] for name, one in chosen.items()},
        "ratios": {
            f"{one}/{other}": ratio
            for one, other in PAIRS
            if one in chosen
            and other in chosen
            and (ratio := ratios(_runs(chosen, one), _runs(chosen, other), chosen[one]["workload"]["batch_size"]))
        },
    }


def _runs(chosen: Mapping[str, Mapping[str, Any]], name: str) -> list[Run]:
    return [run for run in chosen[name]["runs"] if run["variant"] == name]


def differences(workload: Workload, run: Run, first: Run) -> list[str]:
    """In what a run did other work than the first one of its workload; nothing, where both can be compared."""
    problems = []
    steps, expected = ([step["optimizer_steps"] for step in one["steps"]] for one in (run, first))
    if set(steps) != set(expected):
        problems.append(f"{run['variant']} made {steps} optimizer steps, {first['variant']} {expected}")
    lengths = {step["response_tokens"] for step in run["steps"]}
    if not workload.natural_eos and lengths != {workload.response_length}:
        problems.append(f"{run['variant']} sampled {sorted(lengths)} tokens a response, not {workload.response_length}")
    return problems
