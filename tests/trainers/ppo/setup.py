"""A PPO trainer on a tiny model, for the tests of this folder."""

from pathlib import Path

from datasets import Dataset
from peft import LoraConfig

from rlhf.models.separate_roles import SeparateRoles
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import FunctionReward
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.ppo.trainer import PPOTrainer
from tests.tiny import tiny_causal_lm, tiny_tokenizer

PROMPTS = ["Film review: A", "You are", "What is the capital of", "Film review: The plot"]


def count_a(prompts, completions, **columns):
    """How often the word "a" is written."""
    return [float(completion.count(" a")) for completion in completions]


def fewer_a(prompts, completions, **columns):
    return [-score for score in count_a(prompts, completions)]


def shared_roles(**options) -> SharedRoles:
    return SharedRoles.build(tiny_causal_lm(), new_adapter=LoraConfig(r=8, target_modules="all-linear"), **options)


def separate_roles(**options) -> SeparateRoles:
    return SeparateRoles(tiny_causal_lm(), tiny_causal_lm(seed=1).base_model, **options)


def ppo_trainer(
    folder: Path,
    roles,
    reward=count_a,
    callbacks=None,
    prompts=PROMPTS,
    judges=(),
    pretraining=None,
    token_rewards=(),
    tokenizer=None,
    **options,
) -> PPOTrainer:
    """8 prompts a rollout, 2 epochs of 2 minibatches of 2 micro-batches unless told otherwise."""
    defaults = trainer_defaults() | {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "num_mini_batches": 2,
        "num_ppo_epochs": 2,
        "response_length": 8,
        "learning_rate": 1e-3,
        "total_episodes": 16,
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    tokenizer = tokenizer or tiny_tokenizer()
    return PPOTrainer(
        roles,
        Scorer(tokenizer, rewards=[FunctionReward(reward)], token_rewards=token_rewards),
        PPOConfig(output_dir=str(folder), **(defaults | options)),
        tokenizer,
        Dataset.from_list([{"prompt": prompt} for prompt in prompts * 50]),
        eval_dataset=Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
        callbacks=callbacks,
        judges=judges,
        pretraining=pretraining,
    )


def weights_of(parameters) -> list:
    return [parameter.detach().clone() for parameter in parameters]
