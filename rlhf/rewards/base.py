"""What a reward is: anything that scores completions, with the signature of TRL's `reward_funcs`."""

from collections.abc import Sequence
from typing import Any, Protocol

from rlhf.errors import ConfigError

Text = str | list[dict[str, Any]]
Scores = list[float | None]


class Reward(Protocol):
    """A score for each completion; None where a completion has none.

    Prompts and completions are plain strings, or lists of `{"role", "content"}`. Further columns of the data set, and
    whatever the trainer knows of a completion, come as keyword arguments with one value per completion; a reward
    takes what it uses and ignores the rest.
    """

    name: str

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores: ...


class WeightedSum:
    """Several rewards added up, each with its weight. A completion that one of them leaves out has no score."""

    def __init__(self, rewards: Sequence[Reward], weights: Sequence[float] | None = None):
        weights = [1.0] * len(rewards) if weights is None else list(weights)
        if len(weights) != len(rewards):
            raise ConfigError(
                f"{len(rewards)} rewards were given, but {len(weights)} weights.",
                remedy="Give one weight for each reward, in their order.",
            )
        self.rewards = list(rewards)
        self.weights = weights
        self.name = " + ".join(f"{weight:g} {reward.name}" for weight, reward in zip(weights, rewards, strict=True))

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores:
        totals: Scores = [0.0] * len(completions)
        for weight, reward in zip(self.weights, self.rewards, strict=True):
            for i, score in enumerate(reward(prompts, completions, **columns)):
                total = totals[i]
                totals[i] = None if score is None or total is None else total + weight * score
        return totals


def as_plain_text(text: Text) -> str:
    """The words of a completion: a string as it is, of messages their contents in turn."""
    return text if isinstance(text, str) else "\n".join(str(message["content"]) for message in text)
