"""A policy measured on held-out prompts while it is trained: figures and samples."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlhf.generation import Generation, is_token_ids
from rlhf.rewards.base import as_plain_text
from rlhf.runs import SAMPLES_FILE
from rlhf.trainers.ppo.meter import Meter
from rlhf.trainers.ppo.scoring import Scores


@dataclass
class HeldOutAnswers:
    """The policy's answers to some held-out prompts, and what was found about them.

    Attributes:
        scores: by the rewards, without shaping and penalties.
        kl: summed over each response, [B] in nats.
        judged: the scores of judges that are not trained against, by name.
    """

    prompts: Sequence[Any]
    completions: Sequence[Any]
    generations: Sequence[Generation]
    scores: Scores
    kl: torch.Tensor
    judged: dict[str, list[float]]

    def measure(self, meter: Meter) -> None:
        """Add the figures to a meter."""
        meter.add("objective/scores", self.total)
        meter.add("objective/kl", self.kl)
        meter.add("response/length", torch.tensor([float(len(one.response_ids)) for one in self.generations]))
        meter.add("response/finished", torch.tensor([float(one.finished) for one in self.generations]))
        for name, part in self.scores.parts.items():
            meter.add(f"rewards/{name}/mean", part)
        for name, numbers in self.judged.items():
            meter.add(f"judges/{name}/mean", torch.tensor(numbers))

    @property
    def total(self) -> torch.Tensor:
        """Each response's whole score, [B]."""
        return self.scores.total + (0.0 if self.scores.tokens is None else self.scores.tokens.sum(-1))

    def as_rows(self) -> list[dict[str, Any]]:
        """One row for each answer, for people to read."""
        rows = []
        for i, (prompt, completion, one) in enumerate(
            zip(self.prompts, self.completions, self.generations, strict=True)
        ):
            numbers = {"score": float(self.total[i]), "kl": float(self.kl[i])}
            numbers |= {name: float(scores[i]) for name, scores in self.judged.items()}
            rows.append({"prompt": as_readable(prompt), "completion": as_plain_text(completion), **numbers})
            rows[-1] |= {"length": len(one.response_ids), "finished": one.finished}
        return rows


def as_readable(prompt: Any) -> str:
    """A prompt as text: the contents of its messages, or the words "token ids" with the ids."""
    if is_token_ids(prompt):
        return f"token ids {prompt}"
    return as_plain_text(prompt)


def write_samples(folder: Path, step: int, rows: Sequence[dict[str, Any]], trackers: Sequence[str]) -> None:
    """Append samples to `samples.jsonl` of the run, and show them in wandb where the run is tracked there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / SAMPLES_FILE).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"step": step, **row}, ensure_ascii=False) + "\n" for row in rows)
    if "wandb" in trackers:
        import wandb

        if wandb.run is not None:
            table = wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])
            wandb.log({"eval/completions": table}, step=wandb.run.step)
