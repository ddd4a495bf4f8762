"""PPO, as its list of steps: `roll_out` makes the responses and their advantages, `compute_loss` learns from them.

The steps are those of Ziegler et al. (arXiv 1909.08593) and of Huang et al., "The N+ implementation details of RLHF
with PPO" (arXiv 2403.17031); where we depart from them, a comment says why. `rlhf.trainers.ppo.on_policy` holds what
any on-policy loop needs of the Trainer.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from transformers import PreTrainedTokenizerBase, TrainerCallback

from rlhf.errors import TrainingError
from rlhf.generation import Generation, generate
from rlhf.models.roles import Roles, Sequences, chunks
from rlhf.rewards import Reward
from rlhf.trainers.ppo.advantages import gae, kl_per_token, masked_mean, token_rewards, whiten
from rlhf.trainers.ppo.callbacks import KLBudget, PolicyWaits
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.evaluation import HeldOutAnswers, write_samples
from rlhf.trainers.ppo.figures import measure_losses, measure_rollout
from rlhf.trainers.ppo.losses import policy_loss, value_loss
from rlhf.trainers.ppo.meter import Meter
from rlhf.trainers.ppo.on_policy import OnPolicyTrainer
from rlhf.trainers.ppo.pretraining import PretrainingMix, require_coefficient_and_texts
from rlhf.trainers.ppo.rollout import MicroBatch, RoleOutputs, Rollout, pad_generations, sampled_logprobs, with_states
from rlhf.trainers.ppo.schedule import require_distinct_names, require_known_metric, stop_token_ids
from rlhf.trainers.ppo.score_shaping import ScoreShaper
from rlhf.trainers.ppo.scoring import Scorer, Scores, ask, completions_of

# Held-out prompts have random numbers of their own, the same at every evaluation: figures differ by the policy alone.
EVALUATION_STREAM = 2**32
# The difference between two log-probabilities of a token, in nats, that rounding explains: in float32 the largest one,
# in half precision their mean; and how many responses of a rollout are looked at.
SAMPLING_TOLERANCE, HALF_PRECISION_TOLERANCE, PROBED_RESPONSES = 1e-4, 0.05, 4


class PPOTrainer(OnPolicyTrainer):
    """Trains the policy and value roles on rewards of the policy's own responses."""

    def __init__(
        self,
        roles: Roles,
        scorer: Scorer,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Dataset,
        eval_dataset: Dataset | None = None,
        callbacks: list[TrainerCallback] | None = None,
        judges: Sequence[Reward] = (),
        pretraining: PretrainingMix | None = None,
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
            judges: rewards that are measured on held-out prompts, and not trained against.
            pretraining: texts for the language-modelling loss, where `ptx_coef` is above 0.

        Raises:
            ConfigError: when there are too few prompts, or options don't fit together.
        """
        require_coefficient_and_texts(args.ptx_coef, pretraining is not None)
        judged = [judge.name for judge in judges]
        require_distinct_names(scorer.names, judged)
        require_known_metric(args, scorer.names, judged)
        self.scorer = scorer
        self.judges = list(judges)
        self.pretraining = pretraining
        self.shaper = ScoreShaper(args.use_score_scaling, args.use_score_norm, args.score_clip)
        self._sampling_is_exact = False  # as the last rollout showed
        self._rounded_states_hold: bool | None = None  # in half precision, as the run's first rollout showed
        self.stop_token_ids = stop_token_ids(args, processing_class)
        super().__init__(roles, args, processing_class, train_dataset, eval_dataset, callbacks)
        self._budget = None if args.kl_budget is None else KLBudget(args.kl_budget, args.steps_per_rollout)
        if self._budget is not None:
            self.add_callback(self._budget)
        if args.value_warmup_rollouts > 0:
            self.add_callback(PolicyWaits(self))

    # The rollout.

    @torch.no_grad()
    def roll_out(self, rows: Sequence[dict[str, Any]]) -> Rollout:
        """Answer the prompts, score the answers and turn the scores into advantages."""
        args, roles = self.args, self.roles
        self._move_reference()
        started = time.monotonic()

        # 1. The policy answers. A response's random numbers follow from the seed and its number in the run.
        first = self.episodes + args.process_index * len(rows)
        generations = self._answer(rows, seed=args.seed, numbers=range(first, first + len(rows)))
        sequences = pad_generations(generations, self._tokenizer.pad_token_id, roles.device)
        mask = sequences.response_mask
        answered = time.monotonic()

        # 2. Rewards score the answers; one without a stop token may pay for it, once.
        scores = self.scorer(rows, generations).to(roles.device)
        finished = torch.tensor([one.finished for one in generations], device=roles.device)
        penalty = (args.missing_eos_penalty or 0.0) * ~finished
        earned = self.shaper(scores.total, self._sum_over_processes) - penalty
        cut = ~finished if args.bootstrap_truncated else torch.zeros_like(finished)
        shaped = torch.where(cut, -penalty, earned)
        scored = time.monotonic()

        # 3. Reference and value run over them; the policy too, unless sampling has given its log-probabilities exactly.
        sampled = sampled_logprobs(generations, mask)
        self._sampling_is_exact = self._rollouts_made > 0 and self._probe_sampling(sequences, sampled)
        if self._rounded_states_hold is None:
            self._rounded_states_hold = self._probe_states(sequences)
        outputs = self._run_roles(sequences, sampled, scores)
        logprobs, values = outputs.logprobs, outputs.values
        if not self._sampling_is_exact:
            self.meter.add("policy/sampling_gap", (logprobs - sampled).abs() * mask, mask)
        if self._rollouts_made == 0:
            values = self._calibrate(values, earned if scores.tokens is None else earned + scores.tokens.sum(-1), mask)

        # 4. Each token pays for its divergence from the reference; the last one gets the score.
        kl = kl_per_token(logprobs, outputs.reference_logprobs, args.kl_estimator) * mask
        rewards, penalties = token_rewards(shaped, kl, mask, self.kl_controller.coefficient)
        if scores.tokens is not None:
            rewards = rewards + scores.tokens
        if args.whiten_rewards:
            rewards = whiten(rewards, mask, shift_mean=False, sum_over_processes=self._sum_over_processes)

        # 5. Advantages, whitened over all processes.
        advantages, returns = gae(rewards, values, mask, gamma=args.gamma, lam=args.lam, bootstrap=cut)
        if args.whiten_advantages:
            advantages = whiten(advantages, mask, sum_over_processes=self._sum_over_processes)

        # 6. Keep the figures, and steer the KL coefficient by the KL that was seen.
        measure_rollout(self.meter, outputs, scores, shaped, kl, penalties, finished)
        self._measure_times(generate=answered - started, score=scored - answered, forward=time.monotonic() - scored)
        self._rollouts_made += 1
        self.episodes += len(rows) * args.world_size
        self._steer_kl(kl, (logprobs - outputs.reference_logprobs) * mask)
        return Rollout(outputs.sequences, logprobs, values[:, :-1] * mask, advantages, returns)

    def _answer(self, rows: Sequence[dict[str, Any]], seed: int, numbers: Sequence[int]) -> list[Generation]:
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
                rows=numbers,
                states_beneath=self.roles.depth_above_sampled_states,
            )

    def _run_roles(self, sequences: Sequences, sampled: torch.Tensor, scores: Scores) -> RoleOutputs:
        """Run the roles over the sequences, as far as sampling and scoring have not done that already.

        Sequences of similar length go together, without their padding.
        """
        if not (self._sampling_is_exact or self._rounded_states_hold):
            sequences = sequences.with_trunk({})
        sequences = with_states(sequences, "value", scores.value_states)
        outputs = RoleOutputs.empty(sequences)
        for rows, has_value_states in self._batches(sequences, scores):
            part = sequences.select(rows)
            if not has_value_states:
                part.trunk.pop("value", None)
            known = sampled[rows, : part.response_mask.shape[1]] if self._sampling_is_exact else None
            outputs.put(rows, self.roles.read(part, known))
        return outputs

    def _batches(self, sequences: Sequences, scores: Scores) -> Iterator[tuple[torch.Tensor, bool]]:
        """Rows that go together, and whether scoring has left the states that the value role needs."""
        known = torch.tensor([states is not None for states in scores.value_states], device=sequences.input_ids.device)
        by_length = sequences.attention_mask.sum(-1).argsort(stable=True)
        for has_states in (True, False):
            rows = by_length[known[by_length] == has_states]
            for part in torch.split(rows, self.args.local_rollout_forward_batch_size):
                if len(part):
                    yield part, has_states

    def _calibrate(self, values: torch.Tensor, earned: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shift the values, once, to the mean of what the responses of the first rollout earned, [B].

        Scores have no natural zero. Where the values begin far above them, every ending looks like a loss, and the
        policy learns not to end before the value role has caught up.
        """
        reduce = self._sum_over_processes
        shift = masked_mean(earned, torch.ones_like(earned), reduce) - masked_mean(values[:, :-1], mask, reduce)
        self.roles.value_head.shift(shift)
        return values + shift

    def _steer_kl(self, kl: torch.Tensor, log_ratios: torch.Tensor) -> None:
        """Adjust the KL coefficient, and count the KL budget, by what was seen; both arguments [B, R]."""
        both = torch.stack([kl.sum(-1), log_ratios.sum(-1)])
        each = torch.ones_like(both[0])
        estimated, k1 = (masked_mean(one, each, self._sum_over_processes) for one in both)
        if self._budget is not None:
            self._budget.seen = float(k1)
        if not self.policy_waits:
            self.kl_controller.update(float(estimated), len(kl) * self.args.world_size)

    def _probe_sampling(self, sequences: Sequences, sampled: torch.Tensor) -> bool:
        """Whether sampling gave the log-probabilities [B, R] of a training forward, seen on a few responses.

        In float32 it does, to about 1e-5, and the policy need not run over the others. In half precision a merged
        adapter is another policy: with its log-probabilities the first ratio would not be 1.
        """
        if self.roles.dtype != torch.float32:
            return False
        rows = torch.arange(min(PROBED_RESPONSES, len(sampled)), device=sampled.device)
        part = sequences.with_trunk({}).select(rows)
        mask = part.response_mask
        gap = (self.roles.policy_logprobs(part) - sampled[rows, : mask.shape[1]]).abs() * mask
        exact = int(self._sum_over_processes((gap > SAMPLING_TOLERANCE).sum())) == 0
        if exact:
            self.meter.add("policy/sampling_gap", gap, mask)
        return exact

    def _probe_states(self, sequences: Sequences) -> bool:
        """Whether states that were kept while sampling in half precision give the log-probabilities of a whole forward.

        They do up to rounding, as any two forwards of different shapes. It is seen on a few responses, once in a run:
        in a resumed one too the same forwards have to be spared.
        """
        if self.roles.dtype == torch.float32 or "policy" not in sequences.trunk:
            return False
        ids = sequences.input_ids
        part = sequences.select(torch.arange(min(PROBED_RESPONSES, len(ids)), device=ids.device))
        kept, whole = self.roles.policy_logprobs(part), self.roles.policy_logprobs(part.with_trunk({}))
        gap = masked_mean((kept - whole).abs(), part.response_mask, self._sum_over_processes)
        return float(gap) <= HALF_PRECISION_TOLERANCE

    def _move_reference(self) -> None:
        """Let the reference follow the policy, where that is asked for, at the rollouts that it falls on."""
        steps = self._rollouts_made * self.args.steps_per_rollout
        if self.args.sync_ref_model and steps > 0 and steps % self.args.ref_model_sync_steps == 0:
            self.roles.move_reference(self.args.ref_model_mixup_alpha)

    def _measure_times(self, **seconds: float) -> None:
        for phase, passed in seconds.items():
            self.meter.add(f"time/{phase}", torch.tensor(passed))

    # The loss.

    def compute_loss(  # type: ignore[override]
        self, model: nn.Module, inputs: MicroBatch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The clipped policy and value losses of a micro-batch, as its share of the minibatch's mean over tokens."""
        args, rollout = self.args, inputs.rollout
        mask = rollout.sequences.response_mask
        texts, all_text_tokens = self._texts(inputs)
        output = model(rollout.sequences, texts)
        policy = policy_loss(output.logprobs, rollout.logprobs, rollout.advantages, args.cliprange)
        value = value_loss(output.values[:, :-1], rollout.values, rollout.returns, args.cliprange_value)
        policy_weight = 0.0 if self.policy_waits else 1.0
        loss_sum = ((policy_weight * policy.loss + args.vf_coef * value.loss) * mask).sum()
        loss: torch.Tensor = loss_sum / inputs.minibatch_tokens
        if texts is not None:
            loss = loss - args.ptx_coef * output.text_logprobs.sum() / all_text_tokens
            self.meter.add("loss/ptx", -output.text_logprobs)
        # DDP averages gradients over processes; the mean over tokens is over the tokens of all of them.
        loss = loss * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss.item()} at step {self.state.global_step}; the last checkpoint is kept.",
                remedy="lower learning_rate or raise kl_coef, and go on with --resume_from_checkpoint true.",
            )
        measure_losses(self.meter, rollout, output, policy, value)
        return loss

    @property
    def policy_waits(self) -> bool:
        """Whether only the value role is trained, on the rollout at hand."""
        return self._rollouts_made <= self.args.value_warmup_rollouts

    def _texts(self, batch: MicroBatch) -> tuple[Any, int]:
        """This process's and micro-batch's share of the step's texts, and the tokens to predict in all of them."""
        if self.pretraining is None or self.policy_waits:
            return None, 0
        texts = self.pretraining.batch(batch.step)
        mine = texts[self.args.process_index :: self.args.world_size][
            batch.number :: self.args.gradient_accumulation_steps
        ]
        tokens = sum(sum(text.loss_mask) for text in texts)
        return (self.pretraining.pad(mine, self.roles.device) if mine else None), tokens

    # Evaluation on held-out prompts.

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Scores without shaping or penalties, judges, KL, length and share of ended responses; writes samples."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        mine = range(self.args.process_index, len(dataset), self.args.world_size)
        meter = Meter()
        samples: list[dict[str, Any]] = []
        for part in chunks(len(mine), self.args.per_device_eval_batch_size):
            numbers = [mine[i] for i in part.tolist()]
            answers = self._answer_held_out([dataset[number] for number in numbers], numbers)
            answers.measure(meter)
            samples += [
                {"number": number, **row}
                for number, row in zip(numbers, answers.as_rows(), strict=True)
                if number < self.args.num_completions_to_log
            ]
        metrics = {f"{metric_key_prefix}_{name}": x for name, x in meter.means(self._sum_over_processes).items()}
        if self.args.log_completions:
            self._write_samples(samples)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _answer_held_out(self, rows: Sequence[dict[str, Any]], numbers: Sequence[int]) -> HeldOutAnswers:
        generations = self._answer(rows, seed=self.args.seed + EVALUATION_STREAM, numbers=numbers)
        sequences = pad_generations(generations, self._tokenizer.pad_token_id, self.roles.device)
        scores = self.scorer(rows, generations)
        outputs = self._run_roles(sequences, sampled_logprobs(generations, sequences.response_mask), scores)
        kl = (outputs.logprobs - outputs.reference_logprobs) * outputs.sequences.response_mask
        texts = completions_of(self._tokenizer, rows, generations)
        return HeldOutAnswers(
            generations=generations,
            scores=scores,
            kl=kl.sum(-1).cpu(),
            judged={judge.name: ask(judge, rows, texts, generations) for judge in self.judges},
            **texts,
        )

    def _write_samples(self, samples: list[dict[str, Any]]) -> None:
        rows = sorted(gather_object(samples), key=lambda row: int(row["number"]))
        if self.state.is_world_process_zero and rows:
            write_samples(Path(str(self.args.output_dir)), self.state.global_step, rows, self.args.report_to or [])

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """A policy beyond the KL budget is never the best."""
        budget = self.args.kl_budget
        if budget is not None and metrics["eval_objective/kl"] > budget:
            return False
        return bool(super()._determine_best_metric(metrics, trial))

    # State.

    def loop_state(self) -> dict[str, Any]:
        seen = None if self._budget is None else self._budget.seen
        own = {"scores": self.shaper.state(), "kl_seen": seen, "rounded_states_hold": self._rounded_states_hold}
        return super().loop_state() | own

    def load_loop_state(self, state: dict[str, Any]) -> None:
        super().load_loop_state(state)
        self.shaper.load_state(state["scores"])
        self._rounded_states_hold = state.get("rounded_states_hold")
        if self._budget is not None:
            self._budget.seen = state["kl_seen"]
