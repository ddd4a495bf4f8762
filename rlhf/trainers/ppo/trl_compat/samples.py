"""Samples shown while a policy is trained."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlhf.generation import generate
from rlhf.rewards.base import as_plain_text
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.scoring import completions_of
from rlhf.trainers.ppo.trainer import PPOTrainer

SHOWN_ROWS = 5


class ShowSamples(TrainerCallback):
    """Shows samples at the end of the first rollout, and from there on at a distance of so many."""

    def __init__(self, show: Callable[..., Any], rollouts: int):
        self.show = show
        self.rollouts = rollouts

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        steps = args.steps_per_rollout if isinstance(args, PPOConfig) else 1
        if state.global_step % steps == 0 and (state.global_step // steps - 1) % self.rollouts == 0:
            self.show(sampling=True)


def likeliest_answers(trainer: PPOTrainer, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each prompt the answer of the likeliest tokens, with its score."""
    if not rows:
        return []
    args = trainer.args
    tokenizer: Any = trainer.processing_class
    with trainer.roles.sampling() as policy:
        generations = generate(
            policy,
            tokenizer,
            [row["prompt"] for row in rows],
            max_new_tokens=args.response_length,
            temperature=0.0,
            batch_size=args.per_device_eval_batch_size,
            stop_token_ids=trainer.stop_token_ids,
            seed=args.seed,
        )
    texts = completions_of(tokenizer, rows, generations)
    scores = trainer.scorer(rows, generations).total.tolist()
    return [
        {"prompt": as_plain_text(prompt), "completion": as_plain_text(completion), "score": score}
        for prompt, completion, score in zip(texts["prompts"], texts["completions"], scores, strict=True)
    ]


def show_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print the first rows."""
    table = Table(*rows[0], show_lines=True)
    for row in rows[:SHOWN_ROWS]:
        # As text: brackets in an answer are no markup.
        table.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else str(cell)) for cell in row.values()))
    Console().print(table)
