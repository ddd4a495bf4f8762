"""What a PPO run must hold, on a tiny model: real sampling, real steps."""

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
from tests.trainers.ppo.setup import count_a, fewer_a, ppo_trainer, separate_roles, shared_roles, weights_of

FORMS = [shared_roles, separate_roles]


class Steps(TrainerCallback):
    """Keeps the logs."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))


@pytest.mark.parametrize("roles", FORMS)
def test_at_the_start_kl_is_0_and_with_learning_rate_0_the_ratio_stays_1(tmp_path, roles):
    steps = Steps()
    ppo_trainer(tmp_path, roles(), callbacks=[steps], learning_rate=0.0, temperature=0.7).train()
    assert steps.logs[0]["objective/kl"] == 0.0
    for log in steps.logs[:-1]:
        assert log["objective/kl"] == pytest.approx(0.0, abs=1e-5)
        assert log["val/ratio"] == pytest.approx(1.0, abs=1e-5)
        assert log["policy/clipfrac_avg"] == 0.0
        assert log["policy/approxkl_avg"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("policy_layers", [1, 3])
def test_rollout_logprobs_equal_those_of_sampling(tmp_path, policy_layers):
    trainer = ppo_trainer(tmp_path, shared_roles(policy_layers=policy_layers), temperature=0.7)
    with torch.no_grad():
        for parameter in trainer.roles.role_parameters()["policy"]:
            parameter.add_(0.05 * torch.randn_like(parameter))
    rows = [trainer.train_dataset[i] for i in range(8)]
    generations = trainer._answer(rows, 1, range(8))
    trainer._answer = lambda rows, seed, numbers: generations
    rollout = trainer.roll_out(rows)
    for row, generation in enumerate(generations):
        ours = rollout.logprobs[row, : len(generation.logprobs)]
        torch.testing.assert_close(ours, torch.tensor(generation.logprobs), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("value_layers", [1, 3])
def test_the_size_of_forward_batches_changes_nothing(tmp_path, value_layers):
    trainer = ppo_trainer(tmp_path, shared_roles(policy_layers=1, value_layers=value_layers))
    rows = [trainer.train_dataset[i] for i in range(8)]
    generations = trainer._answer(rows, 1, range(8))
    trainer._answer = lambda rows, seed, numbers: generations
    rollouts = []
    for size in (8, 3, 1):
        trainer.args.local_rollout_forward_batch_size = size
        rollouts.append(trainer.roll_out(rows))
    for rollout in rollouts[1:]:
        for name in ("logprobs", "values", "advantages", "returns"):
            torch.testing.assert_close(getattr(rollout, name), getattr(rollouts[0], name), atol=1e-5, rtol=1e-5)
        mask = rollout.sequences.attention_mask
        for role, states in rollout.sequences.trunk.items():
            torch.testing.assert_close(states[mask], rollouts[0].sequences.trunk[role][mask], atol=1e-5, rtol=1e-5)


def test_optimizer_steps_are_epochs_times_minibatches_times_rollouts(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), num_ppo_epochs=3, total_episodes=24)
    trainer.train()
    assert trainer.state.global_step == 3 * 2 * 3
    assert trainer.episodes == 24


def test_every_row_is_used_once_in_each_epoch(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles())
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    rollout.returns[:] = torch.arange(8.0)[:, None]
    seen = [batch.rollout.returns[:, 0] for batch in trainer._epochs_over(rollout)]
    for epoch in (seen[:4], seen[4:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(8))


def gradients(trainer, rollout, micro_batches):
    """The gradients of one minibatch made of all rows."""
    trainer.args.gradient_accumulation_steps = micro_batches
    trainer.args.num_mini_batches = 1
    trainer.roles.zero_grad()
    for batch in list(trainer._epochs_over(rollout))[:micro_batches]:
        trainer.compute_loss(trainer.roles, batch).backward()
    return [p.grad.clone() for group in trainer.roles.role_parameters().values() for p in group]


@pytest.mark.parametrize("roles", FORMS)
def test_micro_batches_of_unequal_lengths_equal_one_batch(tmp_path, roles):
    trainer = ppo_trainer(tmp_path, roles())
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    rollout.advantages.normal_().mul_(rollout.sequences.response_mask)
    whole = gradients(trainer, rollout, 1)
    for one, many in zip(whole, gradients(trainer, rollout, 4), strict=True):
        torch.testing.assert_close(one, many, atol=1e-6, rtol=1e-4)


def test_padding_changes_no_loss_and_no_gradient(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(policy_layers=2))
    rows = [trainer.train_dataset[i] for i in range(8)]
    rollout = trainer.roll_out(rows)
    plain = gradients(trainer, rollout, 1)
    sequences = rollout.sequences
    sequences.trunk = {}
    pad = trainer._tokenizer.pad_token_id
    sequences.input_ids = torch.nn.functional.pad(sequences.input_ids, (3, 2), value=pad)
    sequences.attention_mask = torch.nn.functional.pad(sequences.attention_mask, (3, 2), value=False)
    sequences.prompt_width += 3
    for name in ("logprobs", "values", "advantages", "returns"):
        setattr(rollout, name, torch.nn.functional.pad(getattr(rollout, name), (0, 2)))
    for one, padded in zip(plain, gradients(trainer, rollout, 1), strict=True):
        torch.testing.assert_close(one, padded, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_shared_trunk_gives_the_losses_and_gradients_of_the_plain_forward(tmp_path, layers):
    roles = shared_roles(policy_layers=layers, value_layers=1)
    trainer = ppo_trainer(tmp_path, roles)
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    with_trunk = gradients(trainer, rollout, 2)
    rollout.sequences.trunk = {}
    for one, plain in zip(with_trunk, gradients(trainer, rollout, 2), strict=True):
        torch.testing.assert_close(one, plain, atol=1e-6, rtol=1e-5)


def test_a_step_changes_the_trained_roles_and_nothing_else(tmp_path):
    roles = shared_roles(policy_layers=1)
    trained = {id(p) for group in roles.role_parameters().values() for p in group}
    before = {name: p.detach().clone() for name, p in roles.named_parameters()}
    ppo_trainer(tmp_path, roles, learning_rate=1e-2).train()
    for name, parameter in roles.named_parameters():
        changed = not torch.equal(before[name], parameter)
        if id(parameter) not in trained:
            assert not changed, name
    policy = [p for p in roles.role_parameters()["policy"]]
    assert any(not torch.equal(before[n], p) for n, p in roles.named_parameters() if any(p is q for q in policy))


def test_gradients_are_clipped_by_role_and_the_logged_norm_is_the_true_one(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), max_grad_norm=0.01)
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    rollout.advantages.normal_()
    gradients(trainer, rollout, 1)
    true = {r: torch.stack([p.grad.norm() for p in ps]).norm() for r, ps in trainer.roles.role_parameters().items()}
    trainer.meter._sums.clear()
    trainer._clip_grad_norm(trainer.model)
    logged = trainer.meter.means(lambda tensor: tensor)
    for role, parameters in trainer.roles.role_parameters().items():
        assert logged[f"grad_norm/{role}"] == pytest.approx(true[role].item(), rel=1e-5)
        clipped = torch.stack([p.grad.norm() for p in parameters]).norm()
        assert clipped == pytest.approx(min(0.01, true[role].item()), rel=1e-3)


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


def test_a_missing_eos_is_paid_for_once(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), missing_eos_penalty=5.0, kl_coef=0.0, gamma=1.0, lam=1.0)
    trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    means = trainer.meter.means(lambda tensor: tensor)
    unfinished = 1 - means["response/finished"]
    assert unfinished > 0
    gap = means["objective/scores_before_penalty"] - means["objective/scores"]
    assert gap == pytest.approx(5.0 * unfinished, rel=1e-5)


@pytest.mark.parametrize(("stop", "ends"), [("eos", 2), (None, None), (5, 5)])
def test_a_response_ends_with_its_stop_token(tmp_path, stop, ends):
    options = {"stop_token_id": stop} if isinstance(stop, int) else {"stop_token": stop}
    trainer = ppo_trainer(tmp_path, shared_roles(), response_length=40, **options)
    for generation in trainer._answer([trainer.train_dataset[i] for i in range(16)], 3, range(16)):
        assert ends not in generation.response_ids[:-1]
        assert generation.finished == (generation.response_ids[-1] == ends)
        assert generation.finished or len(generation.response_ids) == 40


def learn(folder, roles, reward, rollouts):
    """How often the word is written, on average over each rollout, while the policy learns."""
    steps = Steps()
    ppo_trainer(
        folder,
        roles,
        reward,
        callbacks=[steps],
        per_device_train_batch_size=32,
        gradient_accumulation_steps=1,
        learning_rate=2e-2,
        value_learning_rate=5e-3,
        kl_coef=0.0,
        response_length=12,
        total_episodes=64 * rollouts,
        prompts=["Film review: A great cast. A", "Film review: a"] * 8,
    ).train()
    return [abs(log["objective/scores"]) for log in steps.logs if "objective/scores" in log]


def test_it_learns_to_write_a_word_and_to_leave_it_out_when_the_reward_is_negated(tmp_path):
    roles = shared_roles()
    rising = learn(tmp_path / "more", roles, count_a, rollouts=16)
    assert rising[-1] > rising[0] + 1.0
    falling = learn(tmp_path / "fewer", roles, fewer_a, rollouts=10)
    assert falling[-1] < 0.5 * falling[0]


def test_evaluation_measures_held_out_prompts(tmp_path):
    metrics = ppo_trainer(tmp_path, shared_roles(), per_device_eval_batch_size=2).evaluate()
    assert metrics["eval_objective/kl"] == 0.0
    assert math.isfinite(metrics["eval_objective/scores"])


@pytest.mark.parametrize("roles", FORMS)
def test_a_resumed_run_goes_on_as_if_nothing_had_happened(tmp_path, roles):
    options = {"total_episodes": 32, "target_kl": 0.01, "kl_horizon": 100, "learning_rate": 1e-2}
    whole = ppo_trainer(tmp_path / "whole", roles(), save_strategy="steps", save_steps=8, **options)
    whole.train()
    again = ppo_trainer(tmp_path / "again", roles(), **options)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-8"))
    assert again.kl_controller.coefficient == whole.kl_controller.coefficient != 0.05
    assert again.episodes == whole.episodes == 32
    for role, parameters in whole.roles.role_parameters().items():
        for one, other in zip(parameters, again.roles.role_parameters()[role], strict=True):
            assert torch.equal(one, other)


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


def test_a_resume_in_a_later_epoch_finds_its_prompts_again(tmp_path):
    options = {"total_episodes": 40, "learning_rate": 1e-2, "save_strategy": "steps", "save_steps": 4}
    prompts = ["Film review: A", "You are"]

    def few(trainer):
        trainer.train_dataset = trainer.train_dataset.select(range(18))  # two rollouts an epoch
        return trainer

    whole = few(ppo_trainer(tmp_path / "whole", shared_roles(), prompts=prompts, **options))
    whole.train()
    again = few(ppo_trainer(tmp_path / "again", shared_roles(), prompts=prompts, **options))
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-12"))
    for role, parameters in whole.roles.role_parameters().items():
        for one, other in zip(parameters, again.roles.role_parameters()[role], strict=True):
            assert torch.equal(one, other)


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
