"""TRL 1.12.0's PPO on a workload. Its files are as released: time is taken by wrapping its functions from outside.

This program has that release on its path, so it imports nothing of `rlhf` that needs the tested TRL.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import trl
from datasets import Dataset
from peft import LoraConfig, TaskType
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    TrainerCallback,
    set_seed,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

from ppo_bench.child import Recorder, read_spec
from ppo_bench.release import NAME, WHEEL
from ppo_bench.workload import Workload

SCORE_WEIGHT = "base_model.model.score.weight"
# What is called in which order: `batch_generation`, then for each part of the rollout `forward` of the reference and
# `get_reward` of value and reward model, then `forward` with gradients for each micro-batch.
FUNCTIONS = ("batch_generation", "forward", "get_reward")


class Watch(TrainerCallback):
    """Times the phases of each rollout, and records it when the step has ended."""

    def __init__(self, recorder: Recorder, natural_eos: bool):
        self.recorder = recorder
        self.natural_eos = natural_eos
        self.reward_model: Any = None
        self.eos: int | None = None
        self._generate = self._score = self._forward = 0.0
        self._generated_at: float | None = None
        self._tokens = 0.0
        self._logs: dict[str, float] = {}

    def attach(self, trainer: PPOTrainer) -> None:
        """Put the clocks around the functions that the trainer calls."""
        self.reward_model, self.eos = trainer.reward_model, trainer.processing_class.eos_token_id
        originals = {name: getattr(ppo_trainer, name) for name in FUNCTIONS}

        def batch_generation(model: Any, queries: torch.Tensor, *rest: Any) -> Any:
            found, self._generate = timed(originals["batch_generation"], model, queries, *rest)
            self._generated_at = time.perf_counter()
            self._tokens = self._response_tokens(found[0][:, queries.shape[1] :])
            return found

        def get_reward(model: Any, *rest: Any) -> Any:
            found, seconds = timed(originals["get_reward"], model, *rest)
            self._score += seconds if model is self.reward_model else 0.0
            return found

        def forward(*rest: Any) -> Any:
            if torch.is_grad_enabled() and self._generated_at is not None:  # the first forward of training
                self._forward = now() - self._generated_at - self._score
                self._generated_at = None
            return originals["forward"](*rest)

        ppo_trainer.batch_generation = batch_generation
        ppo_trainer.get_reward = get_reward
        ppo_trainer.forward = forward

    def _response_tokens(self, responses: torch.Tensor) -> float:
        """The mean length, EOS included where it ends a response."""
        if not self.natural_eos:
            return float(responses.shape[1])
        ended = (responses == self.eos).cumsum(-1) - (responses == self.eos).int() > 0
        return (~ended).sum(-1).float().mean().item()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.recorder.start()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self._logs = dict(logs or {})

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.recorder.rollout_done(
            self._generate,
            self._score,
            self._forward,
            response_tokens=self._tokens,
            score_mean=self._logs["objective/scores"],
            kl=self._logs["objective/kl"],
        )
        self._score = 0.0


class SavePolicy(TrainerCallback):
    """Writes the policy's adapter after every so many rollouts. TRL's own checkpoints hold the optimizer too."""

    def __init__(self, every: int, folder: Path):
        self.every = every
        self.folder = folder
        self.policy: Any = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.every == 0:
            self.policy.save_pretrained(self.folder / f"checkpoint-{state.global_step}")


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    started = now()
    found = function(*arguments)
    return found, now() - started


def classifier(spec: dict[str, Any], dtype: torch.dtype) -> PreTrainedModel:
    """A whole classifier with one label: the reward model, and again as the beginning of the value model.

    `reward` is a classifier's folder, or an adapter that changes nothing yet, of which only the head is taken.
    """
    adapter = Path(spec["reward"]) / "adapter_model.safetensors"
    place = spec["model"] if adapter.is_file() else spec["reward"]
    model = AutoModelForSequenceClassification.from_pretrained(place, num_labels=1, dtype=dtype)
    if adapter.is_file():
        model.score.weight.data.copy_(load_file(adapter)[SCORE_WEIGHT])
    return model


def prompt_rows(spec: dict[str, Any], tokenizer: Any) -> Dataset:
    rows = json.loads(Path(spec["prompts"]).read_text(encoding="utf-8"))
    return Dataset.from_list([{"input_ids": tokenizer(row["prompt"])["input_ids"]} for row in rows])


def build_trainer(spec: dict[str, Any], output_dir: str, callbacks: list[TrainerCallback]) -> tuple[PPOTrainer, Any]:
    """The trainer, and the options that differ from ours."""
    workload = Workload(**spec["workload"])
    dtype = getattr(torch, workload.dtype)
    # Its own defaults are mixed precision and recomputed activations, which the other side doesn't use.
    own = {"bf16": False, "gradient_checkpointing": False, "num_sample_generations": 0} | spec.get("options", {})
    options = workload.ppo_options(spec["warmup"] + spec["steps"]) | own
    on_cpu = not torch.cuda.is_available()
    args = PPOConfig(output_dir=output_dir, use_cpu=on_cpu, dataloader_pin_memory=not on_cpu, **options)
    tokenizer = AutoTokenizer.from_pretrained(spec["model"], padding_side="left")
    set_seed(workload.seed)
    policy = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=dtype)
    policy.generation_config.pad_token_id = tokenizer.pad_token_id
    trainer = PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=None,  # the policy without its adapter
        reward_model=classifier(spec, dtype).eval().requires_grad_(False),
        value_model=classifier(spec, dtype),
        train_dataset=prompt_rows(spec, tokenizer),
        peft_config=LoraConfig(task_type=TaskType.CAUSAL_LM, **workload.lora_options()),
        callbacks=callbacks,
    )
    return trainer, own


def check_release() -> None:
    if trl.__version__ != WHEEL.version or NAME not in str(trl.__file__):
        raise SystemExit(f"TRL {trl.__version__} of {trl.__file__} came first on the path, not {NAME}.")


def main() -> None:
    check_release()
    spec = read_spec()
    recorder = Recorder(spec["warmup"])
    watch = Watch(recorder, spec["workload"]["natural_eos"])
    save = SavePolicy(spec["save_every"], Path(spec["output_dir"])) if "save_every" in spec else None
    with tempfile.TemporaryDirectory() as output_dir:
        trainer, own = build_trainer(spec, output_dir, [watch, *([save] if save else [])])
        watch.attach(trainer)
        if save:
            save.policy = trainer.accelerator.unwrap_model(trainer.model).policy
        trainer.train()
    recorder.finish(own_options=own)


if __name__ == "__main__":
    main()
