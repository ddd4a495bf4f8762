"""Where the reward of an online recipe comes from: the same options for PPO, GRPO and RLOO."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from accelerate import PartialState

from rlhf.errors import ConfigError, DataError
from rlhf.models.folders import is_adapter_folder, locate
from rlhf.models.load import ModelOptions
from rlhf.rewards import Reward, load_reward
from rlhf.rewards.ensemble import Ensemble, combine

# The name under which the reward model, or the ensemble, stands in metrics.
REWARD_MODEL = "reward_model"
UNCERTAINTY_COEF = 0.1
TOLD_BY_THE_TRAINER = {"prompts", "completions", "prompt_ids", "completion_ids", "finished"}
# The option of recipes/reward.py that gives reward models a common zero.
CENTERING = "center_rewards_coefficient"


@dataclass
class RewardOptions:
    """Where the reward comes from."""

    reward_model_path: str | list[str] | None = field(
        default=None,
        metadata={
            "help": "A run of recipes/reward.py, or any sequence-classification model with one label; several form an "
            "ensemble. In PPO a reward adapter on the policy's own base shares that base."
        },
    )
    reward_model_weight: float = field(
        default=1.0, metadata={"help": "The weight of the reward model, or of the ensemble, beside reward_funcs."}
    )
    ensemble_reduction: Literal["mean", "min", "uncertainty"] = field(
        default="mean",
        metadata={
            "help": "What several reward models say together: their mean, their minimum, or their mean minus "
            "ensemble_uncertainty_coef times their variance. The latter two compare scores of different models: train "
            "these with center_rewards_coefficient, which gives them a common zero."
        },
    )
    ensemble_uncertainty_coef: float = field(
        default=UNCERTAINTY_COEF,
        metadata={"help": "What a unit of variance over the ensemble costs, with ensemble_reduction uncertainty."},
    )
    reward_funcs: list[str] | None = field(
        default=None,
        metadata={"help": "Further rewards: Python functions as package.module:function, reward models, or `lexicon`."},
    )
    reward_weights: list[float] | None = field(
        default=None, metadata={"help": "A weight for each of reward_funcs; 1 by default."}
    )
    token_reward_funcs: list[str] | None = field(
        default=None,
        metadata={"help": "PPO only: functions that return for each completion a list with a number for each token."},
    )
    token_reward_weights: list[float] | None = field(
        default=None, metadata={"help": "A weight for each of token_reward_funcs; 1 by default."}
    )

    def __post_init__(self) -> None:
        if not self.names():
            raise ConfigError(
                "No reward is given, and there is nothing to train on without one.",
                remedy="give --reward_model_path or --reward_funcs.",
            )
        problems = [*self._count_problems(), *self._ensemble_problems()]
        if problems:
            raise ConfigError(
                "The options of the reward don't fit together.", problems=problems, remedy="correct them."
            )

    def _count_problems(self) -> list[str]:
        problems = []
        pairs = {
            "reward": (self.reward_funcs, self.reward_weights),
            "token_reward": (self.token_reward_funcs, self.token_reward_weights),
        }
        for name, (functions, weights) in pairs.items():
            if weights is not None and len(weights) != len(functions or []):
                problems.append(
                    f"{len(weights)} {name}_weights are given for {len(functions or [])} {name}_funcs; "
                    "give one for each (the reward model's is reward_model_weight)"
                )
        if not self.model_paths and self.reward_model_weight != 1.0:
            problems.append("reward_model_weight is given without reward_model_path")
        twice = sorted({path for path in self.model_paths if self.model_paths.count(path) > 1})
        return [*problems, *(f"reward_model_path names {path} twice" for path in twice)]

    def _ensemble_problems(self) -> list[str]:
        problems = []
        if self.ensemble_reduction != "mean" and len(self.model_paths) < 2:
            problems.append(
                f"ensemble_reduction {self.ensemble_reduction} needs several reward models, and reward_model_path "
                f"names {len(self.model_paths)}"
            )
        if self.ensemble_uncertainty_coef < 0:
            problems.append(
                f"ensemble_uncertainty_coef is {self.ensemble_uncertainty_coef:g}; below 0 it would reward disagreement"
            )
        if self.ensemble_uncertainty_coef != UNCERTAINTY_COEF and self.ensemble_reduction != "uncertainty":
            problems.append(
                "ensemble_uncertainty_coef is for ensemble_reduction uncertainty, and that is "
                f"{self.ensemble_reduction}"
            )
        return problems

    @property
    def model_paths(self) -> list[str]:
        """The reward models: none, one, or the members of an ensemble."""
        paths = self.reward_model_path
        return [paths] if isinstance(paths, str) else list(paths or [])

    def combine(self, scores: torch.Tensor) -> torch.Tensor:
        """What the reward models say together: from their scores, [members, B], to [B]."""
        return combine(scores, self.ensemble_reduction, self.ensemble_uncertainty_coef)

    def shared_paths(self, model_options: ModelOptions) -> list[str]:
        """The reward models that are adapters on the policy's own base, so that they can be roles on it."""
        if model_options.tuning == "full" or not self.model_paths:
            return []
        ours = model_options.locate().base
        adapters = [path for path in self.model_paths if is_adapter_folder(path)]
        return [path for path in adapters if _is_same_model(ours, locate(None, path).base)]

    def names(self) -> list[str]:
        """All rewards, as they are called in the options."""
        return [*self.model_paths, *(self.reward_funcs or []), *(self.token_reward_funcs or [])]

    def parents(self) -> list[Path]:
        """The reward models that lie in folders."""
        return [Path(path) for path in self.model_paths if Path(path).is_dir()]


def load_rewards(options: RewardOptions) -> tuple[list[Reward], list[float]]:
    """All rewards and their weights, the reward model or the ensemble first, under the name `reward_model`.

    Raises:
        ConfigError: a function can't be imported, or gives its reward token by token.
        ModelError: a folder holds no reward model.
    """
    if options.token_reward_funcs:
        raise ConfigError(
            "token_reward_funcs are for PPO: GRPO and RLOO give all tokens of a response the same advantage.",
            remedy="give their sums as reward_funcs.",
        )
    functions, weights = load_functions(options)
    if not options.model_paths:
        return functions, weights
    warn_of_open_zeros(options)
    members = [load_reward(path) for path in options.model_paths]
    model = members[0] if len(members) == 1 else Ensemble(members, options.combine)
    model.name = REWARD_MODEL
    return [model, *functions], [options.reward_model_weight, *weights]


def load_functions(options: RewardOptions) -> tuple[list[Reward], list[float]]:
    """The rewards beside the reward model, and their weights; a bad name is a ConfigError."""
    specs = options.reward_funcs or []
    return [load_reward(spec) for spec in specs], list(options.reward_weights or [1.0] * len(specs))


def further_columns(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The columns beyond the prompt, which reward functions may want.

    Raises:
        DataError: a column has the name of something that the trainer tells them itself.
    """
    columns = {name for row in rows for name in row} - {"prompt"}
    taken = sorted(columns & TOLD_BY_THE_TRAINER)
    if taken:
        raise DataError(
            f"The prompts have the columns {', '.join(taken)}, which reward functions get from the trainer.",
            remedy="rename them, or leave them out.",
        )
    return tuple(sorted(columns))


def warn_of_open_zeros(options: RewardOptions) -> None:
    """Say which members of an ensemble have a zero of their own, where the reduction compares their scores."""
    if options.ensemble_reduction == "mean":
        return
    uncentred = [path for path in options.model_paths if _training_options(path).get(CENTERING, 0) is None]
    if uncentred:
        PartialState().print(
            f"Warning: ensemble_reduction {options.ensemble_reduction} compares the members' scores, and "
            f"{', '.join(uncentred)} was trained without a common zero. Train with --{CENTERING} 0.01."
        )


def _training_options(run: str) -> dict[str, Any]:
    """The resolved options of a run; none for a model from elsewhere."""
    file = Path(run) / "config.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return content if isinstance(content, dict) else {}


def _is_same_model(ours: str, theirs: str) -> bool:
    return ours == theirs or (Path(ours).exists() and Path(ours).resolve() == Path(theirs).resolve())
