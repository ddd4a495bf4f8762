"""The shell scripts: they parse, explain themselves, and fail with a message."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / ".ci" / "run", *sorted((ROOT / "scripts").glob("*.sh"))]


def bash(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | environment
    return subprocess.run(["bash", *arguments], capture_output=True, text=True, check=False, cwd=ROOT, env=env)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    result = bash("-n", str(script))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["demo.sh", "test.sh"])
def test_help_installs_nothing(name: str) -> None:
    result = bash(f"scripts/{name}", "--help")
    assert result.returncode == 0 and f"bash scripts/{name}" in result.stdout


def test_an_unknown_option_of_the_demo() -> None:
    result = bash("scripts/demo.sh", "--frsh")
    assert result.returncode == 2 and "Usage: bash scripts/demo.sh [--fresh]" in result.stderr


def test_no_python_that_is_new_enough() -> None:
    result = bash(
        "-c", "set -euo pipefail; source scripts/common.sh; python=$(find_python); echo unreachable", PYTHON="false"
    )
    assert result.returncode == 2 and "no Python of at least 3.11" in result.stderr
    assert "unreachable" not in result.stdout
