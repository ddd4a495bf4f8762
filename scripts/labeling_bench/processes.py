"""A server in a process of its own, for as long as it is measured."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from rlhf.errors import RlhfError

SECONDS_TO_START, SECONDS_TO_STOP = 300, 20
ERROR_LINES = 12


class MeasureFailed(RlhfError):
    """What is to be measured doesn't come up, or doesn't do what it should."""


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str], ready: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the block ends.

    Args:
        ready: an address that answers 200 when it is up.
        folder: its current folder, where `server.log` keeps what it says.

    Raises:
        MeasureFailed: it ended, or did not come up in time.
    """
    log = folder / "server.log"
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | (environment or {}),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a server may start others: they end with it
        )
    try:
        _wait(process, ready, log)
        yield
    finally:
        _stop(process)


def _wait(process: "subprocess.Popen[bytes]", ready: str, log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        if process.poll() is not None:
            raise _failure(f"The server ended with exit code {process.returncode}.", log)
        try:
            if httpx.get(ready, timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise _failure(f"The server did not come up within {SECONDS_TO_START} s.", log)


def _failure(message: str, log: Path) -> MeasureFailed:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return MeasureFailed(message, problems=lines[-ERROR_LINES:], remedy="the lines above are the last that it wrote.")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(SECONDS_TO_STOP)
            break
        except subprocess.TimeoutExpired:
            continue
