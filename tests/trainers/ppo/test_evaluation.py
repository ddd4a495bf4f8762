"""Held-out prompts while a policy is trained: figures, judges, samples, the KL budget, the best checkpoint."""

import json

import pytest

from rlhf.errors import ConfigError
from rlhf.rewards import FunctionReward
from rlhf.trainers.ppo.config import PPOConfig
from tests.trainers.ppo.setup import PROMPTS, ppo_trainer, shared_roles

EVERY_ROLLOUT = {"eval_strategy": "steps", "eval_steps": 4, "per_device_eval_batch_size": 3}


def length_of(prompts, completions, **columns):
    return [float(len(text)) for text in completions]


def samples(folder):
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def test_figures_are_means_over_the_held_out_prompts(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), judges=[FunctionReward(length_of, "length")], **EVERY_ROLLOUT)
    metrics = trainer.evaluate()
    rows = samples(tmp_path)
    assert [row["prompt"] for row in rows] == PROMPTS and {row["step"] for row in rows} == {0}
    for metric, column in (
        ("eval_objective/scores", "score"),
        ("eval_rewards/count_a/mean", "score"),
        ("eval_judges/length/mean", "length_of_text"),
        ("eval_response/length", "length"),
        ("eval_response/finished", "finished"),
    ):
        if column == "length_of_text":
            expected = sum(len(row["completion"]) for row in rows) / len(rows)
        else:
            expected = sum(row[column] for row in rows) / len(rows)
        assert metrics[metric] == pytest.approx(expected), metric
    assert metrics["eval_objective/kl"] == 0.0


def test_an_unchanged_policy_gives_the_same_answers_at_every_evaluation(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), **EVERY_ROLLOUT)
    trainer.evaluate()
    trainer.args.per_device_eval_batch_size = 1
    trainer.evaluate()
    first, second = samples(tmp_path)[:4], samples(tmp_path)[4:]
    assert [row["completion"] for row in first] == [row["completion"] for row in second]


def test_samples_can_be_left_out(tmp_path):
    ppo_trainer(tmp_path, shared_roles(), log_completions=False, **EVERY_ROLLOUT).evaluate()
    assert not (tmp_path / "samples.jsonl").exists()


def test_training_stops_when_the_kl_budget_is_spent_on_held_out_prompts(tmp_path, capsys):
    options = {"learning_rate": 2e-3, "kl_coef": 0.0, "total_episodes": 80, "kl_budget": 0.5}
    trainer = ppo_trainer(tmp_path, shared_roles(), **EVERY_ROLLOUT, **options)
    trainer.train()
    kl = [log["eval_objective/kl"] for log in trainer.state.log_history if "eval_objective/kl" in log]
    assert len(kl) > 1 and kl[-1] > 0.5 and all(one <= 0.5 for one in kl[:-1])
    assert trainer.state.global_step == 4 * len(kl) < 40
    assert "The KL budget of 0.5 nats is spent" in capsys.readouterr().out


def test_without_evaluation_the_budget_counts_the_rollouts_kl(tmp_path):
    options = {"learning_rate": 2e-3, "kl_coef": 0.0, "total_episodes": 80, "kl_budget": 0.4}
    trainer = ppo_trainer(tmp_path, shared_roles(), **options)
    trainer.train()
    kl = [log["objective/kl"] for log in trainer.state.log_history if "objective/kl" in log]
    assert kl[-1] > 0.4 and all(one <= 0.4 for one in kl[:-1]) and 1 < len(kl) < 10


@pytest.mark.parametrize("evaluation", [EVERY_ROLLOUT, {}, {"logging_steps": 40}])
def test_a_budget_that_was_spent_before_a_resume_is_spent(tmp_path, evaluation):
    options = {"learning_rate": 2e-3, "kl_coef": 0.0, "total_episodes": 80, "kl_budget": 0.4}
    options |= {"save_strategy": "steps", "save_steps": 4} | evaluation
    trainer = ppo_trainer(tmp_path, shared_roles(), **options)
    trainer.train()
    stopped = trainer.state.global_step
    assert 4 < stopped < 40
    again = ppo_trainer(tmp_path, shared_roles(), **options)
    again.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stopped}"))
    assert again.state.global_step == stopped
    more = ppo_trainer(tmp_path, shared_roles(), **(options | {"kl_budget": 1000.0, "total_episodes": 2 * stopped + 8}))
    more.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stopped}"))
    assert more.state.global_step == stopped + 4


def test_the_best_checkpoint_lies_within_the_budget(tmp_path):
    trainer = ppo_trainer(
        tmp_path,
        shared_roles(),
        **EVERY_ROLLOUT,
        learning_rate=2e-3,
        kl_coef=0.0,
        total_episodes=80,
        kl_budget=0.5,
        load_best_model_at_end=True,
        save_strategy="steps",
        save_steps=4,
    )
    trainer.train()
    history = [log for log in trainer.state.log_history if "eval_objective/kl" in log]
    within = [log for log in history if log["eval_objective/kl"] <= 0.5]
    assert 1 < len(within) < len(history)
    best = max(within, key=lambda log: log["eval_objective/scores"])
    assert trainer.state.best_global_step == best["step"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"kl_budget": 0}, "kl_budget is 0"),
        ({"kl_budget": 3.0, "target_kl": 6.0}, "target_kl 6.0 steers towards"),
        ({"kl_budget": 3.0, "sync_ref_model": True}, "sync_ref_model moves it"),
        ({"use_score_norm": True}, "needs use_score_scaling"),
        ({"save_strategy": "best"}, "needs metric_for_best_model"),
        ({"per_device_eval_batch_size": 0}, "per_device_eval_batch_size is 0"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"value_learning_rate": -1.0}, "value_learning_rate is -1.0"),
        ({"neftune_noise_alpha": 5.0}, "neftune_noise_alpha"),
        ({"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"}, "reduce_lr_on_plateau"),
    ],
)
def test_options_that_cannot_hold_together_are_refused(tmp_path, options, part):
    with pytest.raises(ConfigError, match=part):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True, **options)


@pytest.mark.parametrize("metric", ["accuracy", "objective/entropy", "judges/other/mean"])
def test_a_best_model_by_a_metric_that_nobody_measures_is_refused(tmp_path, metric):
    best = {"load_best_model_at_end": True, "metric_for_best_model": metric, "save_strategy": "steps", "save_steps": 4}
    with pytest.raises(ConfigError, match="which no evaluation measures"):
        ppo_trainer(tmp_path, shared_roles(), judges=[FunctionReward(length_of, "length")], **EVERY_ROLLOUT, **best)


def test_a_mixed_precision_launch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(ConfigError, match="mixed precision"):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True)


def test_without_a_policy_within_the_budget_the_run_says_so(tmp_path, capsys):
    best = {"load_best_model_at_end": True, "save_strategy": "steps", "save_steps": 4, "kl_budget": 1e-9}
    options = {"learning_rate": 1e-2, "kl_coef": 0.0}
    ppo_trainer(tmp_path, shared_roles(), **EVERY_ROLLOUT, **best, **options).train()
    assert "no evaluation was within the KL budget" in capsys.readouterr().out


def test_the_budget_of_the_rollouts_is_counted_whatever_is_logged(tmp_path):
    options = {"learning_rate": 2e-3, "kl_coef": 0.0, "total_episodes": 80, "kl_budget": 0.4, "logging_steps": 40}
    trainer = ppo_trainer(tmp_path, shared_roles(), **options)
    trainer.train()
    assert trainer.state.global_step < 40 and trainer.state.global_step % 4 == 0
