"""The options of PPO, named as in TRL and `TrainingArguments`."""

from dataclasses import dataclass, field
from typing import Any, Literal

from transformers import TrainingArguments

from rlhf.errors import ConfigError
from rlhf.trainers.ppo.option_checks import problems_of, refuse_sharding


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
        refuse_sharding(self)
        if self.load_best_model_at_end and self.metric_for_best_model is None:
            self.metric_for_best_model, self.greater_is_better = "eval_objective/scores", True
        super().__post_init__()  # type: ignore[no-untyped-call]
        problems = list(problems_of(self))
        if problems:
            raise ConfigError("Some options of PPO can't be used.", problems=problems, remedy="correct them.")
        self.remove_unused_columns = False

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
