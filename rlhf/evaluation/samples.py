"""The raw rows behind every figure: one for each policy and prompt, kept as JSONL so that figures can be
recomputed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlhf.errors import DataError
from rlhf.runs import write_atomic

# The scores that a sample may carry, by field, with the names that a reader of the report sees.
SCORES = {"reward": "reward model", "gold_reward": "gold reward model", "judge": "judge"}


@dataclass(frozen=True)
class Sample:
    """What one policy answered to one prompt, and how it was scored.

    Attributes:
        policy: the policy's name.
        prompt_index: position of the prompt; all policies answer the same prompts.
        prompt: the prompt as text (of messages: as rendered for the model).
        completion: the response as text, without special tokens.
        tokens: response tokens, EOS included.
        finished: whether the policy ended the response itself.
        log_ratio: log-probability of the response's tokens under the policy minus that under the reference, nats; for
            the best of n, the upper bound of its mean.
        reward: the score of the reward model that the policies were trained against.
        gold_reward: the score of a reward model that no policy was trained against; None without one.
        judge: the score of an independent judge such as a lexicon; None without one.
    """

    policy: str
    prompt_index: int
    prompt: str
    completion: str
    tokens: int
    finished: bool
    log_ratio: float
    reward: float
    gold_reward: float | None = None
    judge: float | None = None


@dataclass(frozen=True)
class TextLoss:
    """How well one policy predicts one general text: summed negative log-probability (nats) over `tokens`
    tokens."""

    policy: str
    text_index: int
    negative_logprob: float
    tokens: int


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclass rows as JSONL."""
    write_atomic(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_samples(path: Path) -> list[Sample]:
    """Read the samples of an earlier evaluation.

    Raises:
        DataError: a line is not a sample.
    """
    samples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            samples.append(Sample(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}:{number}: not a sample of an evaluation: {error}") from error
    return samples


def by_policy(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Samples of each policy in the order of the prompts.

    Raises:
        ValueError: the policies don't answer the same prompts, so nothing could be compared pairwise.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.policy, []).append(sample)
    ordered = {name: sorted(group, key=lambda one: one.prompt_index) for name, group in groups.items()}
    if len({tuple(one.prompt_index for one in group) for group in ordered.values()}) > 1:
        raise ValueError("the policies were given different prompts")
    return ordered


def column(samples: Sequence[Sample], field: str) -> NDArray[np.float64] | None:
    """One field of all samples as floats [N]; None where it was not measured."""
    values = [getattr(sample, field) for sample in samples]
    return None if any(value is None for value in values) else np.asarray(values, dtype=float)
