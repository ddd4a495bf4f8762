"""The options of TRL 1.12's PPO: names, defaults, units, and what is refused or remarked on."""

import dataclasses
import re
from pathlib import Path

import pytest
from transformers import HfArgumentParser, TrainingArguments
from trl import TrlParser

import rlhf
from rlhf.config import parse
from rlhf.errors import ConfigError
from rlhf.models.load import ModelOptions
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.options import DataOptions
from rlhf.trainers.ppo.build import RoleOptions
from rlhf.trainers.ppo.config import PPOConfig as NativePPOConfig
from rlhf.trainers.ppo.trl_compat.options import fill_in_sizes, minibatch_layout, native_options
from rlhf.trainers.reward_options import RewardOptions
from tests.trainers.ppo.trl_setup import trl_options, trl_trainer


def test_options_have_trls_names_and_defaults():
    theirs = {
        "learning_rate": 3e-6,
        "gradient_checkpointing": True,
        "dataset_num_proc": None,
        "num_mini_batches": 1,
        "total_episodes": None,
        "local_rollout_forward_batch_size": 64,
        "num_sample_generations": 10,
        "response_length": 53,
        "stop_token": None,
        "stop_token_id": None,
        "temperature": 0.7,
        "missing_eos_penalty": None,
        "sft_model_path": "EleutherAI/pythia-160m",
        "world_size": None,
        "num_total_batches": None,
        "micro_batch_size": None,
        "local_batch_size": None,
        "batch_size": None,
        "local_mini_batch_size": None,
        "mini_batch_size": None,
        "push_to_hub": False,
        "reward_model_path": "EleutherAI/pythia-160m",
        "model_adapter_name": None,
        "ref_adapter_name": None,
        "num_ppo_epochs": 4,
        "whiten_rewards": False,
        "kl_coef": 0.05,
        "kl_estimator": "k1",
        "cliprange": 0.2,
        "vf_coef": 0.1,
        "cliprange_value": 0.2,
        "gamma": 1.0,
        "lam": 0.95,
        "ds3_gather_for_generation": True,
    }
    options = rlhf.PPOConfig(output_dir="unused", use_cpu=True)
    assert {name: getattr(options, name) for name in theirs} == theirs


@pytest.mark.parametrize("parser", [HfArgumentParser, TrlParser])
def test_options_come_from_a_command_line(parser):
    line = [
        "--output_dir",
        "unused",
        "--use_cpu",
        "--stop_token",
        "eos",
        "--num_ppo_epochs",
        "2",
        "--kl_estimator",
        "k3",
    ]
    (options,) = parser((rlhf.PPOConfig,)).parse_args_into_dataclasses(line)
    assert (options.stop_token, options.num_ppo_epochs, options.kl_estimator) == ("eos", 2, "k3")


@pytest.mark.parametrize(
    ("rows", "accumulation", "minibatches", "layout"),
    [
        (2, 4, 2, (2, 2)),  # 8 prompts: 2 minibatches of 2 x 2
        (8, 1, 4, (2, 1)),  # 8 prompts: 4 minibatches of 2 at once
        (4, 3, 2, (3, 2)),  # 12 prompts: 2 minibatches of 6, which 4 doesn't divide, but 3
        (6, 2, 3, (4, 1)),  # 12 prompts: 3 minibatches of 4 at once
        (4, 2, 1, (4, 2)),
    ],
)
def test_num_mini_batches_splits_the_rollout(tmp_path, rows, accumulation, minibatches, layout):
    args = trl_options(
        tmp_path,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=accumulation,
        num_mini_batches=minibatches,
    )
    assert minibatch_layout(args) == layout
    fill_in_sizes(args, prompts=100, processes=1)
    native = native_options(args, stop_token_id=2, has_eval_dataset=False)
    assert native.batch_size == args.batch_size == rows * accumulation


def test_what_counted_rollouts_counts_optimizer_steps(tmp_path):
    args = trl_options(
        tmp_path,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=6,
        num_mini_batches=3,
        num_ppo_epochs=2,
        total_episodes=None,
        num_train_epochs=3,
        logging_steps=2,
        save_strategy="steps",
        save_steps=5,
        eval_strategy="steps",
        eval_steps=0.25,
        warmup_steps=3,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": 4, "min_lr_ratio": 0.1},
        local_rollout_forward_batch_size=16,
        exp_name="mine",
    )
    fill_in_sizes(args, prompts=100, processes=2)
    # 3 x 100 prompts in rollouts of 4 x 6 x 2 = 48 are 7 rollouts; each is 2 x 3 = 6 optimizer steps.
    assert (args.total_episodes, args.num_total_batches, args.batch_size, args.mini_batch_size) == (300, 7, 48, 16)
    native = native_options(args, stop_token_id=None, has_eval_dataset=True)
    assert native.steps_per_rollout == 6
    assert (native.logging_steps, native.save_steps, native.warmup_steps) == (12, 30, 18)
    assert native.eval_steps == 2 * 6  # a quarter of 7 rollouts, rounded up
    assert native.lr_scheduler_kwargs == {"num_decay_steps": 24, "min_lr_ratio": 0.1}
    assert (native.generation_batch_size, native.run_name, native.stop_token) == (16, "mine", None)


def test_without_eval_steps_it_evaluates_when_trl_showed_samples(tmp_path):
    args = trl_options(tmp_path, eval_strategy="steps", num_sample_generations=3, total_episodes=28, num_ppo_epochs=2)
    fill_in_sizes(args, prompts=8, processes=1)
    # 28 episodes are 7 rollouts, 3 showings are 7 // 3 = 2 rollouts apart, of 2 steps each.
    assert native_options(args, stop_token_id=2, has_eval_dataset=True).eval_steps == 2 * 2


def test_total_episodes_follow_from_the_epochs(tmp_path):
    trainer = trl_trainer(tmp_path, {"total_episodes": None, "num_train_epochs": 1.5})
    trainer.train()
    assert trainer.episodes == 12 and trainer.state.global_step == 3


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"per_device_train_batch_size": 4, "num_mini_batches": 3}, "3 equal minibatches"),
        ({"num_mini_batches": 0}, "0 equal minibatches"),
        ({"stop_token": "eos", "stop_token_id": 0}, "stop_token and stop_token_id"),
        ({"stop_token": "</s>"}, "stop_token is '</s>'"),
        ({"kl_estimator": "k2"}, "kl_estimator is 'k2'"),
        ({"fp16": True, "bf16": True}, "fp16 and bf16"),
        ({"fsdp": "full_shard"}, r"multi_gpu\.yaml"),
    ],
)
def test_bad_options_are_refused_at_once(tmp_path, options, part):
    with pytest.raises(ConfigError, match=part):
        trl_options(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"missing_eos_penalty": 1.0}, "missing_eos_penalty needs a stop token"),
        ({"temperature": 0.0}, "temperature"),
        ({"per_device_train_batch_size": 16}, "fewer than the 16"),
    ],
)
def test_bad_options_are_refused_before_training(tmp_path, options, part):
    with pytest.raises(ConfigError, match=part):
        trl_trainer(tmp_path, options)


def test_options_of_another_class_are_refused(tmp_path):
    native = native_options(_filled(trl_options(tmp_path)), stop_token_id=2, has_eval_dataset=False)
    with pytest.raises(ConfigError, match=r"rlhf\.PPOConfig"):
        trl_trainer(tmp_path, args=native)


def _filled(args):
    fill_in_sizes(args, prompts=8, processes=1)
    return args


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"batch_size": 7}, "batch_size: computed"),
        ({"max_steps": 5}, "total_episodes says how long"),
        # 8 prompts in minibatches of 4, which are micro-batches too, 2 to a step: one step an epoch.
        ({"gradient_accumulation_steps": 2, "num_mini_batches": 2}, "made 1 in TRL"),
        # Minibatches of 2, each a micro-batch of its own, 2 to a step.
        ({"gradient_accumulation_steps": 2, "num_mini_batches": 4}, "made 2 in TRL"),
        ({"bf16": True}, "dtype=torch.bfloat16"),
        ({"eval_strategy": "steps", "eval_steps": 1}, "there is no eval_dataset"),
        ({"ds3_gather_for_generation": False}, "DeepSpeed can't be used"),
    ],
)
def test_what_means_something_else_is_said_once(tmp_path, caplog, options, part):
    trl_trainer(tmp_path, options)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("rlhf.")]
    assert len(told) == 1 and part in told[0]


def test_a_plain_script_hears_nothing(tmp_path, caplog):
    # 4 minibatches of 1 without accumulation were 4 steps in TRL as well.
    options = {"batch_size": 4, "num_mini_batches": 4, "gradient_checkpointing": True, "dataset_num_proc": 2}
    trl_trainer(tmp_path, options)
    assert not [record for record in caplog.records if record.name.startswith("rlhf.")]


PAGE = (Path(__file__).parents[3] / "docs" / "migrating_from_trl.md").read_text(encoding="utf-8")


def test_the_page_tells_of_every_option():
    inherited = {field.name for field in dataclasses.fields(TrainingArguments)}
    own = {field.name for field in dataclasses.fields(rlhf.PPOConfig)} - inherited
    assert own and not {name for name in own if f"`{name}`" not in PAGE}


def test_the_recipe_on_the_page_loads(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = tmp_path / "ppo.yaml"
    config.write_text(text, encoding="utf-8")
    *_, options = parse(
        ModelOptions,
        DataOptions,
        RewardOptions,
        RoleOptions,
        NativePPOConfig,
        argv=["--config", str(config)],
        defaults=trainer_defaults(),
    )
    # As its comments have it: rollouts of 64, saved after every fourth.
    assert options.batch_size == 64 and options.save_steps == 4 * options.steps_per_rollout
