"""The check that takes minutes: whether the policy learns at all."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlhf.models.roles import Roles
from rlhf.models.separate_roles import SeparateRoles
from rlhf.rewards import FunctionReward
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.ppo.selfcheck.evidence import Evidence, Failure
from rlhf.trainers.ppo.selfcheck.subject import PROMPTS, Subject

ROLLOUTS = 24
BATCH = 32
LENGTH = 16
TOKENS = 8  # that are rewarded
ERRORS = 4.0  # standard errors by which the reward has to move: by chance in at most one of 1,300 runs
# The learning rate of an adapter is this divided by the model's width, and at most HIGHEST_RATE. Adam moves each weight
# by the rate, and a layer adds up over its inputs. Where all weights are trained it is a hundredth of that.
RATE_TIMES_WIDTH, HIGHEST_RATE = 1.0, 1e-2


class ShareOf:
    """A reward: the share of some tokens in a response, times a sign. Keeps the shares of each rollout."""

    def __init__(self, tokens: set[int], sign: float):
        self.tokens = tokens
        self.sign = sign
        self.rollouts: list[list[float]] = []

    def __call__(self, prompts: Any, completions: Any, completion_ids: list[list[int]], **columns: Any) -> list[float]:
        shares = [sum(token in self.tokens for token in ids) / max(len(ids), 1) for ids in completion_ids]
        self.rollouts.append(shares)
        return [self.sign * share for share in shares]

    def moved(self) -> bool:
        """Whether the last rollout's mean lies on the wanted side of the first's, by so many standard errors."""
        first, last = self.rollouts[0], self.rollouts[-1]
        error = math.sqrt(_variance(first) / len(first) + _variance(last) / len(last))
        return self.sign * (_mean(last) - _mean(first)) > max(ERRORS * error, 1e-9)


class StopWhen(TrainerCallback):
    """Ends a run after a step at which a condition holds."""

    def __init__(self, condition: Callable[[], bool]):
        self.condition = condition

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        control.should_training_stop = control.should_training_stop or self.condition()
        return control


def the_policy_learns(subject: Subject) -> Evidence:
    """A reward for some tokens makes them more frequent, and the negated reward makes them rare again."""
    tokens = _most_frequent(subject)
    seen = []
    for sign, way in ((1.0, "rose"), (-1.0, "fell")):
        reward = ShareOf(tokens, sign)
        _train(subject, reward)
        first, last = _mean(reward.rollouts[0]), _mean(reward.rollouts[-1])
        course = (
            f"the share of {len(tokens)} tokens {way} from {first:.0%} to {last:.0%} in {len(reward.rollouts)} rollouts"
        )
        if not reward.moved():
            raise Failure(
                f"At reward {sign:+g} {course}, which may be chance.",
                "If the other checks pass, try another LoRA shape (lora_r, lora_target_modules); the model may also "
                "need another learning rate than that of this check.",
            )
        seen.append(course)
    return "; ".join(seen)


def _train(subject: Subject, reward: ShareOf) -> None:
    """Run PPO until the reward has moved, or for `ROLLOUTS` rollouts."""
    roles, tokenizer = subject.roles(), subject.tokenizer()
    args = PPOConfig(
        output_dir=str(subject.folder / "learning"),
        per_device_train_batch_size=BATCH // 4,
        gradient_accumulation_steps=2,
        num_mini_batches=2,
        num_ppo_epochs=2,
        total_episodes=BATCH * ROLLOUTS,
        response_length=LENGTH,
        learning_rate=_rate(roles),
        lr_scheduler_type="constant",
        kl_coef=0.0,
        save_strategy="no",
        disable_tqdm=True,
        **trainer_defaults(),  # type: ignore[arg-type]
    )
    args._n_gpu = 1
    trainer = subject.trainer_class(
        roles,
        Scorer(tokenizer, rewards=[FunctionReward(reward)]),
        args,
        tokenizer,
        Dataset.from_list(subject.rows * (BATCH // len(PROMPTS))),
        callbacks=[StopWhen(reward.moved)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def _rate(roles: Roles) -> float:
    rate = min(HIGHEST_RATE, RATE_TIMES_WIDTH / roles.value_head.linear.in_features)
    return rate / 100 if isinstance(roles, SeparateRoles) else rate


def _most_frequent(subject: Subject) -> set[int]:
    """The tokens that the policy writes most: there is something to learn from at once, and room both ways."""
    special = set(subject.tokenizer().all_special_ids)
    answers = subject.answer(BATCH, list(PROMPTS) * (2 * BATCH // len(PROMPTS)), LENGTH)
    counts = Counter(token for one in answers for token in one.response_ids if token not in special)
    return {token for token, _ in counts.most_common(TOKENS)}


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _variance(numbers: Sequence[float]) -> float:
    mean = _mean(numbers)
    return sum((number - mean) ** 2 for number in numbers) / max(len(numbers) - 1, 1)
