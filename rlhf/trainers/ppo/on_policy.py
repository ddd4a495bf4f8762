"""What an on-policy loop asks of `transformers.Trainer`, whatever its algorithm.

Rollouts are made when their first batch is prepared and kept for all passes over them, as in TRL's GRPOTrainer. One
optimizer has a group of parameters for each role, clipped by its own norm. State beyond the Trainer's own is saved and
found again. `rlhf.trainers.ppo.trainer` fills in the algorithm.
"""

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase, TrainerCallback

from rlhf.errors import ConfigError
from rlhf.models.roles import Roles
from rlhf.runs import write_atomic
from rlhf.trainers.checkpoints import SavesWholeCheckpoints
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.figures import finish_figures
from rlhf.trainers.ppo.kl_control import KLController
from rlhf.trainers.ppo.meter import Meter
from rlhf.trainers.ppo.rollout import MicroBatch, Rollout, minibatch_rows
from rlhf.trainers.ppo.schedule import require_enough_prompts, round_up_to_rollouts
from rlhf.trainers.rollout_steps import EpochSampler

STATE_FILE = "ppo_state.json"


class OnPolicyTrainer(SavesWholeCheckpoints):
    """A Trainer that learns from rollouts of its own policy."""

    args: PPOConfig
    train_dataset: Any
    eval_dataset: Any
    # The loss is divided by the tokens of the whole minibatch: the Trainer must not divide it again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        roles: Roles,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Dataset,
        eval_dataset: Dataset | None,
        callbacks: list[TrainerCallback] | None,
    ):
        """
        Raises:
            ConfigError: when there are too few prompts.
        """
        require_enough_prompts(args, len(train_dataset), None if eval_dataset is None else len(eval_dataset))
        round_up_to_rollouts(args, len(train_dataset))
        roles.temperature = args.temperature
        self.kl_controller = KLController(args.kl_coef, args.target_kl, args.kl_horizon)
        self.meter = Meter()
        self.episodes = 0
        self._rollouts_made = 0
        self._micro_batches: Iterator[MicroBatch] | None = None
        super().__init__(
            model=roles,
            args=args,
            data_collator=_as_they_are,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            callbacks=callbacks,
        )

    @abstractmethod
    def roll_out(self, rows: Sequence[dict[str, Any]]) -> Rollout:
        """Answer the prompts of these rows, and find what the losses need."""

    @property
    def is_measured(self) -> bool:
        """Whether the policy as it is now has been evaluated on held-out prompts."""
        measured = any(
            log.get("step") == self.state.global_step and "eval_objective/kl" in log for log in self.state.log_history
        )
        return measured and not self.args.load_best_model_at_end

    @property
    def roles(self) -> Roles:
        roles: Roles = self.accelerator.unwrap_model(self.model)
        return roles

    # Data: each batch of prompts is repeated for all the passes over its rollout.

    def get_train_dataloader(self) -> Any:
        return self._get_dataloader(
            dataset=self.train_dataset,
            description="Training",
            batch_size=self.args.local_batch_size,
            sampler_fn=self._get_train_sampler,
            is_training=True,
        )

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        return EpochSampler(
            self.train_dataset if train_dataset is None else train_dataset,
            mini_repeat_count=1,
            batch_size=self.args.batch_size,
            repeat_count=self.args.num_ppo_epochs * self.args.micro_batches,
            shuffle=True,
            seed=self.args.seed,
        )

    def _prepare_inputs(self, inputs: Any) -> Any:
        """The next micro-batch of the rollout at hand; when that is used up, of a new one on these prompts."""
        micro_batch = next(self._micro_batches, None) if self._micro_batches is not None else None
        if micro_batch is None:
            self._micro_batches = self._epochs_over(self.roll_out(inputs))
            micro_batch = next(self._micro_batches)
        return micro_batch

    def _epochs_over(self, rollout: Rollout) -> Iterator[MicroBatch]:
        """Micro-batches of all epochs, each row once an epoch."""
        args = self.args
        lengths = rollout.sequences.attention_mask.sum(-1)
        step = (self._rollouts_made - 1) * args.steps_per_rollout
        for epoch in range(args.num_ppo_epochs):
            for micro_batches in minibatch_rows(
                lengths,
                args.num_mini_batches,
                args.gradient_accumulation_steps,
                first_row=args.process_index * args.local_batch_size,
                key=(args.seed, self._rollouts_made, epoch),
            ):
                tokens = rollout.sequences.response_mask[torch.cat(micro_batches)].sum()
                minibatch_tokens = self._sum_over_processes(tokens)
                for number, rows in enumerate(micro_batches):
                    yield MicroBatch(rollout.select(rows), minibatch_tokens, step, number)
                step += 1

    # Optimization by role.

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """One optimizer with a group of parameters for each role; two where some of them don't decay."""
        if self.optimizer is None:
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = optimizer_class(self._groups(), **options)
        optimizer: torch.optim.Optimizer = self.optimizer
        return optimizer

    def _groups(self) -> list[dict[str, Any]]:
        """As in the Trainer, weight decay leaves norms and biases alone."""
        decay, names = self.args.weight_decay, set(self.get_decay_parameter_names(self.roles))
        kept = {id(parameter) for name, parameter in self.roles.named_parameters() if name not in names and decay}
        groups = []
        for role, parameters in self.roles.role_parameters().items():
            parts = [p for p in parameters if id(p) not in kept], [p for p in parameters if id(p) in kept]
            for part, part_decay in zip(parts, (decay, 0.0), strict=True):
                if part:
                    groups.append({"params": part, "lr": self._rates()[role], "weight_decay": part_decay})
        return groups

    def _rates(self) -> dict[str, float]:
        """The initial learning rate of each role."""
        policy, value = self.args.learning_rate, self.args.value_learning_rate
        return {"policy": policy, "value": policy if value is None else value}

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Where a resumed run is given another learning rate than the checkpoint's, the new one counts."""
        super()._load_optimizer_and_scheduler(checkpoint)
        base_rates = getattr(self.lr_scheduler, "base_lrs", None)
        if checkpoint is None or base_rates is None or self.optimizer is None:
            return
        for at, (group, ours) in enumerate(zip(self.optimizer.param_groups, self._groups(), strict=False)):
            if base_rates[at] != (rate := ours["lr"]):
                group["lr"] *= rate / base_rates[at] if base_rates[at] > 0 else 1.0
                group["initial_lr"] = base_rates[at] = rate

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        """Clip each role by its own norm, so that a large error of the values doesn't shrink the policy's step."""
        norms = []
        for role, parameters in self.roles.role_parameters().items():
            norm = self.accelerator.clip_grad_norm_(parameters, self.args.max_grad_norm)
            self.meter.add(f"grad_norm/{role}", norm)
            norms.append(norm)
        total: torch.Tensor = torch.stack(norms).norm()
        return total

    # The log.

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        is_training_log = not any(key.startswith("eval_") for key in logs)
        if is_training_log and (means := self.meter.means(self._sum_over_processes)):
            logs = {**logs, **finish_figures(means), "episode": self.episodes}
            logs["objective/kl_coef"] = self.kl_controller.coefficient
            logs["lr"] = logs.pop("learning_rate", self.args.learning_rate)
        super().log(logs, start_time)

    # Saving and resuming.

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        self.roles.save(folder)
        self._tokenizer.save_pretrained(folder)
        write_atomic(folder / STATE_FILE, json.dumps(self.loop_state()))

    def loop_state(self) -> dict[str, Any]:
        """What a resume needs beyond roles, optimizer, schedule and random state."""
        return {
            "episodes": self.episodes,
            "rollouts": self._rollouts_made,
            "kl_coef": self.kl_controller.coefficient,
            "layout": self._layout(),
        }

    def _layout(self) -> dict[str, int]:
        """What a resumed run has to have in common with the one that it goes on with."""
        args = self.args
        return {"batch_size": args.batch_size, "steps_per_rollout": args.steps_per_rollout, "seed": args.seed}

    def load_loop_state(self, state: dict[str, Any]) -> None:
        """Take up what `loop_state` gave.

        Raises:
            ConfigError: the run that is resumed had other rollouts.
        """
        pairs = {name: (state["layout"][name], ours) for name, ours in self._layout().items()}
        problems = [f"{name}: {theirs} there, {ours} here" for name, (theirs, ours) in pairs.items() if theirs != ours]
        if problems:
            raise ConfigError(
                "The checkpoint's rollouts are not those of this run.",
                problems=problems,
                remedy="resume with the same batch sizes, minibatches, epochs and seed, or start anew.",
            )
        self.episodes, self._rollouts_made = state["episodes"], state["rollouts"]
        if self.args.target_kl is not None:
            self.kl_controller.coefficient = state["kl_coef"]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        if not (folder / STATE_FILE).is_file():
            raise ConfigError(f"{folder} is no checkpoint of PPO.", remedy="name one that recipes/ppo.py wrote.")
        self.roles.load(folder)
        self.load_loop_state(json.loads((folder / STATE_FILE).read_text(encoding="utf-8")))

    def _load_best_model(self) -> None:
        self.roles.load(Path(str(self.state.best_model_checkpoint)))

    # Small helpers.

    @property
    def _tokenizer(self) -> Any:
        return self.processing_class

    def _sum_over_processes(self, tensor: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.accelerator.reduce(tensor.to(self.args.device), "sum")
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        return 0


def _as_they_are(rows: list[Any]) -> Any:
    """The batch of prompts as a list: tokens come later, when the rollout is made."""
    return rows
