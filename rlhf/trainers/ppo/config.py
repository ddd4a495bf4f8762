"""The options of PPO, named as in TRL and `TrainingArguments`."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from transformers import TrainingArguments

from rlhf.errors import ConfigError

# What `accelerate launch` tells its processes.
SHARDING_VARIABLES = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
# What an evaluation measures, from the beginnings of the names.
BEST_MODEL_METRICS = ("objective/", "rewards/", "judges/", "response/")


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() in ("true", "1")


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class PPOConfig(TrainingArguments):
    """Options of `PPOTrainer`.

    A rollout takes `per_device_train_batch_size` x `gradient_accumulation_steps` x `num_mini_batches` prompts on each
    process and is used for `num_ppo_epochs` epochs of `num_mini_batches` optimizer steps. A step, as in GRPO, is an
    optimizer step; saving, evaluating and logging fall on the next end of a rollout.
    """

    learning_rate: float = _option(3e-6, "Initial learning rate of the policy.")
    value_learning_rate: float | None = _option(None, "Learning rate of the value role; learning_rate by default.")
    per_device_eval_batch_size: int = _option(32, "Held-out prompts that are answered at once on each device.")
    logging_steps: float = _option(1, "Optimizer steps between logs, rounded up to whole rollouts.")
    total_episodes: int | None = _option(None, "Responses to train on in all; sets max_steps.")
    num_ppo_epochs: int = _option(4, "Epochs over each rollout.")
    num_mini_batches: int = _option(1, "Optimizer steps in each epoch over a rollout.")
    local_rollout_forward_batch_size: int = _option(32, "Sequences in each forward without gradients.")
    generation_batch_size: int | None = _option(None, "Responses sampled at once; all of a rollout by default.")
    response_length: int = _option(53, "Longest response in tokens.")
    temperature: float = _option(1.0, "Sampling temperature; all log-probabilities are taken at it.")
    top_p: float | None = _option(None, "Refused: PPO samples from the full distribution, whose ratios it needs.")
    top_k: int | None = _option(None, "Refused, as top_p is.")
    stop_token: Literal["eos"] | None = _option("eos", "What ends a response: the tokenizer's EOS, or nothing.")
    stop_token_id: int | None = _option(None, "A token id that ends a response instead of EOS.")
    missing_eos_penalty: float | None = _option(None, "Taken off the score of a response without a stop token.")
    bootstrap_truncated: bool = _option(
        False,
        "Whether a response that is cut off at response_length gets the value of its last state instead of a score. "
        "By default it is scored as it is, and the cut ends the episode.",
    )
    kl_coef: float = _option(0.05, "Weight of the KL penalty; the initial weight where target_kl is set.")
    kl_estimator: Literal["k1", "k3"] = _option("k1", "Estimator of the per-token KL.")
    target_kl: float | None = _option(None, "KL per sequence, in nats, that an adaptive coefficient steers towards.")
    kl_horizon: int = _option(10_000, "Episodes over which the adaptive coefficient adjusts.")
    cliprange: float = _option(0.2, "Range of the probability ratio in the policy loss.")
    vf_coef: float = _option(
        0.1,
        "Weight of the value loss. Each role is clipped by its own norm and Adam takes no notice of a scale, so it "
        "matters only where policy and value share weights; value_learning_rate sets the pace of the value role.",
    )
    cliprange_value: float = _option(0.2, "Range of the values around those of the rollout in the value loss.")
    gamma: float = _option(1.0, "Discount.")
    lam: float = _option(0.95, "Lambda of generalized advantage estimation.")
    use_score_scaling: bool = _option(False, "Whether scores are divided by their running standard deviation.")
    use_score_norm: bool = _option(False, "Whether scores are shifted to a running mean of 0 before they are scaled.")
    score_clip: float | None = _option(None, "Scores are held within plus and minus this number, after scaling.")
    whiten_rewards: bool = _option(False, "Whether token rewards are brought to variance 1 before the advantages.")
    whiten_advantages: bool = _option(True, "Whether advantages are brought to mean 0 and variance 1.")
    value_warmup_rollouts: int = _option(0, "First rollouts on which only the value role is trained.")
    sync_ref_model: bool = _option(False, "Whether the reference follows the policy, as a moving average of it.")
    ref_model_mixup_alpha: float = _option(0.6, "Share of the way to the policy that the reference goes each time.")
    ref_model_sync_steps: int = _option(512, "Optimizer steps between its moves, rounded up to whole rollouts.")
    ptx_coef: float = _option(0.0, "Weight of the language-modelling loss on texts mixed in (PPO-ptx).")
    ptx_batch_size: int = _option(8, "Texts mixed into each optimizer step, over all processes.")
    kl_budget: float | None = _option(
        None,
        "KL per sequence, in nats, at which training stops: that on held-out prompts where the run evaluates, else "
        "that of the rollouts. A best checkpoint is chosen among those within it.",
    )
    log_completions: bool = _option(True, "Whether evaluations write samples to samples.jsonl and to trackers.")
    num_completions_to_log: int = _option(8, "Held-out prompts whose responses are written.")

    def __post_init__(self) -> None:
        if self.fsdp or self.deepspeed or any(_is_on(variable) for variable in SHARDING_VARIABLES):
            raise ConfigError(
                "FSDP and DeepSpeed can't be used in PPO: they would take apart the base that its roles share.",
                remedy="launch with recipes/accelerate/multi_gpu.yaml; --tuning qlora is for large bases.",
            )
        if self.load_best_model_at_end and self.metric_for_best_model is None:
            self.metric_for_best_model, self.greater_is_better = "eval_objective/scores", True
        super().__post_init__()  # type: ignore[no-untyped-call]
        problems = [
            f"{name} is {getattr(self, name)}; it must be {wanted}"
            for name, wanted, holds in RANGES
            if getattr(self, name) is not None and not holds(getattr(self, name))
        ]
        if self.total_episodes is not None and self.max_steps > 0:
            problems.append("total_episodes and max_steps both say how long to train; give one of them")
        if self.stop_token is None and self.stop_token_id is None:
            needs_a_stop = {
                "missing_eos_penalty": self.missing_eos_penalty,
                "bootstrap_truncated": self.bootstrap_truncated,
            }
            problems += [
                f"{name} needs a stop token, and stop_token is null" for name, on in needs_a_stop.items() if on
            ]
        problems += self._clashes()
        if self.fp16 or self.bf16:
            problems.append("fp16 and bf16 mix precisions; PPO computes in the model's own (--dtype bfloat16)")
        if self.activation_checkpointing:
            problems.append("activation_checkpointing can't be used; lower per_device_train_batch_size instead")
        if problems:
            raise ConfigError("Some options of PPO can't be used.", problems=problems, remedy="correct them.")
        self.remove_unused_columns = False

    def _clashes(self) -> Iterator[str]:
        """Options that don't go together, or not with PPO."""
        for name, neutral in (("top_p", 1.0), ("top_k", 0)):
            if getattr(self, name) not in (None, neutral):
                yield (
                    f"{name} is {getattr(self, name)}: it cuts the distribution off, and ratios of what is left are "
                    "not those of the policy; leave it out, and lower temperature if samples are too wild"
                )
        if self.use_score_norm and not self.use_score_scaling:
            yield "use_score_norm shifts scores before they are scaled; it needs use_score_scaling"
        if self.kl_budget is not None and self.target_kl is not None and self.target_kl >= self.kl_budget:
            yield f"target_kl {self.target_kl} steers towards a KL that kl_budget {self.kl_budget} doesn't allow"
        if self.kl_budget is not None and self.sync_ref_model:
            yield "kl_budget counts the KL to a fixed reference, and sync_ref_model moves it"
        if self.load_best_model_at_end and not str(self.metric_for_best_model).removeprefix("eval_").startswith(
            BEST_MODEL_METRICS
        ):
            yield (
                f"metric_for_best_model is {self.metric_for_best_model}, which no evaluation measures; it must begin "
                f"with one of {', '.join(BEST_MODEL_METRICS)}"
            )

    @property
    def micro_batches(self) -> int:
        """Forward and backward passes in one epoch over a rollout, on one process."""
        return self.gradient_accumulation_steps * self.num_mini_batches

    @property
    def local_batch_size(self) -> int:
        """Prompts of one rollout on one process."""
        return self.per_device_train_batch_size * self.micro_batches

    @property
    def batch_size(self) -> int:
        """Prompts of one rollout over all processes."""
        return self.local_batch_size * int(self.world_size)

    @property
    def steps_per_rollout(self) -> int:
        """Optimizer steps that one rollout is used for."""
        return self.num_ppo_epochs * self.num_mini_batches


RANGES: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    ("num_ppo_epochs", "at least 1", lambda x: x >= 1),
    ("num_mini_batches", "at least 1", lambda x: x >= 1),
    ("local_rollout_forward_batch_size", "at least 1", lambda x: x >= 1),
    ("generation_batch_size", "at least 1", lambda x: x >= 1),
    ("response_length", "at least 1", lambda x: x >= 1),
    ("total_episodes", "at least 1", lambda x: x >= 1),
    ("temperature", "above 0 (at 0 there is nothing to explore)", lambda x: x > 0),
    ("kl_coef", "0 or more", lambda x: x >= 0),
    ("target_kl", "above 0", lambda x: x > 0),
    ("kl_horizon", "at least 1", lambda x: x >= 1),
    ("cliprange", "above 0", lambda x: x > 0),
    ("cliprange_value", "above 0", lambda x: x > 0),
    ("vf_coef", "0 or more", lambda x: x >= 0),
    ("score_clip", "above 0", lambda x: x > 0),
    ("value_warmup_rollouts", "0 or more", lambda x: x >= 0),
    ("ref_model_mixup_alpha", "above 0 and at most 1", lambda x: 0 < x <= 1),
    ("ref_model_sync_steps", "at least 1", lambda x: x >= 1),
    ("ptx_coef", "0 or more", lambda x: x >= 0),
    ("ptx_batch_size", "at least 1", lambda x: x >= 1),
    ("kl_budget", "above 0 (the policy begins at a KL of 0, and has to be allowed to move)", lambda x: x > 0),
    ("num_completions_to_log", "at least 1", lambda x: x >= 1),
    ("gamma", "from 0 to 1", lambda x: 0 <= x <= 1),
    ("lam", "from 0 to 1", lambda x: 0 <= x <= 1),
)
