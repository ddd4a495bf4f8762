"""A run that is killed again and again ends as one that never was, to the bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf.runs import read_metrics
from rlhf.trainers.checkpoints import STAGING_FOLDER
from tests.recipes.conftest import write_jsonl
from tests.tiny import save_tiny
from tests.trainers.ppo.killing import (
    KilledRun,
    after_the_last_evaluation,
    before_the_first_checkpoint,
    measure_pace,
    random_moments,
    while_saving,
)
from tests.trainers.ppo.setup import PROMPTS

ROLLOUTS, PROMPTS_PER_ROLLOUT, STEPS_PER_ROLLOUT = 32, 4, 4
WEIGHTS = ("adapter_model.safetensors", "value/adapter_model.safetensors", "value/value_head.safetensors")


def options(folder: Path) -> dict[str, object]:
    """Everything that a resume has to find again: two roles, Adam, a schedule, a moving coefficient and scale.

    There are 7 rollouts in an epoch, so that the run ends within its fifth.
    """
    words = ("one", "two", "three", "four", "five", "six", "seven")
    prompts = [{"prompt": f"{prompt} {word}"} for prompt in PROMPTS for word in words]
    return {
        "model_name_or_path": save_tiny(folder / "base"),
        "dataset_name": write_jsonl(folder / "prompts.jsonl", prompts),
        "eval_dataset_name": write_jsonl(folder / "held_out.jsonl", [{"prompt": prompt} for prompt in PROMPTS]),
        "reward_funcs": "tests.trainers.ppo.setup:count_a",
        "dtype": "float32",
        "value_layers": 2,
        "total_episodes": ROLLOUTS * PROMPTS_PER_ROLLOUT,
        "per_device_train_batch_size": 2,
        "num_mini_batches": 2,
        "num_ppo_epochs": 2,
        "response_length": 8,
        "learning_rate": 1e-2,
        "target_kl": 0.05,
        "kl_horizon": 100,
        "use_score_scaling": "true",
        "save_steps": 1,
        "save_total_limit": 3,
        "eval_strategy": "steps",
        "eval_steps": 4 * STEPS_PER_ROLLOUT,
        "disable_tqdm": "true",
    }


def same(one: Any, other: Any) -> bool:
    """Whether two nests of dictionaries, lists and tensors are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The logged rows without what a clock says."""
    rows = read_metrics(folder)
    return [{name: x for name, x in row.items() if not name.startswith(("time/", "train_"))} for row in rows]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_killed_at_any_moment_ends_as_one_that_never_was(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    given = options(tmp_path)
    whole, killed = KilledRun(tmp_path / "whole", given), KilledRun(tmp_path / "killed", given)
    pace = measure_pace(whole, ROLLOUTS)
    moments = [before_the_first_checkpoint, *random_moments(pace, 20, seed=0), *[while_saving] * 3]
    for moment in [*moments, *[after_the_last_evaluation] * 2]:
        killed.kill_at(moment)
    killed.finish()

    last = ROLLOUTS * STEPS_PER_ROLLOUT
    assert killed.step == last
    assert killed.kills[0].step == 0 and [kill.step for kill in killed.kills[-2:]] == [last, last]
    assert sum(kill.while_saving for kill in killed.kills) >= 3
    for name in WEIGHTS:
        assert (killed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    checkpoints = [run.folder / f"checkpoint-{last}" for run in (whole, killed)]
    for name in ("optimizer.pt", "scheduler.pt"):
        assert same(*[torch.load(folder / name) for folder in checkpoints]), name
    states = [json.loads((folder / "ppo_state.json").read_text()) for folder in checkpoints]
    assert states[0] == states[1] and states[0]["episodes"] == ROLLOUTS * PROMPTS_PER_ROLLOUT
    assert states[0]["kl_coef"] != 0.05 and states[0]["scores"]["count"] == ROLLOUTS * PROMPTS_PER_ROLLOUT
    assert metrics(killed.folder) == metrics(whole.folder)
    steps = [row["step"] for row in metrics(killed.folder) if "loss" in row]
    assert steps == list(range(STEPS_PER_ROLLOUT, last + 1, STEPS_PER_ROLLOUT))
    samples = [(run.folder / "samples.jsonl").read_text() for run in (whole, killed)]
    assert samples[0] == samples[1]
    names = [sorted(path.name for path in run.folder.glob("[!.]*")) for run in (whole, killed)]
    assert names[0] == names[1] and not (killed.folder / STAGING_FOLDER).exists()
