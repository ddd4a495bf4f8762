"""A launch that starts fewer processes than it was asked for is an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf.errors import ConfigError
from rlhf.trainers.machine import require_all_processes

PROGRAM = "from rlhf.trainers.machine import trainer_defaults; trainer_defaults(); print('started')"


@pytest.mark.parametrize(("processes", "refused"), [(1, False), (2, True)])
def test_accelerate_starts_one_process_on_a_cpu_and_that_is_noticed(tmp_path, processes, refused):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--cpu", "--quiet"]
    done = subprocess.run(
        [*launcher, "--num_processes", str(processes), str(program)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ("started" in done.stdout) != refused
    assert ("asked for several processes, and started one" in done.stderr) == refused


def test_processes_that_torchrun_started_are_all_there(monkeypatch):
    for name, value in {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    require_all_processes()
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ConfigError, match="torchrun --nproc_per_node"):
        require_all_processes()
