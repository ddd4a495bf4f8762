"""Rewards given token by token."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from rlhf.errors import TrainingError
from rlhf.rewards.base import Text
from rlhf.rewards.function import FunctionReward


class TokenReward:
    """A function that gives a number for each token: `function(prompts, completions, completion_ids, **columns)`.

    It returns for each completion a list as long as its `completion_ids`.
    """

    def __init__(self, function: Callable[..., Sequence[Sequence[float]]], name: str | None = None):
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    @classmethod
    def by_name(cls, dotted: str) -> "TokenReward":
        """The function `package.module:function`; a bad name is a ConfigError, as for `FunctionReward`."""
        return cls(FunctionReward.by_name(dotted).function, dotted)  # type: ignore[arg-type]

    def __call__(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        completion_ids: Sequence[Sequence[int]],
        **columns: Any,
    ) -> list[list[float]]:
        """
        Raises:
            TrainingError: the function raises, or returns anything else than a finite number for each token.
        """
        try:
            returned = self.function(prompts=prompts, completions=completions, completion_ids=completion_ids, **columns)
        except Exception as error:
            raise TrainingError(
                f"The token reward {self.name} raised {type(error).__name__}: {error}",
                remedy="its signature has to be function(prompts, completions, completion_ids, **columns).",
            ) from error
        lists = [list(numbers) for numbers in returned]
        problems = [
            f"completion {i}: {len(numbers)} numbers for {len(ids)} tokens"
            for i, (numbers, ids) in enumerate(zip(lists, completion_ids, strict=False))
            if len(numbers) != len(ids)
        ]
        problems += [
            f"completion {i} has a number that is not finite"
            for i, numbers in enumerate(lists)
            if not all(math.isfinite(x) for x in numbers)
        ]
        if len(lists) != len(completion_ids):
            problems.append(f"{len(lists)} lists for {len(completion_ids)} completions")
        if problems:
            raise TrainingError(
                f"The token reward {self.name} did not return a finite number for each token.",
                problems=problems,
                remedy="return one list for each completion, as long as its completion_ids.",
            )
        return [[float(x) for x in numbers] for numbers in lists]
