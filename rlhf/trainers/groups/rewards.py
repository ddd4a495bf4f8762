"""Our rewards as TRL's `reward_funcs`."""

import math
from collections.abc import Sequence
from typing import Any

from rlhf.errors import TrainingError
from rlhf.rewards import Reward, Scores, Text

PENALTY = "missing_eos_penalty"


class NamedReward:
    """A reward that TRL's trainers take: it has a `__name__`, and is told `finished` as by PPO.

    What it returns for a completion is a finite number, or None to leave it to the other rewards. TRL takes a NaN for
    None; here it stops the run.
    """

    def __init__(self, reward: Reward, stop_token_ids: Sequence[int], may_leave_out: bool = True):
        """
        Args:
            reward: any reward; its name stands in the metrics, as `rewards/NAME/mean`.
            stop_token_ids: what ends a completion.
            may_leave_out: whether None is a score.
        """
        self.reward = reward
        self.__name__ = reward.name
        self.stop_token_ids = set(stop_token_ids)
        self.may_leave_out = may_leave_out

    def __call__(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        completion_ids: Sequence[Sequence[int]],
        **columns: Any,
    ) -> Scores:
        """
        Raises:
            TrainingError: when a score is no finite number.
        """
        columns["finished"] = are_finished(completion_ids, self.stop_token_ids)
        scores = self.reward(prompts=prompts, completions=completions, completion_ids=completion_ids, **columns)
        for row, score in enumerate(scores):
            if (score is None and not self.may_leave_out) or (score is not None and not math.isfinite(score)):
                raise TrainingError(
                    f"The reward {self.reward.name} returned {score} for completion {row} of the rollout.",
                    remedy="make it return a finite number for every completion"
                    + ("." if score is not None else f", or leave {PENALTY} out, which would be its only reward."),
                )
        return scores


class MissingEOSPenalty:
    """Minus the penalty for a completion without a stop token, 0 for one that ended."""

    name = PENALTY

    def __init__(self, penalty: float):
        self.penalty = penalty

    def __call__(
        self, prompts: Sequence[Text], completions: Sequence[Text], finished: Sequence[bool] = (), **columns: Any
    ) -> Scores:
        return [0.0 if ended else -self.penalty for ended in finished]


def reward_functions(
    rewards: Sequence[Reward], stop_token_ids: Sequence[int], missing_eos_penalty: float | None
) -> list[NamedReward]:
    """All that TRL's trainers score a completion with; the penalty, if there is one, comes last."""
    penalty = [MissingEOSPenalty(missing_eos_penalty)] if missing_eos_penalty else []
    return [NamedReward(reward, stop_token_ids, may_leave_out=not penalty) for reward in [*rewards, *penalty]]


def are_finished(completion_ids: Sequence[Sequence[int]], stop_token_ids: set[int]) -> list[bool]:
    """Whether each completion ended by a stop token rather than at the longest length."""
    return [bool(ids) and ids[-1] in stop_token_ids for ids in completion_ids]
