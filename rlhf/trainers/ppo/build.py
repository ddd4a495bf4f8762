"""From options to the roles and rewards of a PPO run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlhf.errors import ConfigError
from rlhf.models.folders import is_adapter_folder, locate
from rlhf.models.load import ModelOptions, load_causal_lm, lora_config
from rlhf.models.roles import Roles
from rlhf.models.separate_roles import SeparateRoles
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import Reward, load_reward
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.scoring import Scorer


@dataclass
class RewardOptions:
    """Where the reward comes from, and how much of the model policy and value train."""

    reward_model_path: str | None = field(
        default=None,
        metadata={
            "help": "A run of recipes/reward.py, or any sequence-classification model with one label. A reward "
            "adapter on the policy's own base shares that base."
        },
    )
    reward_funcs: list[str] | None = field(
        default=None,
        metadata={"help": "Further rewards: Python functions as package.module:function, reward models, or `lexicon`."},
    )
    reward_weights: list[float] | None = field(
        default=None, metadata={"help": "A weight for each of reward_funcs; 1 by default."}
    )
    policy_layers: int | None = field(
        default=None, metadata={"help": "Top layers that the policy trains; all by default. Fewer are faster."}
    )
    value_layers: int | None = field(
        default=None, metadata={"help": "Top layers that the value role trains; all by default. Fewer are faster."}
    )

    def __post_init__(self) -> None:
        if not self.reward_model_path and not self.reward_funcs:
            raise ConfigError("PPO needs a reward.", remedy="give --reward_model_path or --reward_funcs.")
        if self.reward_weights is not None and len(self.reward_weights) != len(self.reward_funcs or []):
            raise ConfigError(
                f"{len(self.reward_weights)} reward_weights are given for {len(self.reward_funcs or [])} reward_funcs.",
                remedy="give one weight for each of reward_funcs.",
            )

    def shares_base(self, model_options: ModelOptions) -> bool:
        """Whether the reward model is an adapter on the policy's base, so that it can be one of its roles."""
        path = self.reward_model_path
        if path is None or model_options.tuning == "full" or not is_adapter_folder(path):
            return False
        ours, theirs = model_options.locate().base, locate(None, path).base
        return ours == theirs or (Path(ours).exists() and Path(ours).resolve() == Path(theirs).resolve())

    def names(self) -> list[str]:
        return [*([self.reward_model_path] if self.reward_model_path else []), *(self.reward_funcs or [])]

    def parents(self) -> list[str]:
        return [self.reward_model_path] if self.reward_model_path and Path(self.reward_model_path).is_dir() else []


def load_separate_rewards(options: RewardOptions, model_options: ModelOptions) -> tuple[list[Reward], list[float]]:
    """The rewards that are not a role, with their weights; a bad name is an error before the policy is loaded."""
    specs = list(options.reward_funcs or [])
    weights = list(options.reward_weights or [1.0] * len(specs))
    if options.reward_model_path and not options.shares_base(model_options):
        specs, weights = [options.reward_model_path, *specs], [1.0, *weights]
    return [load_reward(spec) for spec in specs], weights


def further_columns(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The columns beyond the prompt, which reward functions may want."""
    return tuple(sorted({name for row in rows for name in row} - {"prompt"}))


def build_roles(model_options: ModelOptions, reward_options: RewardOptions) -> Roles:
    """One base with an adapter for each role; whole models where all weights are trained."""
    if model_options.tuning == "full":
        policy = load_causal_lm(model_options, trainable=True)
        value_model: Any = load_causal_lm(model_options, trainable=True)
        return SeparateRoles(policy, value_model.base_model)
    shared = reward_options.shares_base(model_options)
    return SharedRoles.build(
        load_causal_lm(model_options),
        sft_adapter=model_options.locate().adapter,
        reward_adapters=[str(reward_options.reward_model_path)] if shared else [],
        new_adapter=lora_config(model_options),
        policy_layers=reward_options.policy_layers,
        value_layers=reward_options.value_layers,
    )


def build_scorer(
    roles: Roles,
    tokenizer: PreTrainedTokenizerBase,
    rewards: Sequence[Reward],
    weights: Sequence[float],
    args: PPOConfig,
) -> Scorer:
    has_role = isinstance(roles, SharedRoles) and len(roles.reward_heads) > 0
    return Scorer(
        tokenizer,
        roles=roles if isinstance(roles, SharedRoles) and has_role else None,
        rewards=rewards,
        weights=weights,
        batch_size=args.local_rollout_forward_batch_size,
    )
