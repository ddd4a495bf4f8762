"""Invariants 13 and 15: a resumed run goes on as the unbroken one, and a run learns what it is rewarded for.

tests/trainers/ppo/test_kill_and_resume.py kills one at any moment, while a checkpoint is written too.
"""

from pathlib import Path

import pytest
import torch

from tests.invariants.made import characters, trainer_of
from tests.invariants.test_policy import Logs
from tests.trainers.ppo.setup import count_a, fewer_a, ppo_trainer, separate_roles, shared_roles

# --- 13. Resumed, the next step's loss is the same: policy, critic, optimizer, RNG, KL coefficient, data position ----


def moving_reference():
    return shared_roles(policy_layers=2, value_layers=1, reference_moves=True)


class Watched(Logs):
    """A run of 5 rollouts, of which 3 make an epoch; keeps its logs and the prompts that it asked."""

    def __init__(self, folder: Path, roles, **options):
        super().__init__()
        self.asked: list[list[str]] = []
        defaults = {"total_episodes": 40, "learning_rate": 1e-2, "target_kl": 0.01, "kl_horizon": 100}
        defaults |= {"use_score_scaling": True, "save_strategy": "steps", "save_steps": 4}
        self.trainer = trainer_of(folder, roles, self.ask, callbacks=[self], **(defaults | options))
        self.trainer.train_dataset = self.trainer.train_dataset.select(range(27))

    def ask(self, prompts, completions, **columns):
        self.asked.append(list(zip(prompts, completions, strict=True)))
        return characters(prompts, completions)

    def figures(self) -> list[dict[str, float]]:
        clocks = ("time/", "train_", "total_flos")
        return [{name: x for name, x in log.items() if not name.startswith(clocks)} for log in self.logs]


@pytest.mark.parametrize(
    ("roles", "options"),
    [
        (shared_roles, {}),
        (separate_roles, {}),
        (moving_reference, {"sync_ref_model": True, "ref_model_sync_steps": 4, "value_warmup_rollouts": 1}),
    ],
)
def test_a_resumed_run_has_the_losses_and_ends_with_the_weights_of_the_unbroken_one(tmp_path, roles, options):
    whole = Watched(tmp_path / "whole", roles(), **options)
    whole.trainer.train()
    assert len({log["objective/kl_coef"] for log in whole.rollouts}) == 5
    for rollouts in (2, 3, 4):  # within the first epoch, at its end, within the second
        again = Watched(tmp_path / str(rollouts), roles(), save_strategy="no", **options)
        again.trainer.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{4 * rollouts}"))
        assert len(again.asked) == 5 - rollouts and again.asked == whole.asked[rollouts:]
        assert again.figures() == whole.figures()[rollouts:]
        assert all("loss" in log and log["objective/kl"] != 0 for log in again.logs[:-1])
        for one, other in zip(whole.trainer.roles.parameters(), again.trainer.roles.parameters(), strict=True):
            assert torch.equal(one, other)
        ours, theirs = (run.trainer.optimizer.state_dict()["state"] for run in (again, whole))
        assert all(torch.equal(ours[n][name], theirs[n][name]) for n in theirs for name in ("exp_avg", "exp_avg_sq"))
        assert again.trainer.loop_state() == whole.trainer.loop_state()


# --- 15. It learns: a reward for a word rises within a minute on a tiny model, and falls where it is negated ---------


def learn(folder, roles, reward, rollouts):
    """How often the word is written, on average over each rollout, while the policy learns."""
    logs = Logs()
    ppo_trainer(
        folder,
        roles,
        reward,
        callbacks=[logs],
        per_device_train_batch_size=32,
        gradient_accumulation_steps=1,
        learning_rate=2e-2,
        value_learning_rate=5e-3,
        lr_scheduler_type="constant",
        kl_coef=0.0,
        response_length=12,
        total_episodes=64 * rollouts,
        prompts=["Film review: A great cast. A", "Film review: a"] * 8,
    ).train()
    return [abs(log["objective/scores"]) for log in logs.rollouts]


def test_it_learns_to_write_a_word_and_to_leave_it_out_when_the_reward_is_negated(tmp_path):
    roles = shared_roles()
    rising = learn(tmp_path / "more", roles, count_a, rollouts=14)
    assert rising[-1] > rising[0] + 1.0
    falling = learn(tmp_path / "fewer", roles, fewer_a, rollouts=6)
    assert falling[-1] < 0.5 * falling[0]
