"""The runner of demo.sh's stages: skips what is complete, runs what isn't, records time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STAGE = Path(__file__).parents[2] / "scripts" / "stage.py"
WRITE = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.mkdir(parents=True); (p / 'made').write_text('1')"


def run(folder: Path, program: str = WRITE) -> subprocess.CompletedProcess[str]:
    own = ["demo", "--number", "2", "--of", "7", "--title", "Demo", "--minutes", "1"]
    own += [
        "--inputs",
        str(folder / "config"),
        "--output",
        str(folder / "out"),
        "--record",
        str(folder / "stages.json"),
    ]
    command = [sys.executable, str(STAGE), *own, "--", sys.executable, "-c", program, str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").write_text("steps: 1\n")
    return tmp_path


def test_a_complete_stage_is_skipped_until_its_inputs_change(folder: Path) -> None:
    first = run(folder)
    assert first.returncode == 0 and "[2/7] Demo: about 1 min" in first.stdout
    record = json.loads((folder / "stages.json").read_text())["demo"]
    assert record["wall_seconds"] >= 0 and record["peak_memory_bytes"] > 2**20
    assert "complete already" in run(folder).stdout

    (folder / "config").write_text("steps: 2\n")
    assert "done in" in run(folder).stdout  # WRITE fails where the old output is still there


def test_a_stage_whose_output_is_gone_runs_again(folder: Path) -> None:
    run(folder)
    (folder / "out" / "made").unlink()
    (folder / "out").rmdir()
    assert "done in" in run(folder).stdout


def test_a_failure_is_passed_on_and_not_recorded(folder: Path) -> None:
    run(folder)
    (folder / "config").write_text("steps: 2\n")
    failed = run(folder, "raise SystemExit(2)")
    assert failed.returncode == 2 and "The stage failed" in failed.stderr
    assert json.loads((folder / "stages.json").read_text()) == {}


def test_missing_inputs_are_named(folder: Path) -> None:
    (folder / "config").unlink()
    result = run(folder)
    assert result.returncode == 2 and "config" in result.stderr and "Traceback" not in result.stderr
