"""A running job that can't go on stops with its last checkpoint kept, says why, and goes on once that is mended."""

import json
import math
from pathlib import Path

import pytest
import torch

from rlhf.errors import TrainingError
from rlhf.runs import Run, read_metrics
from rlhf.trainers.ppo.trainer import PPOTrainer
from rlhf.trainers.stage import last_checkpoint, run_training
from tests.trainers.ppo.setup import ppo_trainer, shared_roles

STEPS = 4  # of each rollout


def length(prompts, completions, **columns):
    return [len(text) / 10 for text in completions]


def start(folder: Path, reward=length, resume: bool = False, before=lambda trainer: None) -> PPOTrainer:
    """Four rollouts in a run directory, a checkpoint after each."""
    run = Run.create(folder, "ppo", [], seed=0, resume=resume)
    options = {"gradient_accumulation_steps": 1, "total_episodes": 16, "learning_rate": 1e-2, "target_kl": 0.1}
    options |= {"save_strategy": "steps", "save_steps": STEPS, "resume_from_checkpoint": "true" if resume else None}
    trainer = ppo_trainer(folder, shared_roles(), reward, **options)
    before(trainer)
    run_training(trainer, run, {})
    return trainer


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, start(folder)


def figures(folder: Path) -> list[dict[str, float]]:
    rows = read_metrics(folder)
    return [{name: x for name, x in row.items() if not name.startswith(("time/", "train_"))} for row in rows]


def assert_it_kept_two_rollouts(folder: Path, reason: str) -> None:
    assert last_checkpoint(folder) == folder / f"checkpoint-{2 * STEPS}"
    assert [row["step"] for row in read_metrics(folder)][:2] == [STEPS, 2 * STEPS]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "failed" and reason in manifest["reason"]


def assert_it_goes_on_as_if_unbroken(folder: Path, unbroken) -> None:
    whole_folder, whole = unbroken
    resumed = start(folder, resume=True)
    for one, other in zip(resumed.roles.parameters(), whole.roles.parameters(), strict=True):
        assert torch.equal(one, other)
    assert figures(folder) == figures(whole_folder)


def raises(scores):
    raise ValueError("no such column")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (raises, "The reward function length raised ValueError: no such column"),
        (lambda scores: scores[:-1], "The reward function length returned 3 scores for 4 completions"),
        (lambda scores: [*scores[:2], math.nan, scores[3]], "The reward function length returned values"),
        (lambda scores: [*scores[:2], None, scores[3]], "The reward length returned None for response 2"),
    ],
)
def test_a_reward_that_fails_at_the_third_rollout(tmp_path, unbroken, spoil, said):
    calls = []

    def spoilt(prompts, completions, **columns):
        calls.append(prompts)
        scores = length(prompts, completions)
        return spoil(scores) if len(calls) == 3 else scores

    spoilt.__name__ = "length"  # mended, it has its name still
    with pytest.raises(TrainingError) as error:
        start(tmp_path, spoilt)
    assert said in str(error.value) and "Remedy:" in str(error.value)
    assert_it_kept_two_rollouts(tmp_path, said)
    assert_it_goes_on_as_if_unbroken(tmp_path, unbroken)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (2 * STEPS + 2, f"The loss became nan at step {2 * STEPS + 2}; the last checkpoint is kept"),
        # In the last step of a rollout there is no further loss before the checkpoint.
        (3 * STEPS, f"grad_norm became NaN or infinite at step {3 * STEPS}"),
    ],
)
def test_a_gradient_that_is_no_number_any_more(tmp_path, unbroken, step, said):
    def poison(trainer):
        weight = trainer.roles.role_parameters()["policy"][-1]
        weight.register_hook(lambda grad: grad * (math.nan if trainer.state.global_step == step - 1 else 1.0))

    with pytest.raises(TrainingError, match=said):
        start(tmp_path, before=poison)
    assert_it_kept_two_rollouts(tmp_path, said)
    assert_it_goes_on_as_if_unbroken(tmp_path, unbroken)
