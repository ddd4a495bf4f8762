"""From options to the roles and rewards of a PPO run."""

from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlhf.models.load import ModelOptions, load_causal_lm, lora_config
from rlhf.models.roles import Roles
from rlhf.models.separate_roles import SeparateRoles
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import Reward, load_reward
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.reward_options import RewardOptions, load_functions, warn_of_open_zeros


@dataclass
class RoleOptions:
    """How much of the model policy and value train."""

    policy_layers: int | None = field(
        default=None, metadata={"help": "Top layers that the policy trains; all by default. Fewer are faster."}
    )
    value_layers: int | None = field(
        default=None, metadata={"help": "Top layers that the value role trains; all by default. Fewer are faster."}
    )


@dataclass(frozen=True)
class SeparateRewards:
    """The rewards of a run that are no roles on the policy's base.

    Attributes:
        members: reward models of their own, which form an ensemble with the reward roles.
        functions: further rewards, each with its weight in `weights`.
    """

    members: list[Reward]
    functions: list[Reward]
    weights: list[float]


def load_separate_rewards(options: RewardOptions, model_options: ModelOptions) -> SeparateRewards:
    """Load what is no role; a bad name is an error before the policy is loaded."""
    shared = options.shared_paths(model_options)
    warn_of_open_zeros(options)
    members = [load_reward(path) for path in options.model_paths if path not in shared]
    return SeparateRewards(members, *load_functions(options))


def build_roles(model_options: ModelOptions, reward_options: RewardOptions, role_options: RoleOptions) -> Roles:
    """One base with an adapter for each role; whole models where all weights are trained."""
    if model_options.tuning == "full":
        policy = load_causal_lm(model_options, trainable=True)
        value_model: Any = load_causal_lm(model_options, trainable=True)
        return SeparateRoles(policy, value_model.base_model)
    return SharedRoles.build(
        load_causal_lm(model_options),
        sft_adapter=model_options.locate().adapter,
        reward_adapters=reward_options.shared_paths(model_options),
        new_adapter=lora_config(model_options),
        policy_layers=role_options.policy_layers,
        value_layers=role_options.value_layers,
    )


def build_scorer(
    roles: Roles,
    tokenizer: PreTrainedTokenizerBase,
    separate: SeparateRewards,
    options: RewardOptions,
    args: PPOConfig,
) -> Scorer:
    """Let the reward roles, models of their own and functions score together."""
    has_role = isinstance(roles, SharedRoles) and len(roles.reward_heads) > 0
    return Scorer(
        tokenizer,
        roles=roles if isinstance(roles, SharedRoles) and has_role else None,
        members=separate.members,
        combine=options.combine,
        model_weight=options.reward_model_weight,
        rewards=separate.functions,
        weights=separate.weights,
        batch_size=args.local_rollout_forward_batch_size,
    )
