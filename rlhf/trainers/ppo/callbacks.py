"""What stops a PPO run early, and what keeps the policy still while the values warm up."""

from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import IntervalStrategy


class PolicyWaits(TrainerCallback):
    """Takes the policy's gradients away while only the value role is trained.

    A gradient of zero would not do: Adam goes on by its momentum, and weight decay shrinks what gets one.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.trainer.policy_waits:
            for parameter in self.trainer.roles.role_parameters()["policy"]:
                parameter.grad = None


class KLBudget(TrainerCallback):
    """Ends the training when the KL is spent: on held-out prompts where the run evaluates, else of the rollouts.

    Attributes:
        seen: the KL of the last rollout, k1, which the trainer tells; of the checkpoint's last one after a resume.
    """

    def __init__(self, budget: float, steps_per_rollout: int):
        self.budget = budget
        self.steps_per_rollout = steps_per_rollout
        self.seen: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """What was spent before a resume counts."""
        if args.eval_strategy == IntervalStrategy.NO:
            self._check(self.seen, "the last rollout", state, control)
        else:
            name = "eval_objective/kl"
            last = next((logs[name] for logs in reversed(state.log_history) if name in logs), None)
            self._check(last, "held-out prompts", state, control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self._check((metrics or {}).get("eval_objective/kl"), "held-out prompts", state, control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if args.eval_strategy == IntervalStrategy.NO and state.global_step % self.steps_per_rollout == 0:
            self._check(self.seen, "the last rollout", state, control)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.load_best_model_at_end and state.best_model_checkpoint is None:
            PartialState().print(
                f"Warning: no evaluation was within the KL budget of {self.budget:g} nats, so the last policy is kept. "
                "Lower learning_rate, or evaluate more often."
            )

    def _check(self, kl: float | None, where: str, state: TrainerState, control: TrainerControl) -> None:
        spent = kl is not None and kl > self.budget
        if spent and not control.should_training_stop and state.global_step < state.max_steps:
            control.should_training_stop = True
            PartialState().print(
                f"The KL budget of {self.budget:g} nats is spent: {kl:.2f} on {where} at step {state.global_step}."
            )
