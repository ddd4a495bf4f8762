"""What is measured. Both sides get the very same options, as TRL's names are ours."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rlhf.errors import ConfigError

OURS, THIRD, TRL = "ours", "ours_third", "trl"
VARIANTS = {OURS: "ours", THIRD: "top third", TRL: "TRL 1.12.0"}


@dataclass(frozen=True)
class Workload:
    """One setting of PPO on prompts and responses of fixed lengths.

    Attributes:
        batch_size: responses in a rollout.
        micro_batch_size: sequences in each forward and backward pass.
        rollout_batch_size: sequences in each pass without gradients, and responses sampled at a time.
        prompt_tokens: tokens of every prompt.
        response_length: tokens of every response; the longest one where `natural_eos` is set.
        natural_eos: whether EOS ends a response.
    """

    batch_size: int = 32
    micro_batch_size: int = 8
    rollout_batch_size: int = 32
    prompt_tokens: int = 7
    response_length: int = 32
    natural_eos: bool = False
    num_ppo_epochs: int = 2
    learning_rate: float = 1e-5
    kl_coef: float = 0.05
    lora_r: int = 16
    dtype: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("batch_size", "micro_batch_size", "rollout_batch_size", "prompt_tokens", "response_length")
        problems = [
            f"{name} is {getattr(self, name)}; it must be at least 1"
            for name in (*counts, "num_ppo_epochs", "lora_r")
            if getattr(self, name) < 1
        ]
        if not problems and self.batch_size % self.micro_batch_size:
            problems.append(f"batch_size {self.batch_size} is no multiple of micro_batch_size {self.micro_batch_size}")
        if problems:
            raise ConfigError("This workload can't be measured.", problems=problems, remedy="correct the options.")

    def ppo_options(self, rollouts: int) -> dict[str, Any]:
        """The options of a training run of so many rollouts, for our `PPOConfig` and for TRL's alike."""
        return {
            "per_device_train_batch_size": self.micro_batch_size,
            "gradient_accumulation_steps": self.batch_size // self.micro_batch_size,
            # TRL's num_mini_batches makes no further optimizer steps: 1 is the only value that means the same for both.
            "num_mini_batches": 1,
            "num_ppo_epochs": self.num_ppo_epochs,
            "local_rollout_forward_batch_size": self.rollout_batch_size,
            "total_episodes": self.batch_size * rollouts,
            "response_length": self.response_length,
            "stop_token": "eos" if self.natural_eos else None,
            "temperature": 1.0,
            "kl_coef": self.kl_coef,
            "kl_estimator": "k1",
            "gamma": 1.0,
            "lam": 0.95,
            "cliprange": 0.2,
            "cliprange_value": 0.2,
            "vf_coef": 0.1,
            "whiten_rewards": False,
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": "constant",
            "seed": self.seed,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        }

    def lora_options(self) -> dict[str, Any]:
        """The shape of the adapters, for `peft.LoraConfig`."""
        return {"r": self.lora_r, "lora_alpha": 2 * self.lora_r, "lora_dropout": 0.0, "target_modules": "all-linear"}

    def in_words(self) -> str:
        ends = "up to" if self.natural_eos else "exactly"
        return (
            f"{self.batch_size} prompts of {self.prompt_tokens} tokens, responses of {ends} {self.response_length}, "
            f"{self.num_ppo_epochs} epochs in micro-batches of {self.micro_batch_size}, LoRA r={self.lora_r}, "
            f"{self.dtype}"
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def by_micro_batch_size(workload: Workload, sizes: Sequence[int]) -> list[Workload]:
    """The workload with each of the sizes."""
    return [replace(workload, micro_batch_size=size) for size in sizes]


def scaled(workload: Workload, lengths: Sequence[int], batches: Sequence[int]) -> list[Workload]:
    """The workload with each response length, then with each batch; none twice."""
    found = [replace(workload, response_length=length) for length in lengths]
    found += [
        replace(workload, batch_size=size, micro_batch_size=min(workload.micro_batch_size, size)) for size in batches
    ]
    return list(dict.fromkeys(found))
