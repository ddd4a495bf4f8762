"""PPO runs on a tiny model: real sampling, real steps. What any PPO must hold is in tests/invariants."""

import json
import math
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel
from transformers import TrainerCallback

from rlhf.errors import ConfigError, TrainingError
from rlhf.models.shared_roles import SharedRoles
from rlhf.trainers.ppo.advantages import masked_mean
from rlhf.trainers.ppo.config import PPOConfig
from tests.tiny import tiny_causal_lm
from tests.trainers.ppo.setup import count_a, ppo_trainer, separate_roles, shared_roles, weights_of


class Steps(TrainerCallback):
    """Keeps the logs."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))


def test_values_begin_at_the_mean_score_and_are_shifted_once(tmp_path):
    def far_from_zero(prompts, completions, **columns):
        return [score - 100.0 for score in count_a(prompts, completions)]

    trainer = ppo_trainer(tmp_path, shared_roles(), far_from_zero)
    rows = [trainer.train_dataset[i] for i in range(8)]
    first = trainer.roll_out(rows)
    scores = trainer.meter.means(lambda tensor: tensor)["objective/scores"]
    assert masked_mean(first.values, first.sequences.response_mask).item() == pytest.approx(scores, rel=1e-5)
    bias = trainer.roles.value_head.linear.bias.clone()
    trainer.roll_out(rows)
    assert torch.equal(trainer.roles.value_head.linear.bias, bias)


def test_evaluation_measures_held_out_prompts(tmp_path):
    metrics = ppo_trainer(tmp_path, shared_roles(), per_device_eval_batch_size=2).evaluate()
    assert metrics["eval_objective/kl"] == 0.0
    assert math.isfinite(metrics["eval_objective/scores"])


def test_what_is_saved_loads_with_plain_peft(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(policy_layers=2), learning_rate=1e-2)
    trainer.train()
    trainer.save_model()
    plain = PeftModel.from_pretrained(tiny_causal_lm(), str(tmp_path)).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    with trainer.roles.sampling() as policy:
        torch.testing.assert_close(plain(ids).logits, policy(ids).logits, atol=1e-4, rtol=1e-4)
    assert json.loads((tmp_path / "ppo_state.json").read_text())["episodes"] == 16


def test_saving_falls_on_the_end_of_a_rollout(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), save_strategy="steps", save_steps=5)
    assert trainer.args.save_steps == 8


def nothing(prompts, completions, **columns):
    return [math.nan for _ in completions]


def test_a_nan_reward_stops_the_run_and_names_the_reward(tmp_path):
    with pytest.raises(TrainingError, match="nothing"):
        ppo_trainer(tmp_path, shared_roles(), nothing).train()


def test_a_nan_loss_stops_the_run(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles())
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    rollout.advantages[:] = math.nan
    with pytest.raises(TrainingError, match="last checkpoint"):
        trainer.compute_loss(trainer.roles, next(trainer._epochs_over(rollout)))


def test_a_data_set_smaller_than_a_rollout_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="fewer than"):
        ppo_trainer(tmp_path, shared_roles(), per_device_train_batch_size=1000)


def test_bad_options_are_named_together(tmp_path):
    with pytest.raises(ConfigError) as error:
        PPOConfig(output_dir=str(tmp_path), temperature=0, lam=2, target_kl=0, use_cpu=True)
    assert all(name in str(error.value) for name in ("temperature", "lam", "target_kl"))


def test_a_stop_token_that_the_tokenizer_lacks_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="stop_token_id 99999"):
        ppo_trainer(tmp_path, shared_roles(), stop_token_id=99999)


def test_frozen_parts_of_a_shallow_policy_stay_those_of_the_reference():
    roles = shared_roles(policy_layers=1)
    names = [n for n, p in roles.named_parameters() if p.requires_grad and ".default." in n]
    assert names and all(".layers.2." in name for name in names)
    assert weights_of(roles.role_parameters()["policy"])


def test_the_best_checkpoint_is_loaded_at_the_end(tmp_path):
    trainer = ppo_trainer(
        tmp_path,
        shared_roles(),
        total_episodes=24,
        learning_rate=1e-2,
        eval_strategy="steps",
        eval_steps=4,
        save_strategy="steps",
        save_steps=4,
        load_best_model_at_end=True,
        metric_for_best_model="eval_objective/scores",
        greater_is_better=True,
    )
    trainer.train()
    best = shared_roles()
    best.load(Path(trainer.state.best_model_checkpoint))
    for ours, saved in zip(trainer.roles.parameters(), best.parameters(), strict=True):
        assert torch.equal(ours, saved)


def test_nothing_drops_out_in_training_mode(tmp_path):
    shape = LoraConfig(r=8, target_modules="all-linear", lora_dropout=0.5, init_lora_weights=False)
    roles = SharedRoles.build(tiny_causal_lm(), new_adapter=shape)
    roles.train()
    trainer = ppo_trainer(tmp_path, roles)
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    with torch.no_grad():
        torch.testing.assert_close(roles(rollout.sequences).logprobs, rollout.logprobs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"stop_token": None, "missing_eos_penalty": 1.0}, "missing_eos_penalty needs a stop token"),
        ({"bf16": True}, "--dtype bfloat16"),
        ({"gradient_checkpointing": True}, "activation_checkpointing"),
        ({"fsdp": "full_shard"}, "multi_gpu.yaml"),
    ],
)
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated")
def test_what_ppo_does_not_support_is_refused(tmp_path, options, part):
    with pytest.raises(ConfigError, match=part):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True, **options)


@pytest.mark.parametrize("engine", ["FSDP", "DEEPSPEED"])
def test_a_launch_that_shards_the_shared_base_is_refused(tmp_path, monkeypatch, engine):
    monkeypatch.setenv(f"ACCELERATE_USE_{engine}", "true")
    with pytest.raises(ConfigError, match=r"multi_gpu\.yaml"):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True)


def test_a_resume_with_other_rollouts_is_refused(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 4}
    ppo_trainer(tmp_path / "whole", shared_roles(), **options).train()
    again = ppo_trainer(tmp_path / "again", shared_roles(), num_ppo_epochs=3, **options)
    with pytest.raises(ConfigError, match="steps_per_rollout: 4 there, 6 here"):
        again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))


def test_a_resume_takes_a_new_learning_rate_and_kl_coefficient(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 4, "lr_scheduler_type": "constant"}
    ppo_trainer(tmp_path / "whole", shared_roles(), **options).train()
    steps = Steps()
    new = {"learning_rate": 1e-5, "value_learning_rate": 2e-5, "kl_coef": 0.5}
    again = ppo_trainer(tmp_path / "again", shared_roles(), callbacks=[steps], **options, **new)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    assert steps.logs[0]["lr"] == pytest.approx(1e-5) and steps.logs[0]["objective/kl_coef"] == 0.5
    assert [group["lr"] for group in again.optimizer.param_groups] == pytest.approx([1e-5, 2e-5])


def test_weight_decay_leaves_norms_and_biases_alone(tmp_path):
    roles = separate_roles()
    options = {"weight_decay": 0.1, "value_learning_rate": 5e-4, "save_strategy": "steps", "save_steps": 4}
    trainer = ppo_trainer(tmp_path, roles, **options)
    trainer.train()
    groups = [(group["lr"], group["weight_decay"]) for group in trainer._groups()]
    assert groups == [(1e-3, 0.1), (1e-3, 0.0), (5e-4, 0.1), (5e-4, 0.0)]
    names = {id(parameter): name for name, parameter in roles.named_parameters() if parameter.requires_grad}
    alone = {names[id(p)] for group in trainer.optimizer.param_groups[1::2] for p in group["params"]}
    assert alone == {name for name in names.values() if "norm" in name or name.endswith("bias")}
    again = ppo_trainer(tmp_path, separate_roles(), **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    for ours, expected in zip(again.roles.parameters(), roles.parameters(), strict=True):
        assert torch.equal(ours, expected)


def test_a_run_by_epochs_ends_with_a_rollout(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), total_episodes=None, num_train_epochs=0.05)
    assert trainer.args.max_steps == 2 * 4  # 5% of 25 rollouts, rounded up, of 4 steps


def test_values_of_cut_off_answers_begin_at_the_score_too(tmp_path):
    def far_below(prompts, completions, **columns):
        return [-5.0 for _ in completions]

    trainer = ppo_trainer(tmp_path, shared_roles(), far_below, bootstrap_truncated=True)
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    assert masked_mean(rollout.values, rollout.sequences.response_mask).item() == pytest.approx(-5.0, rel=1e-5)


def test_a_horizon_shorter_than_a_rollout_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="kl_horizon 4 is shorter"):
        ppo_trainer(tmp_path, shared_roles(), target_kl=1.0, kl_horizon=4)


def test_at_full_depth_no_states_are_kept(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles())
    assert trainer.roll_out([trainer.train_dataset[i] for i in range(8)]).sequences.trunk == {}
    shallow = ppo_trainer(tmp_path, shared_roles(policy_layers=1, value_layers=1))
    trunk = shallow.roll_out([shallow.train_dataset[i] for i in range(8)]).sequences.trunk
    assert trunk["policy"] is trunk["value"]
