"""Percentiles of waits, and how two sides compare."""

from collections.abc import Sequence
from statistics import quantiles

Summary = dict[str, float]


def summary(seconds: Sequence[float]) -> Summary:
    """Median, 95th percentile and maximum in milliseconds, and how many calls there were."""
    cuts = quantiles(seconds, n=20, method="inclusive")
    return {"p50": cuts[9] * 1e3, "p95": cuts[18] * 1e3, "max": max(seconds) * 1e3, "calls": len(seconds)}


def ratio(theirs: Summary, ours: Summary) -> Summary:
    """How many times as long as ours theirs takes."""
    return {name: theirs[name] / ours[name] for name in ("p50", "p95")}
