"""From options to the roles and rewards of a PPO run."""

from dataclasses import dataclass, field
from typing import Any

from accelerate import PartialState
from transformers import PreTrainedTokenizerBase

from rlhf.data import Kind, Row, load_rows, read_rows
from rlhf.data.schema import detect_kind
from rlhf.errors import ConfigError
from rlhf.models.load import ModelOptions, load_causal_lm, lora_config
from rlhf.models.roles import Roles
from rlhf.models.separate_roles import SeparateRoles
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import Reward, TokenReward, load_reward
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.pretraining import PretrainingMix, encode_texts, require_coefficient_and_texts
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


@dataclass
class SideOptions:
    """What a PPO run has beside prompts and rewards: judges that only measure, and texts that are mixed in."""

    judges: list[str] | None = field(
        default=None,
        metadata={
            "help": "Rewards that score the responses to held-out prompts, and are not trained against: `lexicon`, "
            "package.module:function, or reward models."
        },
    )
    ptx_dataset_name: str | None = field(
        default=None, metadata={"help": "Texts or examples for the language-modelling loss, weighted by ptx_coef."}
    )
    ptx_dataset_split: str = field(default="train", metadata={"help": "The split of a folder or hub data set."})
    ptx_max_length: int = field(default=256, metadata={"help": "Tokens at which these texts are cut."})

    def load_judges(self, has_held_out_prompts: bool) -> list[Reward]:
        """
        Raises:
            ConfigError: there are no held-out prompts to judge, or a function can't be imported.
        """
        if self.judges and not has_held_out_prompts:
            raise ConfigError(
                "judges measure responses to held-out prompts, and there are none.",
                remedy="give eval_dataset_name.",
            )
        return [load_reward(spec) for spec in self.judges or []]

    def load_texts(self, tokenizer: Any, args: PPOConfig) -> PretrainingMix | None:
        """The texts of `ptx_dataset_name`, tokenized.

        Raises:
            DataError: the data set is missing, or has bad rows.
            ConfigError: too few of its rows have something to predict, or ptx_coef doesn't fit.
        """
        require_coefficient_and_texts(args.ptx_coef, self.ptx_dataset_name is not None)
        if self.ptx_dataset_name is None:
            return None
        kind = kind_of_texts(self.ptx_dataset_name, self.ptx_dataset_split)
        rows = load_rows(self.ptx_dataset_name, kind, split=self.ptx_dataset_split)
        texts = encode_texts(tokenizer, rows, kind, self.ptx_max_length)
        return PretrainingMix(texts, int(tokenizer.pad_token_id), batch_size=args.ptx_batch_size, seed=args.seed)


def kind_of_texts(source: str, split: str) -> Kind:
    """Whether a data set holds plain texts or examples, by its first good row."""
    for row in read_rows(source, None, split=split):
        if isinstance(row, Row):
            return "text" if detect_kind(row) == "text" else "sft"
    return "sft"


@dataclass(frozen=True)
class SeparateRewards:
    """The rewards of a run that are no roles on the policy's base.

    Attributes:
        members: reward models of their own, which form an ensemble with the reward roles.
        functions: further rewards, each with its weight in `weights`.
        token_functions: rewards given token by token.
    """

    members: list[Reward]
    functions: list[Reward]
    weights: list[float]
    token_functions: list[TokenReward]


def load_separate_rewards(options: RewardOptions, model_options: ModelOptions) -> SeparateRewards:
    """Load what is no role; a bad name is an error before the policy is loaded."""
    shared = options.shared_paths(model_options)
    warn_of_open_zeros(options)
    members = [load_reward(path) for path in options.model_paths if path not in shared]
    token_functions = [TokenReward.by_name(name) for name in options.token_reward_funcs or []]
    return SeparateRewards(members, *load_functions(options), token_functions)


def build_roles(
    model_options: ModelOptions, reward_options: RewardOptions, role_options: RoleOptions, args: PPOConfig
) -> Roles:
    """One base with an adapter for each role; whole models where all weights are trained."""
    if model_options.lora_dropout not in (0.0, ModelOptions.lora_dropout) and model_options.tuning != "full":
        PartialState().print(
            "Warning: lora_dropout has no effect in PPO, where the ratio to the rollout's own policy has to be 1."
        )
    if model_options.tuning == "full":
        given = [name for name in ("policy_layers", "value_layers") if getattr(role_options, name) is not None]
        if given:
            raise ConfigError(
                f"{' and '.join(given)} can't be given with tuning=full, which trains all weights.",
                remedy="leave them out, or train adapters (--tuning lora).",
            )
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
        reference_moves=args.sync_ref_model,
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
        token_rewards=separate.token_functions,
        token_weights=options.token_reward_weights,
        batch_size=args.local_rollout_forward_batch_size,
    )
