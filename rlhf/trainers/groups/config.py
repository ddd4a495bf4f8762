"""The options of GRPO and RLOO: TRL's, and what puts a run on an equal footing with PPO's."""

import importlib.util
import math
from dataclasses import dataclass, field
from typing import Any

from accelerate import PartialState
from trl.trainer import grpo_config, rloo_config

from rlhf.errors import ConfigError
from rlhf.models.load import ModelOptions
from rlhf.trainers.ranges import Ranges, out_of_range
from rlhf.trainers.rollout_steps import round_up, round_up_steps


@dataclass
class GroupOptions:
    """What is the same for both: laid over TRL's configurations, of which it changes some defaults.

    A rollout is what TRL calls a generation: `per_device_train_batch_size` x processes x `steps_per_generation`
    responses, `num_generations` to each prompt, trained on for `num_iterations` epochs. As in PPO, logging and saving
    fall on ends of rollouts, where a row of metrics is whole and a resume is exact.
    """

    missing_eos_penalty: float | None = field(
        default=None, metadata={"help": "Taken off the reward of a response without a stop token, as in PPO."}
    )
    num_generations_eval: int | None = field(
        default=1, metadata={"help": "Responses to each held-out prompt; num_generations if null."}
    )
    disable_dropout: bool = field(
        default=True,
        metadata={"help": "Whether dropout is off. With it, policy and reference would differ from the start."},
    )
    # The weights are an option of the rewards; the trainer fills them in here.
    reward_weights: list[float] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        loose: Any = self
        problems = list(out_of_range(self, RANGES))
        if loose.use_vllm and importlib.util.find_spec("vllm") is None:
            problems.append("use_vllm needs the package vllm, which is not installed")
        if problems:
            raise ConfigError("Some options can't be used.", problems=problems, remedy="correct them.")
        _resolve_by_trl(super(), loose)
        _round_up_to_rollouts(loose)

    @property
    def prompts_per_rollout(self) -> int:
        """Different prompts of one rollout over all processes."""
        loose: Any = self
        return int(loose.generation_batch_size // loose.num_generations)

    @property
    def responses_per_step(self) -> float:
        """New responses for each optimizer step, over all processes."""
        loose: Any = self
        trained = loose.per_device_train_batch_size * loose.gradient_accumulation_steps * loose.world_size
        return float(trained / loose.num_iterations)

    def check_with(self, model_options: ModelOptions) -> None:
        """Refuse what does not go with the model, and warn where sampling departs from the policy that is trained.

        Raises:
            ConfigError: the reference is to follow the policy, and is an adapter.
        """
        loose: Any = self
        if loose.sync_ref_model and model_options.tuning != "full":
            raise ConfigError(
                f"sync_ref_model moves a whole reference model, and with tuning {model_options.tuning} there is none.",
                remedy="leave sync_ref_model out, or train all weights (--tuning full).",
            )
        cuts = [
            f"{name} {getattr(self, name)}" for name, value in FULL_SAMPLING.items() if getattr(self, name) != value
        ]
        if cuts:
            PartialState().print(
                f"Warning: responses are sampled with {', '.join(cuts)}, while their log-probabilities are the full "
                "distribution's. Leave these options out for gradients that are the policy's own."
            )


@dataclass
class GRPOConfig(GroupOptions, grpo_config.GRPOConfig):
    """TRL's options of group relative policy optimization (Shao et al., arXiv 2402.03300)."""


@dataclass
class RLOOConfig(GroupOptions, rloo_config.RLOOConfig):
    """TRL's options of REINFORCE leave-one-out (Ahmadian et al., arXiv 2402.14740)."""


FULL_SAMPLING = {"top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0, "generation_kwargs": None}
RANGES: Ranges = (
    ("num_generations", "at least 2: responses to a prompt are compared with each other", lambda x: x >= 2),
    ("num_generations_eval", "at least 1", lambda x: x >= 1),
    ("num_iterations", "at least 1", lambda x: x >= 1),
    ("steps_per_generation", "at least 1", lambda x: x >= 1),
    ("max_completion_length", "at least 1", lambda x: x >= 1),
    ("temperature", "above 0 (at 0 there is nothing to explore)", lambda x: x > 0),
    ("beta", "0 or more", lambda x: x >= 0),
    ("epsilon", "above 0", lambda x: x > 0),
)


def _resolve_by_trl(configuration: Any, args: Any) -> None:
    """Let TRL's configuration work out its sizes, and say what to do where they don't go together."""
    try:
        configuration.__post_init__()
    except ValueError as error:
        size = args.generation_batch_size
        if not size or size % args.num_generations == 0:
            raise
        raise ConfigError(
            f"A rollout of {size} responses can't be divided into groups of num_generations {args.num_generations}.",
            remedy="make per_device_train_batch_size x processes x steps_per_generation (by default "
            "gradient_accumulation_steps) a multiple of num_generations.",
        ) from error


def _round_up_to_rollouts(args: Any) -> None:
    """Log and save at ends of rollouts only, and train on whole ones: a checkpoint holds no half-used rollout."""
    passes = args.steps_per_generation * args.num_iterations
    unit = math.lcm(passes, args.gradient_accumulation_steps) // args.gradient_accumulation_steps
    if args.max_steps > 0:
        args.max_steps = round_up(args.max_steps, unit)
    round_up_steps(args, ("logging_steps", "save_steps"), unit)
