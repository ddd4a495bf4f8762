"""Samples made by a formula, for tests of what is computed from samples."""

import numpy as np

from rlhf.evaluation.metrics import PolicyData
from rlhf.evaluation.samples import Sample, TextLoss

SENTENCES = ("a moving film with great warmth", "and a thin plot but the jokes are dull", "while the cast is fine")
VOCABULARY = " ".join(SENTENCES).split()


def policy(name: str, rise: float = 0.0, kl: float = 0.0, loss: float = 1.0, n: int = 60, seed: int = 0) -> PolicyData:
    """A policy whose scores lie `rise` above a common part that depends on the prompt."""
    common = np.random.default_rng(99).normal(0, 1, n)
    rng = np.random.default_rng(seed)
    samples = [
        Sample(
            policy=name,
            prompt_index=i,
            prompt=f"Film review: {i}",
            completion=" " + " ".join(rng.choice(VOCABULARY, 8)),
            tokens=int(rng.integers(6, 12)),
            finished=bool(i % 3),
            log_ratio=kl + (float(rng.normal(0, 0.1)) if kl else 0.0),
            reward=float(common[i] + rise + rng.normal(0, 0.2)),
            gold_reward=float(common[i] + rise / 2 + rng.normal(0, 0.2)),
            judge=float(np.tanh(common[i] + rise + rng.normal(0, 0.2))),
        )
        for i in range(n)
    ]
    losses = [TextLoss(name, i, 20.0 * loss + i % 5, 10) for i in range(20)]
    return PolicyData(samples, losses)
