"""What the measured programs share: their specification, one row for each rollout, their memory, their result."""

import importlib.metadata
import json
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

# A line on standard output that tells the parent of a finished rollout.
ROLLOUT_MARK = "@rollout"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "trl")


def read_spec() -> dict[str, Any]:
    """The specification, from the file that the first argument names."""
    return dict(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def write_result(result: dict[str, Any]) -> None:
    """The result, into the file that the second argument names."""
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


class Recorder:
    """One row for each rollout: its seconds by phase, its optimizer steps, and figures that show what was done.

    The first `warmup` rollouts are left out: they pay for what is done once.
    """

    def __init__(self, warmup: int):
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.warmup = warmup
        self.rows: list[dict[str, float]] = []
        self._optimizer_steps = 0
        self._last = time.perf_counter()
        register_optimizer_step_post_hook(self._count_step)

    def _count_step(self, *_: Any) -> None:
        self._optimizer_steps += 1

    def start(self) -> None:
        """Training begins now."""
        self._last = time.perf_counter()
        self._optimizer_steps = 0

    def rollout_done(self, generate: float, score: float, forward: float, **figures: float) -> None:
        """A rollout and all training on it have ended. What is neither of the three phases is training."""
        now = time.perf_counter()
        seconds = now - self._last
        phases = {"generate": generate, "score": score, "forward": forward}
        self.rows.append(
            {"seconds": seconds, **phases, "train": seconds - sum(phases.values())}
            | {"optimizer_steps": self._optimizer_steps}
            | figures
        )
        self._last, self._optimizer_steps = now, 0
        print(ROLLOUT_MARK, flush=True)

    def finish(self, **facts: Any) -> None:
        """Write the result."""
        import torch

        on_gpu = torch.cuda.is_available()
        write_result(
            {
                "steps": self.rows[self.warmup :],
                "peak_memory_bytes": peak_memory(),
                "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
                "threads": torch.get_num_threads(),
                "versions": versions(),
                **facts,
            }
        )


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes.

    Linux's VmHWM is of this program alone; ru_maxrss would also count the parent's memory at the time of the fork.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
