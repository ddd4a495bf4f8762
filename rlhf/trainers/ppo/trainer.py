"""PPO as a `transformers.Trainer`: checkpoints, callbacks, evaluation and trackers work as elsewhere.

A rollout is made when its first batch is prepared and kept for its epochs and minibatches, as in TRL's GRPOTrainer. The
steps are those of Ziegler et al. (arXiv 1909.08593) and of Huang et al., "The N+ implementation details of RLHF with
PPO" (arXiv 2403.17031); where we depart from them, a comment says why.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase, TrainerCallback
from trl.trainer.utils import RepeatSampler

from rlhf.errors import ConfigError, TrainingError
from rlhf.generation import Generation, generate
from rlhf.models.roles import Roles, Sequences, chunks
from rlhf.runs import write_atomic
from rlhf.trainers.checkpoints import SavesWholeCheckpoints
from rlhf.trainers.ppo.advantages import gae, kl_per_token, masked_mean, token_rewards, whiten
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.kl_control import KLController
from rlhf.trainers.ppo.losses import policy_loss, value_loss
from rlhf.trainers.ppo.meter import Meter
from rlhf.trainers.ppo.rollout import MicroBatch, RoleOutputs, Rollout, minibatch_rows, pad_generations
from rlhf.trainers.ppo.scoring import Scorer

STATE_FILE = "ppo_state.json"


class EpochSampler(RepeatSampler):
    """Repeats each batch of prompts, in an order that follows from the seed and the epoch: a resume finds it again."""

    def set_epoch(self, epoch: int) -> None:
        self.generator.manual_seed((self.seed or 0) + epoch)


class PPOTrainer(SavesWholeCheckpoints):
    """Trains the policy and value roles on rewards of the policy's own responses."""

    args: PPOConfig
    train_dataset: Any
    eval_dataset: Any
    # The loss is divided by the tokens of the whole minibatch: the Trainer must not divide it again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        roles: Roles,
        scorer: Scorer,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Dataset,
        eval_dataset: Dataset | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ):
        """
        Args:
            roles: policy, reference and value.
            scorer: gives each response its score.
            args: the options.
            processing_class: the policy's tokenizer; its pad token differs from EOS.
            train_dataset: prompts in a column `prompt`; other columns go to reward functions.
            eval_dataset: held-out prompts.
            callbacks: further Trainer callbacks.

        Raises:
            ConfigError: when the data set is smaller than one rollout.
        """
        if len(train_dataset) < args.batch_size:
            raise ConfigError(
                f"The data set has {len(train_dataset):,} prompts, fewer than the {args.batch_size:,} of one rollout.",
                remedy="lower per_device_train_batch_size, gradient_accumulation_steps or num_mini_batches.",
            )
        if eval_dataset is not None and len(eval_dataset) < args.world_size:
            raise ConfigError(
                f"There are {len(eval_dataset)} held-out prompts for {args.world_size} processes.",
                remedy="give at least one for each process.",
            )
        _round_up_to_rollouts(args)
        roles.temperature = args.temperature
        self.scorer = scorer
        self.kl_controller = KLController(args.kl_coef, args.target_kl, args.kl_horizon)
        self.meter = Meter()
        self.episodes = 0
        self._rollouts_made = 0
        self._micro_batches: Iterator[MicroBatch] | None = None
        self.stop_token_ids = _stop_token_ids(args, processing_class)
        super().__init__(
            model=roles,
            args=args,
            data_collator=_as_they_are,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            callbacks=callbacks,
        )

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
        lengths = rollout.sequences.attention_mask.sum(-1)
        generator = torch.Generator().manual_seed(self._seed())
        for _ in range(self.args.num_ppo_epochs):
            minibatches = minibatch_rows(
                lengths, self.args.num_mini_batches, self.args.gradient_accumulation_steps, generator
            )
            for micro_batches in minibatches:
                tokens = rollout.sequences.response_mask[torch.cat(micro_batches)].sum()
                minibatch_tokens = self._sum_over_processes(tokens)
                for rows in micro_batches:
                    yield MicroBatch(rollout.select(rows), minibatch_tokens)

    # The rollout.

    @torch.no_grad()
    def roll_out(self, rows: Sequence[dict[str, Any]]) -> Rollout:
        """Answer the prompts, score the answers and turn the scores into advantages."""
        args, roles = self.args, self.roles
        started = time.monotonic()

        # 1. The policy answers.
        generations = self._answer(rows, seed=self._seed())
        sequences = pad_generations(generations, self._tokenizer.pad_token_id, roles.device)
        mask = sequences.response_mask
        answered = time.monotonic()

        # 2. Rewards score the answers; one without a stop token may pay for it, once.
        raw_scores = self.scorer(rows, generations).to(roles.device)
        finished = torch.tensor([g.finished for g in generations], device=raw_scores.device)
        scores = self._penalize_unfinished(raw_scores, finished)
        scored = time.monotonic()

        # 3. Policy, reference and value run over them in the form in which they will be trained: a merged adapter's
        #    log-probabilities differ in bfloat16, and the first ratio would not be 1.
        outputs = self._run_roles(sequences)
        logprobs, values = outputs.logprobs, outputs.values
        if self._rollouts_made == 0:
            values = self._calibrate(values, scores, mask)

        # 4. Each token pays for its divergence from the reference; the last one gets the score.
        kl = kl_per_token(logprobs, outputs.reference_logprobs, args.kl_estimator) * mask
        self._measure_sampling(generations, logprobs, mask)
        rewards, penalties = token_rewards(scores, kl, mask, self.kl_controller.coefficient)
        if args.whiten_rewards:
            rewards = whiten(rewards, mask, shift_mean=False, sum_over_processes=self._sum_over_processes)

        # 5. Advantages, whitened over all processes.
        cut = ~finished if args.bootstrap_truncated else torch.zeros_like(finished)
        advantages, returns = gae(rewards, values, mask, gamma=args.gamma, lam=args.lam, bootstrap=cut)
        if args.whiten_advantages:
            advantages = whiten(advantages, mask, sum_over_processes=self._sum_over_processes)

        # 6. Keep the figures, and steer the KL coefficient by the KL that was seen.
        self._count_rollout(len(rows))
        self._measure(raw_scores, scores, kl, penalties, logprobs, outputs.entropies, mask, finished)
        self._steer_kl(kl, len(rows))
        times = {"generate": answered - started, "score": scored - answered, "forward": time.monotonic() - scored}
        for phase, seconds in times.items():
            self.meter.add(f"time/{phase}", torch.tensor(seconds))
        return Rollout(outputs.sequences, logprobs, values[:, :-1] * mask, advantages, returns)

    def _answer(self, rows: Sequence[dict[str, Any]], seed: int) -> list[Generation]:
        with self.roles.sampling() as policy:
            return generate(
                policy,
                self._tokenizer,
                [row["prompt"] for row in rows],
                max_new_tokens=self.args.response_length,
                temperature=self.args.temperature,
                batch_size=self.args.generation_batch_size or len(rows),
                stop_token_ids=self.stop_token_ids,
                seed=seed,
            )

    def _penalize_unfinished(self, scores: torch.Tensor, finished: torch.Tensor) -> torch.Tensor:
        if self.args.bootstrap_truncated:
            scores = scores * finished
        return scores - (self.args.missing_eos_penalty or 0.0) * ~finished

    def _run_roles(self, sequences: Sequences) -> RoleOutputs:
        """Run every role over the sequences. Those of similar length go together, without their padding."""
        outputs = RoleOutputs.empty(sequences)
        by_length = sequences.attention_mask.sum(-1).argsort(stable=True)
        for rows in torch.split(by_length, self.args.local_rollout_forward_batch_size):
            part = self.roles.run_trunk(sequences.select(rows))
            outputs.put(rows, part, self.roles(part), self.roles.reference_logprobs(part))
        return outputs

    def _calibrate(self, values: torch.Tensor, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shift the values, once, to the mean score of the first rollout.

        Scores have no natural zero. Where the values begin far above them, every ending looks like a loss, and the
        policy learns not to end before the value role has caught up.
        """
        reduce = self._sum_over_processes
        shift = masked_mean(scores, torch.ones_like(scores), reduce) - masked_mean(values[:, :-1], mask, reduce)
        self.roles.value_head.shift(shift)
        return values + shift

    # The loss.

    def compute_loss(  # type: ignore[override]
        self, model: nn.Module, inputs: MicroBatch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The clipped policy and value losses of a micro-batch, as its share of the minibatch's mean over tokens."""
        args, rollout = self.args, inputs.rollout
        mask = rollout.sequences.response_mask
        output = model(rollout.sequences)
        policy = policy_loss(output.logprobs, rollout.logprobs, rollout.advantages, args.cliprange)
        value = value_loss(output.values[:, :-1], rollout.values, rollout.returns, args.cliprange_value)
        loss_sum = ((policy.loss + args.vf_coef * value.loss) * mask).sum()
        # DDP averages gradients over processes; the mean over tokens is over the tokens of all of them.
        loss: torch.Tensor = loss_sum * self.accelerator.num_processes / inputs.minibatch_tokens
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss.item()} at step {self.state.global_step}; the last checkpoint is kept.",
                remedy="lower learning_rate or raise kl_coef, and go on with --resume_from_checkpoint true.",
            )
        self._measure_losses(rollout, output, policy, value, mask)
        return loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """One optimizer with a group of parameters for each role."""
        if self.optimizer is None:
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args)
            rates = {"policy": self.args.learning_rate, "value": self.args.value_learning_rate}
            groups = [
                {
                    "params": parameters,
                    "lr": rates[role] or self.args.learning_rate,
                    "weight_decay": self.args.weight_decay,
                }
                for role, parameters in self.roles.role_parameters().items()
            ]
            self.optimizer = optimizer_class(groups, **options)
        optimizer: torch.optim.Optimizer = self.optimizer
        return optimizer

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        """Clip each role by its own norm, so that a large error of the values doesn't shrink the policy's step."""
        norms = []
        for role, parameters in self.roles.role_parameters().items():
            norm = self.accelerator.clip_grad_norm_(parameters, self.args.max_grad_norm)
            self.meter.add(f"grad_norm/{role}", norm)
            norms.append(norm)
        total: torch.Tensor = torch.stack(norms).norm()
        return total

    # Evaluation on held-out prompts.

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean score without penalties, KL, length and share of ended responses on the held-out prompts."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        rank, world = self.args.process_index, self.args.world_size
        rows = [dataset[i] for i in range(rank, len(dataset), world)]
        meter = Meter()
        for part in chunks(len(rows), self.args.per_device_eval_batch_size):
            batch = [rows[i] for i in part.tolist()]
            generations = self._answer(batch, seed=self.args.seed + int(part[0]) * world + rank)
            sequences = pad_generations(generations, self._tokenizer.pad_token_id, self.roles.device)
            scores = self.scorer(batch, generations)
            outputs = self._run_roles(sequences)
            mask = sequences.response_mask
            meter.add("objective/scores", scores)
            meter.add("objective/kl", ((outputs.logprobs - outputs.reference_logprobs) * mask).sum(-1))
            meter.add("response/length", mask.sum(-1))
            meter.add("response/finished", torch.tensor([float(g.finished) for g in generations]))
        metrics = {f"{metric_key_prefix}_{name}": v for name, v in meter.means(self._sum_over_processes).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    # Figures, under the names of TRL's PPO.

    def _measure(
        self,
        raw_scores: torch.Tensor,
        scores: torch.Tensor,
        kl: torch.Tensor,
        penalties: torch.Tensor,
        logprobs: torch.Tensor,
        entropies: torch.Tensor,
        mask: torch.Tensor,
        finished: torch.Tensor,
    ) -> None:
        add = self.meter.add
        add("objective/kl", kl.sum(-1))
        add("objective/entropy", -logprobs.sum(-1))
        add("objective/non_score_reward", penalties.sum(-1))
        add("objective/rlhf_reward", scores + penalties.sum(-1))
        add("objective/scores", scores)
        add("objective/scores_before_penalty", raw_scores)
        add("policy/entropy_avg", entropies, mask)
        add("response/length", mask.sum(-1))
        add("response/finished", finished)

    def _measure_sampling(self, generations: Sequence[Generation], logprobs: torch.Tensor, mask: torch.Tensor) -> None:
        """How far sampling, with a merged adapter and a cache, was from the policy that is trained: 0 in float32."""
        sampled = torch.zeros_like(logprobs)
        sampled[mask] = torch.tensor([x for g in generations for x in g.logprobs], device=logprobs.device)
        self.meter.add("policy/sampling_gap", sampled - logprobs, mask)

    def _measure_losses(self, rollout: Rollout, output: Any, policy: Any, value: Any, mask: torch.Tensor) -> None:
        add = self.meter.add
        add("policy/approxkl_avg", 0.5 * (output.logprobs - rollout.logprobs) ** 2, mask)
        add("policy/clipfrac_avg", policy.clipped, mask)
        add("loss/policy_avg", policy.loss, mask)
        add("loss/value_avg", value.loss, mask)
        add("val/clipfrac_avg", value.clipped, mask)
        add("val/ratio", policy.ratio, mask)
        add("val/ratio_squared", policy.ratio**2, mask)
        add("val/squared_error", (rollout.returns - rollout.values) ** 2, mask)
        add("val/returns", rollout.returns, mask)
        add("val/returns_squared", rollout.returns**2, mask)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        is_training_log = not any(key.startswith("eval_") for key in logs)
        if is_training_log and (means := self.meter.means(self._sum_over_processes)):
            logs = {**logs, **_finish_figures(means), "episode": self.episodes}
            logs["objective/kl_coef"] = self.kl_controller.coefficient
            logs["lr"] = logs.pop("learning_rate", self.args.learning_rate)
        super().log(logs, start_time)

    def _steer_kl(self, kl: torch.Tensor, rows: int) -> None:
        per_sequence = kl.sum(-1)
        seen = masked_mean(per_sequence, torch.ones_like(per_sequence), self._sum_over_processes)
        self.kl_controller.update(float(seen), rows * self.args.world_size)

    def _count_rollout(self, rows: int) -> None:
        self._rollouts_made += 1
        self.episodes += rows * self.args.world_size

    # Saving and resuming.

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        self.roles.save(folder)
        self._tokenizer.save_pretrained(folder)
        state = {
            "episodes": self.episodes,
            "rollouts": self._rollouts_made,
            "kl_coef": self.kl_controller.coefficient,
        }
        write_atomic(folder / STATE_FILE, json.dumps(state))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        self.roles.load(folder)
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        self.episodes, self._rollouts_made = state["episodes"], state["rollouts"]
        self.kl_controller.coefficient = state["kl_coef"]

    def _load_best_model(self) -> None:
        self.roles.load(Path(str(self.state.best_model_checkpoint)))

    # Small helpers.

    @property
    def _tokenizer(self) -> Any:
        return self.processing_class

    def _seed(self) -> int:
        """A seed of its own for each rollout and process, the same after a resume."""
        return int(self.args.seed + 1_000_003 * self._rollouts_made + 7919 * self.args.process_index)

    def _sum_over_processes(self, tensor: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.accelerator.reduce(tensor.to(self.args.device), "sum")
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        return 0


def _finish_figures(means: dict[str, float]) -> dict[str, float]:
    """Variances from means of squares; the share of the returns' variance that the values explain."""
    if "val/ratio" in means:
        means["val/ratio_var"] = means.pop("val/ratio_squared") - means["val/ratio"] ** 2
        variance = means.pop("val/returns_squared") - means["val/returns"] ** 2
        error = means.pop("val/squared_error")
        means["val/explained_variance"] = 1 - error / variance if variance > 0 else 0.0
    return means


def _as_they_are(rows: list[Any]) -> Any:
    """The batch of prompts as a list: tokens come later, when the rollout is made."""
    return rows


def _stop_token_ids(args: PPOConfig, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
    """The option's token; None is what ends a response by the tokenizer and the model folder."""
    if args.stop_token_id is not None:
        if not 0 <= args.stop_token_id < len(tokenizer):
            raise ConfigError(
                f"stop_token_id {args.stop_token_id} is not a token of this tokenizer, which has {len(tokenizer):,}.",
                remedy="use tokenizer.convert_tokens_to_ids(...) to find the token's id.",
            )
        return [args.stop_token_id]
    return None if args.stop_token == "eos" else []


def _round_up_to_rollouts(args: PPOConfig) -> None:
    """Log, save and evaluate at ends of rollouts only: in the middle of one a resume would not be exact."""
    unit = args.steps_per_rollout
    if args.total_episodes is not None:
        args.max_steps = -(-args.total_episodes // args.batch_size) * unit
    if args.max_steps > 0:
        args.max_steps = -(-args.max_steps // unit) * unit
    for name in ("logging_steps", "eval_steps", "save_steps"):
        steps = getattr(args, name)
        if steps is not None and 0 < steps < 1:
            raise ConfigError(f"{name} is a share of the run ({steps}).", remedy="give it in optimizer steps.")
        if steps is not None:
            # A best checkpoint must have been saved where it was evaluated.
            multiple = args.eval_steps if name == "save_steps" and args.load_best_model_at_end else unit
            setattr(args, name, -(-int(steps) // int(multiple or unit)) * int(multiple or unit))
