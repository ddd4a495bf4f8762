"""What is checked: the user's model in the roles of PPO, and a trainer that makes short rollouts with it.

Everything is made when a check first asks for it, once. The reward model's own scores are measured before the policy is
loaded, and its weights are let go then, so that no more of the base is in memory than PPO itself needs.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from datasets import Dataset
from transformers import AutoConfig, PreTrainedTokenizerBase, PrinterCallback

from rlhf.generation import Generation, generate
from rlhf.models.load import ModelOptions, hub_errors, load_tokenizer
from rlhf.models.reward_model import load_reward_model
from rlhf.models.roles import Roles
from rlhf.models.separate_roles import SeparateRoles
from rlhf.rewards import FunctionReward
from rlhf.rewards.model import ModelReward
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.ppo.build import RoleOptions, build_roles
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.rollout import Rollout
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.ppo.selfcheck.evidence import NotApplicable, NotRun, Tolerances, tolerances_of
from rlhf.trainers.ppo.selfcheck.reward_readings import RewardReadings
from rlhf.trainers.ppo.trainer import PPOTrainer
from rlhf.trainers.reward_options import RewardOptions

# Prompts of unequal lengths, so that a batch of them is padded.
PROMPTS = (
    "The",
    "Once upon a time there was",
    "List three things that one can see from the top of a hill:",
    "Question: Why does bread rise?\nAnswer:",
)
TEMPERATURE = 0.7
RESPONSE_LENGTH = 12
MISSING_EOS_PENALTY = 5.0

T = TypeVar("T")


class Stage(Generic[T]):
    """A part of the subject that is made at its first use. Where that fails, it fails there and is not tried again."""

    def __init__(self, name: str, make: Callable[[], T]):
        self.name = name
        self._make: Callable[[], T] | None = make
        self._made: list[T] = []

    def __call__(self) -> T:
        if not self._made:
            if self._make is None:
                raise NotRun(f"{self.name} could not be made; see above.")
            make, self._make = self._make, None
            try:
                self._made.append(make())
            except NotApplicable:
                self._make = make  # no failure: the next check is told the same
                raise
        return self._made[0]


class Subject:
    """A model as PPO uses it: 4 prompts, 12 new tokens, temperature 0.7, scores known beforehand.

    Attributes:
        tokenizer, roles, trainer: made when first called.
        rollout: one rollout of the policy as it starts.
        step: one optimizer step on a rollout; what was seen of it.
        readings: the reward model's scores of a few texts, measured with its own weights and tokenizer.
        reward_is_a_role: whether the reward model is an adapter on the policy's base.
        trainer_class: the trainer's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tokenizer: Callable[[], PreTrainedTokenizerBase],
        roles: Callable[[], Roles],
        reward: ModelReward | None = None,
        reward_is_a_role: bool = False,
        trainer_class: type[PPOTrainer] = PPOTrainer,
    ):
        """
        Args:
            folder: an empty folder for what is written.
            tokenizer: loads the policy's tokenizer.
            roles: builds the roles; called once.
            reward: the reward model, if there is one. It is let go after its scores have been read.
            reward_is_a_role: whether the roles score with the same adapter.
            trainer_class: the trainer, or a subclass with changes of one's own.
        """
        self.folder = folder
        self.reward_is_a_role = reward_is_a_role
        self.trainer_class = trainer_class
        self.tokenizer = Stage("The tokenizer", tokenizer)
        self.readings = Stage("The reward model's scores", self._read_reward)
        self.roles = Stage("The roles", roles)
        self.trainer = Stage("The trainer", self._build_trainer)
        self.rollout = Stage("A rollout", self.roll_out)
        self.step: Stage[None] = Stage("An optimizer step", self._train)
        self._reward = reward

    @classmethod
    def load(cls, options: ModelOptions, reward_model: str | None, folder: Path) -> "Subject":
        """The subject that the options name.

        Raises:
            RlhfError: a folder is missing or holds something else, before any check is made.
        """
        location = options.locate()
        with hub_errors(location.base):
            AutoConfig.from_pretrained(location.base)
        # A model is checked without a reward too; a role for it is built from an adapter only.
        reward_options = RewardOptions(reward_model_path=reward_model, reward_funcs=["lexicon"])
        shared = bool(reward_options.shared_paths(options))
        return cls(
            folder,
            tokenizer=lambda: load_tokenizer(location.adapter or location.base),
            roles=lambda: build_roles(options, reward_options, RoleOptions(), short_run(folder / "trainer")),
            reward=_load_reward(reward_model, options, shared) if reward_model else None,
            reward_is_a_role=shared,
        )

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in PROMPTS]

    @property
    def causal_lm(self) -> Any:
        """The policy, in its PEFT wrapper where it has one."""
        roles: Any = self.roles()
        return roles.policy if isinstance(roles, SeparateRoles) else roles.model

    @property
    def tolerances(self) -> Tolerances:
        return tolerances_of(self.causal_lm.dtype)

    def roll_out(self) -> Rollout:
        """A rollout of the policy as it is now."""
        return self.trainer().roll_out(self.rows)

    def answer(
        self, batch_size: int, prompts: Sequence[str] = PROMPTS, length: int = RESPONSE_LENGTH
    ) -> list[Generation]:
        """What the policy samples, so many prompts at a time."""
        tokenizer = self.tokenizer()
        with self.trainer().roles.sampling() as policy:
            return generate(
                policy,
                tokenizer,
                prompts,
                max_new_tokens=length,
                temperature=TEMPERATURE,
                batch_size=batch_size,
                seed=1,
            )

    def _build_trainer(self) -> PPOTrainer:
        tokenizer = self.tokenizer()
        trainer = self.trainer_class(
            self.roles(),
            Scorer(tokenizer, rewards=[FunctionReward(numbered)]),
            short_run(self.folder / "trainer"),
            tokenizer,
            Dataset.from_list(self.rows),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    @torch.enable_grad()
    def _train(self) -> None:
        self.trainer().train()

    @torch.no_grad()
    def _read_reward(self) -> RewardReadings:
        if self._reward is None:
            raise NotApplicable("no reward model was given (--reward_model)")
        reward, self._reward = self._reward, None
        return RewardReadings.of(reward)


def short_run(folder: Path) -> PPOConfig:
    """One optimizer step on one rollout of the prompts, in two micro-batches."""
    args = PPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        num_mini_batches=1,
        num_ppo_epochs=1,
        total_episodes=len(PROMPTS),
        response_length=RESPONSE_LENGTH,
        temperature=TEMPERATURE,
        learning_rate=0.1,
        optim="sgd",  # keeps no state: the models may be large
        # Returns are then the scores themselves.
        kl_coef=0.0,
        gamma=1.0,
        lam=1.0,
        missing_eos_penalty=MISSING_EOS_PENALTY,
        save_strategy="no",
        disable_tqdm=True,
        **trainer_defaults(),  # type: ignore[arg-type]
    )
    args._n_gpu = 1  # of several, one is used: the Trainer would copy the roles to all of them
    return args


def _load_reward(path: str, options: ModelOptions, shared: bool) -> ModelReward:
    """The reward model by itself; on the policy's own base in the precision that the base has there."""
    model = load_reward_model(path, dtype=options.dtype, load_in_4bit=shared and options.load_in_4bit)
    return ModelReward(model, load_tokenizer(path, padding_side="right", needs_eos=False), name=path)


def numbered(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float]:
    """Scores that are known beforehand, a different one for each row: 1, 2, 3 …"""
    return [1.0 + row for row in range(len(completions))]
