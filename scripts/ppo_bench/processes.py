"""One measured program in a process of its own: its environment, its progress, its end."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ppo_bench.child import ROLLOUT_MARK
from rlhf.errors import RlhfError

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
ERROR_LINES = 12
SECONDS_TO_STOP = 10
MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")


class ChildFailed(RlhfError):
    """A measured program that ended with an error.

    Attributes:
        out_of_memory: whether memory was what it lacked.
    """

    def __init__(self, message: str, *, out_of_memory: bool, problems: Sequence[str]):
        remedy = (
            "lower --batch_size, --rollout_batch_size or --response_length."
            if out_of_memory
            else "the lines above are the last that it wrote."
        )
        super().__init__(message, problems=problems, remedy=remedy)
        self.out_of_memory = out_of_memory


def environment(ahead: Sequence[Path] = ()) -> dict[str, str]:
    """The environment of a measured program.

    Args:
        ahead: folders to be searched before everything that is installed.
    """
    path = [*map(str, ahead), str(SCRIPTS), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {"TRL_EXPERIMENTAL_SILENCE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return os.environ | quiet | {"PYTHONPATH": os.pathsep.join(path)}


def command(program: str, *arguments: str) -> list[str]:
    """How a module of this package is run. `-P` keeps the current folder off the path."""
    return [sys.executable, "-P", "-m", f"ppo_bench.{program}", *arguments]


def run(
    program: str,
    spec: dict[str, Any],
    *,
    ahead: Sequence[Path] = (),
    on_rollout: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run a module of this package on a specification, and return its result. It is stopped when we are.

    Raises:
        ChildFailed: it ended with an error, whose last lines are shown.
    """
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        folder = Path(scratch)
        (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        process = subprocess.Popen(
            command(program, str(folder / "spec.json"), str(folder / "result.json")),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment(ahead),
        )
        try:
            said = _follow(process, on_rollout)
        finally:
            _stop(process)
        if process.returncode:
            raise failure(program, process.returncode, _lines(errors) or said)
        return dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))


def _follow(process: "subprocess.Popen[str]", on_rollout: Callable[[], None]) -> list[str]:
    """Read the program's output to its end, and wait for it."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(ROLLOUT_MARK):
            on_rollout()
        else:
            said.append(line.rstrip())
    process.wait()
    return said


def _stop(process: "subprocess.Popen[str]") -> None:
    """End a program that is still running, because something went wrong on our side."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _lines(file: IO[str]) -> list[str]:
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines() if line.strip()]


def failure(program: str, status: int, said: Sequence[str]) -> ChildFailed:
    """The error for a program that ended with that status, after it had said that."""
    killed = status == -signal.SIGKILL
    words = "\n".join(said[-ERROR_LINES:]).lower()
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit code {status}"
    reason = " (most likely for want of memory)" if killed else ""
    return ChildFailed(
        f"ppo_bench.{program} {how}{reason}.",
        out_of_memory=killed or any(word in words for word in MEMORY_WORDS),
        problems=said[-ERROR_LINES:],
    )
