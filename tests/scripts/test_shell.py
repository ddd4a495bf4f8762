"""The shell scripts: they parse, explain themselves, and fail with a message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
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


FLAKY = """
import pathlib

import pytest

def test_right():
    pass

@pytest.mark.parametrize("name", {names})
def test_flaky(name):
    mark = pathlib.Path(__file__).with_name(name)
    there = mark.exists()
    mark.touch()
    assert there

def test_wrong():
    assert {right}
"""

TESTS = 'source scripts/common.sh; source scripts/twice.sh; tests 0 --rootdir "$1" -c /dev/null "$1"'


def run_twice(folder: Path, **source: object) -> subprocess.CompletedProcess[str]:
    """Tests of which some fail the first time, run as scripts/test.sh runs them."""
    (folder / "test_some.py").write_text(FLAKY.format(**source))
    script = f"{TESTS} && echo PASSED"
    script += '; printf "second: %s\\n" "${second_time[@]+"${second_time[@]}"}"'
    return bash("-c", f"set -uo pipefail; {script}", "bash", str(folder), PATH=PATH)


def test_what_fails_once_is_named_and_passes(tmp_path: Path) -> None:
    result = run_twice(tmp_path, names=["a b", "c"], right=True)
    assert "PASSED" in result.stdout, result.stdout + result.stderr
    named = [line for line in result.stdout.splitlines() if line.startswith("second: ")]
    assert named == ["second: test_some.py::test_flaky[a b]", "second: test_some.py::test_flaky[c]"]
    assert "2 passed" in result.stdout  # the second run is of the failed ones alone


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    result = run_twice(tmp_path, names=["a"], right=False)
    assert "PASSED" not in result.stdout and "second: test_some.py::test_flaky[a]" in result.stdout


def test_when_much_fails_there_is_no_second_run(tmp_path: Path) -> None:
    result = run_twice(tmp_path, names=[f"name {number}" for number in range(21)], right=True)
    assert "PASSED" not in result.stdout and "once more" not in result.stdout


def test_that_there_are_no_tests_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text("")
    result = bash("-c", f"set -uo pipefail; {TESTS} && echo PASSED", "bash", str(tmp_path), PATH=PATH)
    assert "PASSED" in result.stdout, result.stdout + result.stderr


def test_an_unknown_option_of_the_demo() -> None:
    result = bash("scripts/demo.sh", "--frsh")
    assert result.returncode == 2 and "Usage: bash scripts/demo.sh [--fresh]" in result.stderr


def test_no_python_that_is_new_enough() -> None:
    result = bash(
        "-c", "set -euo pipefail; source scripts/common.sh; python=$(find_python); echo unreachable", PYTHON="false"
    )
    assert result.returncode == 2 and "no Python of at least 3.11" in result.stderr
    assert "unreachable" not in result.stdout
