"""Two processes and one: the same responses, the same gradients, the same learning curve."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("two_processes.py")


def run(folder: Path, processes: int, per_device: int) -> list[dict]:
    """The outcome of each process."""
    folder.mkdir()
    done = subprocess.run(
        [
            *[sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)],
            *[str(PROGRAM), str(folder), str(per_device)],
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [torch.load(folder / f"process-{rank}.pt") for rank in range(processes)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    (alone,) = run(folder / "one", processes=1, per_device=4)
    return alone, run(folder / "two", processes=2, per_device=2)


@pytest.mark.slow
def test_there_were_as_many_processes_as_asked_for(outcomes):
    alone, both = outcomes
    assert alone["processes"] == 1
    assert [one["processes"] for one in both] == [2, 2]


@pytest.mark.slow
def test_the_first_gradients_are_the_same(outcomes):
    alone, both = outcomes
    assert any(gradient.abs().max() > 1e-4 for gradient in alone["gradients"])
    for one in both:
        for ours, expected in zip(one["gradients"], alone["gradients"], strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_the_learning_curve_is_the_same(outcomes):
    alone, both = outcomes
    named = (
        "objective/scores",
        "objective/kl",
        "objective/kl_coef",
        "policy/clipfrac_avg",
        "val/ratio",
        "loss/value_avg",
    )
    rollouts = [log for log in alone["logs"] if "objective/kl" in log]
    assert len(rollouts) == 4 and rollouts[-1]["objective/kl"] > 0
    for ours, expected in zip(both[0]["logs"], alone["logs"], strict=True):
        for name in named:
            if name in expected:
                assert ours[name] == pytest.approx(expected[name], abs=2e-4, rel=2e-3), name
    for ours, expected in zip(both[0]["weights"], alone["weights"], strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-3, rtol=1e-2)
    assert both[0]["evaluation"]["eval_objective/scores"] == pytest.approx(alone["evaluation"]["eval_objective/scores"])


@pytest.mark.slow
def test_both_processes_end_with_the_same_weights(outcomes):
    _, (first, second) = outcomes
    for ours, others in zip(first["weights"], second["weights"], strict=True):
        assert torch.equal(ours, others)
