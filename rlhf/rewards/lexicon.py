"""The sentiment of a completion by a lexicon: a judge that no model was trained on."""

from collections.abc import Sequence
from typing import Any

from rlhf.errors import MissingDependencyError
from rlhf.rewards.base import Scores, Text, as_plain_text


class LexiconReward:
    """VADER's compound score of the completion, from -1 (most negative) to 1 (most positive)."""

    name = "lexicon"

    def __init__(self) -> None:
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError as error:
            raise MissingDependencyError("vaderSentiment", "demo", "The lexicon reward") from error
        self._analyzer = SentimentIntensityAnalyzer()

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores:
        return [self._analyzer.polarity_scores(as_plain_text(text))["compound"] for text in completions]
