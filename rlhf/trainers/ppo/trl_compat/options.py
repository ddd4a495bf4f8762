"""The options of TRL 1.12's `PPOConfig`, and what they are in ours.

TRL counted in rollouts, which it called batches or updates: `logging_steps`, `save_steps`, `eval_steps` and the warm-up
of the learning rate are numbers of them. Here a step is an optimizer step, and `native_options` converts. What each
option means and what became of it is told in `docs/migrating_from_trl.md`.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from transformers import TrainingArguments
from transformers.trainer_utils import IntervalStrategy

from rlhf.errors import ConfigError
from rlhf.trainers.ppo.config import PPOConfig as NativePPOConfig

# What TRL computed itself, over whatever was given.
COMPUTED = (
    "world_size",
    "num_total_batches",
    "micro_batch_size",
    "local_batch_size",
    "batch_size",
    "local_mini_batch_size",
    "mini_batch_size",
)
# What both have, with one meaning.
SHARED = (
    "num_ppo_epochs",
    "num_mini_batches",
    "response_length",
    "temperature",
    "missing_eos_penalty",
    "local_rollout_forward_batch_size",
    "kl_coef",
    "kl_estimator",
    "cliprange",
    "vf_coef",
    "cliprange_value",
    "gamma",
    "lam",
    "whiten_rewards",
)
# Arguments of learning-rate schedules that are numbers of steps.
SCHEDULE_STEPS = ("num_decay_steps", "num_stable_steps", "timescale")


def _option(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclass
class PPOConfig(TrainingArguments):
    """Options as TRL 1.12's PPO had them. A rollout takes `per_device_train_batch_size` x `gradient_accumulation_steps`
    prompts on each process and is split into `num_mini_batches` minibatches, an optimizer step each.

    Raises:
        ConfigError: for minibatches that don't divide the rollout, or options that exclude each other.
    """

    learning_rate: float = _option(3e-6, "Initial learning rate of policy and value model.")
    logging_steps: float = _option(1, "Rollouts between two logs. (TRL's default was 10, and it logged every one.)")
    gradient_checkpointing: bool | None = _option(True, "No effect, as in TRL's PPO.")
    bf16: bool | None = _option(None, "No effect: models compute in their own dtype.")  # type: ignore[assignment]
    exp_name: str | None = _option(None, "Name of the run, where run_name is not given.")
    dataset_num_proc: int | None = _option(None, "For the script's own use.")
    num_mini_batches: int = _option(1, "Minibatches that a rollout is split into, an optimizer step each.")
    total_episodes: int | None = _option(
        None, "Responses to train on in all; num_train_epochs of the prompts if unset."
    )
    local_rollout_forward_batch_size: int = _option(64, "Sequences sampled, scored or read at once on each process.")
    num_sample_generations: int = _option(10, "How often in all of training samples are shown; 0 for never.")
    response_length: int = _option(53, "Longest response in tokens.")
    stop_token: Literal["eos"] | None = _option(None, "What ends a response: the tokenizer's EOS, or nothing.")
    stop_token_id: int | None = _option(None, "The id of another token that ends a response.")
    temperature: float = _option(0.7, "Sampling temperature; all log-probabilities are taken at it.")
    missing_eos_penalty: float | None = _option(None, "Taken off the score of a response without a stop token.")
    sft_model_path: str = _option("EleutherAI/pythia-160m", "For the script's own use.")
    world_size: int | None = _option(None, "Computed: the number of processes.")
    num_total_batches: int | None = _option(None, "Computed: rollouts in all.")
    micro_batch_size: int | None = _option(None, "Computed: per_device_train_batch_size over all processes.")
    local_batch_size: int | None = _option(None, "Computed: prompts of a rollout on each process.")
    batch_size: int | None = _option(None, "Computed: prompts of a rollout over all processes.")
    local_mini_batch_size: int | None = _option(None, "Computed: prompts of a minibatch on each process.")
    mini_batch_size: int | None = _option(None, "Computed: prompts of a minibatch over all processes.")
    reward_model_path: str = _option("EleutherAI/pythia-160m", "For the script's own use.")
    model_adapter_name: str | None = _option(None, "The policy's adapter that is trained, where it has several.")
    ref_adapter_name: str | None = _option(None, "The policy's adapter that is the reference.")
    num_ppo_epochs: int = _option(4, "Epochs over each rollout.")
    whiten_rewards: bool = _option(False, "Whether token rewards are brought to variance 1.")
    kl_coef: float = _option(0.05, "Weight of the KL penalty.")
    kl_estimator: Literal["k1", "k3"] = _option("k1", "Estimator of the per-token KL.")
    cliprange: float = _option(0.2, "Range of the probability ratio in the policy loss.")
    vf_coef: float = _option(0.1, "Weight of the value loss.")
    cliprange_value: float = _option(0.2, "Range of the values around those of the rollout in the value loss.")
    gamma: float = _option(1.0, "Discount.")
    lam: float = _option(0.95, "Lambda of generalized advantage estimation.")
    ds3_gather_for_generation: bool = _option(True, "No effect: DeepSpeed can't be used.")

    def __post_init__(self) -> None:
        if self.fsdp or self.deepspeed:
            raise ConfigError(
                "FSDP and DeepSpeed can't be used in PPO.",
                remedy="launch with recipes/accelerate/multi_gpu.yaml; a LoraConfig, or a 4-bit base, saves memory.",
            )
        # None of these reaches the Trainer as it stands. TrainingArguments would warn of the first, look for a GPU for
        # the next two, and put logging_steps for the last.
        asked = {name: getattr(self, name) for name in ("gradient_checkpointing", "bf16", "fp16", "eval_steps")}
        self.gradient_checkpointing, self.activation_checkpointing = None, False
        self.bf16 = self.fp16 = False
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.gradient_checkpointing, self.eval_steps = asked["gradient_checkpointing"], asked["eval_steps"]
        self.bf16, self.fp16 = bool(asked["bf16"]), bool(asked["fp16"])
        problems = list(self._clashes())
        if problems:
            raise ConfigError("Some options of PPO can't be used.", problems=problems, remedy="correct them.")
        minibatch_layout(self)

    def _clashes(self) -> Iterator[str]:
        if self.stop_token not in (None, "eos"):
            yield f"stop_token is {self.stop_token!r}; it may be 'eos', or None for no stop token"
        if self.stop_token and self.stop_token_id is not None:
            yield "stop_token and stop_token_id both say what ends a response; give one of them"
        if self.kl_estimator not in ("k1", "k3"):
            yield f"kl_estimator is {self.kl_estimator!r}; it may be 'k1' or 'k3'"
        if self.fp16 and self.bf16:
            yield "fp16 and bf16 exclude each other"


class Layout(NamedTuple):
    """How a minibatch is run on one process: so many rows at once, so many times."""

    rows: int
    micro_batches: int


def minibatch_layout(args: PPOConfig) -> Layout:
    """Split a minibatch into equal micro-batches of at most `per_device_train_batch_size` rows.

    Raises:
        ConfigError: the rollout can't be split into `num_mini_batches` equal minibatches.
    """
    rollout = args.per_device_train_batch_size * args.gradient_accumulation_steps
    minibatches = args.num_mini_batches
    if minibatches < 1 or rollout % minibatches:
        raise ConfigError(
            f"A rollout of {rollout} prompts on each process (per_device_train_batch_size "
            f"{args.per_device_train_batch_size} x gradient_accumulation_steps {args.gradient_accumulation_steps}) "
            f"can't be split into {minibatches} equal minibatches.",
            remedy="choose num_mini_batches as a divisor of their product.",
        )
    size = rollout // minibatches
    rows = next(n for n in range(min(args.per_device_train_batch_size, size), 0, -1) if size % n == 0)
    return Layout(rows, size // rows)


def fill_in_sizes(args: PPOConfig, prompts: int, processes: int) -> list[str]:
    """Set what TRL computed from the other options, on the script's own object, where it may read it.

    Args:
        prompts: the number of prompts to train on.
        processes: that take part.

    Returns:
        The names of those that had been given another value.
    """
    if args.total_episodes is None:
        args.total_episodes = int(args.num_train_epochs * prompts)
    local = args.per_device_train_batch_size * args.gradient_accumulation_steps
    computed = {
        "world_size": processes,
        "num_total_batches": math.ceil(args.total_episodes / (local * processes)),
        "micro_batch_size": args.per_device_train_batch_size * processes,
        "local_batch_size": local,
        "batch_size": local * processes,
        "local_mini_batch_size": local // args.num_mini_batches,
        "mini_batch_size": local * processes // args.num_mini_batches,
    }
    overruled = [name for name, value in computed.items() if getattr(args, name) not in (None, value)]
    for name, value in computed.items():
        setattr(args, name, value)
    return overruled


def rollouts_between_samples(args: PPOConfig) -> int:
    """How many rollouts lie between two showings of samples; sizes must have been filled in."""
    rollouts = int(args.num_total_batches or 1)
    return max(1, rollouts // args.num_sample_generations) if args.num_sample_generations > 0 else rollouts


def native_options(args: PPOConfig, *, stop_token_id: int | None, has_eval_dataset: bool) -> NativePPOConfig:
    """Our own options that say the same; sizes must have been filled in.

    Args:
        stop_token_id: the id of the token that ends a response; None where none does.
        has_eval_dataset: whether there are held-out prompts.

    Raises:
        ConfigError: an option is out of its range.
    """
    layout = minibatch_layout(args)
    plain = {f.name: getattr(args, f.name) for f in dataclasses.fields(TrainingArguments) if f.init}
    plain |= {name: getattr(args, name) for name in SHARED}
    plain |= {
        "total_episodes": args.total_episodes,
        "max_steps": -1,
        "per_device_train_batch_size": layout.rows,
        "gradient_accumulation_steps": layout.micro_batches,
        "generation_batch_size": args.local_rollout_forward_batch_size,
        "stop_token": None,
        "stop_token_id": stop_token_id,
        "run_name": args.run_name or args.exp_name,
        "eval_strategy": args.eval_strategy if has_eval_dataset else IntervalStrategy.NO,
        "dataloader_pin_memory": args.dataloader_pin_memory and args.device.type != "cpu",
        # All that is trained takes part in every step.
        "ddp_find_unused_parameters": bool(args.ddp_find_unused_parameters),
    }
    no_effect = ("bf16", "fp16", "activation_checkpointing")
    plain |= dict.fromkeys(no_effect, False) | dict.fromkeys(_aliases_of_checkpointing(), None)
    return NativePPOConfig(**(plain | _in_optimizer_steps(args)))


def _aliases_of_checkpointing() -> tuple[str, ...]:
    return ("gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_checkpointing_kwargs")


def _in_optimizer_steps(args: PPOConfig) -> dict[str, Any]:
    """What TRL counted in rollouts; numbers below 1 are shares of the whole run."""
    unit, rollouts = args.num_ppo_epochs * args.num_mini_batches, int(args.num_total_batches or 0)

    def steps(count: float | None) -> Any:
        if count is None:
            return None
        return (math.ceil(rollouts * count) if count < 1 else int(count)) * unit

    schedule: dict[str, Any] = dict(args.lr_scheduler_kwargs or {})  # type: ignore[arg-type]  # text is parsed by now
    schedule |= {name: steps(schedule[name]) for name in SCHEDULE_STEPS if schedule.get(name) is not None}
    return {
        "logging_steps": steps(args.logging_steps),
        "save_steps": steps(args.save_steps),
        # TRL didn't evaluate; it showed samples.
        "eval_steps": steps(args.eval_steps or rollouts_between_samples(args)),
        "warmup_steps": steps(args.warmup_steps),
        "lr_scheduler_kwargs": schedule or None,
    }
