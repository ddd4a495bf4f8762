"""Several reward models as one reward that is harder to exploit than any of them (Coste et al., arXiv 2310.02743).

Members that were trained alike (the same people's comparisons, other seeds) agree where they know and differ where they
guess. A policy that is told their minimum, or pays for their disagreement, is not led to where a single model errs.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch

from rlhf.errors import ConfigError
from rlhf.rewards.base import Reward, Scores, Text

Reduction = Literal["mean", "min", "uncertainty"]


def combine(scores: torch.Tensor, reduction: Reduction, coef: float = 0.0) -> torch.Tensor:
    """One score for each completion from those of M members.

    Args:
        scores: [M, B], float. `min` and `uncertainty` compare the members, so their scores need a common zero:
            comparisons leave a reward model's zero open, and TRL's `center_rewards_coefficient` fixes it in training.
        reduction: `mean`; `min`, what the severest member says; `uncertainty`, the mean minus `coef` times the
            variance over the members (of the M scores themselves: divided by M).
        coef: what a unit of variance costs.

    Returns:
        [B]
    """
    if reduction == "min":
        return scores.amin(0)
    mean = scores.mean(0)
    return mean - coef * scores.var(0, correction=0) if reduction == "uncertainty" else mean


class Ensemble:
    """Several rewards whose scores become one. A completion that a member leaves out has no score."""

    def __init__(
        self,
        members: Sequence[Reward],
        combine: Callable[[torch.Tensor], torch.Tensor],
        name: str = "ensemble",
    ):
        """
        Args:
            members: two or more.
            combine: from their scores, [M, B], to [B], such as `combine` with its reduction.

        Raises:
            ConfigError: for fewer than two members.
        """
        if len(members) < 2:
            raise ConfigError(f"An ensemble of {len(members)} is none.", remedy="Give two or more reward models.")
        self.members = list(members)
        self.combine = combine
        self.name = name

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores:
        lists = [member(prompts, completions, **columns) for member in self.members]
        scored = [i for i, scores in enumerate(zip(*lists, strict=True)) if None not in scores]
        known = torch.tensor([[scores[i] for i in scored] for scores in lists], dtype=torch.float32)
        results: Scores = [None] * len(completions)
        for i, score in zip(scored, self.combine(known).tolist(), strict=True):
            results[i] = score
        return results
