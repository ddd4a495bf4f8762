"""On what it was measured. Torch is loaded by the functions that ask it."""

import os
import platform
from pathlib import Path
from typing import Any


def ask_torch(dtype: str) -> dict[str, Any]:
    """What only torch knows: the name of the precision that an option stands for, its threads, the GPU's name."""
    import torch

    from rlhf.models.load import resolve_dtype

    return {
        "dtype": str(resolve_dtype(dtype)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def describe(threads: int, gpu: str | None) -> dict[str, Any]:
    """The machine.

    Args:
        threads: that torch computes with.
        gpu: its name, where there is one.
    """
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "memory_bytes": _memory(),
        "gpu": gpu,
        "system": platform.platform(),
        # Above the number of cores, others were at work too.
        "load_average": list(os.getloadavg()),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
