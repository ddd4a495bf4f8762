"""What the tests of GRPO and RLOO share: small runs, and a reward that keeps what it was given."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlhf.runs import read_metrics
from tests.recipes.conftest import write_jsonl

# 4 prompts with 2 completions each in a rollout, one optimizer step on it.
SMALL = {
    "max_steps": 2,
    "per_device_train_batch_size": 8,
    "num_generations": 2,
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "beta": 0.05,
    "save_strategy": "no",
}
WATCH = "tests.recipes.online:watch"
seen: list[dict[str, Any]] = []


def watch(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float]:
    """Keeps all that a reward is told; the length of a completion in characters is its score."""
    seen.append({"prompts": prompts, "completions": completions, **columns})
    return [float(len(str(completion))) for completion in completions]


def odd(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """Leaves out every other completion."""
    return [1.0 if i % 2 else None for i in range(len(completions))]


def write_prompts(file: Path, form: str = "plain") -> str:
    words = ["A", "The", "This", "One"] * 4
    texts = [f"Film review: {word}" for word in words]
    rows: list[dict[str, Any]] = [
        {"prompt": text if form == "plain" else [{"role": "user", "content": text}], "topic": word}
        for text, word in zip(texts, words, strict=True)
    ]
    return str(write_jsonl(file, rows))


def run(recipe: str, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """Run a recipe, lists as several words; what it logged of training."""
    seen.clear()
    given = SMALL | {"output_dir": folder} | options
    words: list[str] = []
    for name, value in given.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    importlib.import_module(f"recipes.{recipe}").main(words)
    return [row for row in read_metrics(folder) if "loss" in row]
