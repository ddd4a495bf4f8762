"""TRL 1.12.0, the last release with a PPO trainer, in a folder of its own beside the tested stack.

It is installed without its dependencies (it runs with the ones tested here) and put ahead of the tested TRL on the
path of the one process that measures it. Every file is compared with the checksum that its release records.
"""

import base64
import csv
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from fetch_assets import Source, obtain

from rlhf.errors import RlhfError

WHEEL = Source(
    package="trl",
    version="1.12.0",
    file="trl-1.12.0-py3-none-any.whl",
    sha256="9c8f117b21a941edbc85744f5a341c9453d38e81f24ae81d3c6e9b9ca3b96409",
    licence="Apache-2.0",
    homepage="https://github.com/huggingface/trl",
    holds="TRL with trl.experimental.ppo",
)
NAME = f"{WHEEL.package}-{WHEEL.version}"


def install(folder: Path) -> Path:
    """The folder with TRL 1.12.0 in it; made where it isn't there, or isn't as it was released.

    Raises:
        RlhfError: the package index can't be reached, or pip fails.
    """
    target = folder / NAME
    if target.is_dir() and not changed_files(target):
        return target
    wheel = obtain(WHEEL, folder / ".downloads")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".installing-") as scratch:
        fresh = Path(scratch) / NAME
        _pip_install(wheel, fresh)
        problems = changed_files(fresh)
        if problems:
            raise RlhfError(f"pip installed other files than {WHEEL.file} holds.", problems=problems)
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)
    return target


def _pip_install(wheel: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-index", "--no-compile", "--target", str(target), str(wheel)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RlhfError(f"pip could not install {wheel}.", problems=result.stderr.splitlines()[-8:])


def changed_files(folder: Path) -> list[str]:
    """The files of the release that are missing or have another checksum than the release's RECORD says."""
    record = folder / f"{NAME}.dist-info" / "RECORD"
    if not record.is_file():
        return [f"no {record.relative_to(folder)}"]
    with record.open(encoding="utf-8", newline="") as file:
        expected = {row[0]: row[1].removeprefix("sha256=") for row in csv.reader(file) if row[1]}
    # pip puts command-line programs elsewhere, and adds files of its own to RECORD.
    files = {name: digest for name, digest in expected.items() if name.startswith(f"{WHEEL.package}/")}
    return [name for name, digest in files.items() if _digest(folder / name) != digest]


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
