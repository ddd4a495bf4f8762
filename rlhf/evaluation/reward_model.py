"""How often a reward model prefers what people prefer, on comparisons that it was not trained on."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlhf.errors import DataError
from rlhf.evaluation.progress import Progress, longest_first
from rlhf.rewards import Reward
from rlhf.stats import intervals

# Margins above the lower and up to the upper edge; used when margins take more than a few values.
MARGIN_EDGES = (0.0, 0.125, 0.25, 0.375, 0.5, 1.0)
FEW_MARGINS = 6
CONFIDENCE_EDGES = np.linspace(0.5, 1.0, 11)
TEXTS_PER_CALL = 64


@dataclass(frozen=True)
class ScoredPair:
    """One comparison with the two scores of a reward model.

    Attributes:
        chosen_score, rejected_score: the scores.
        chosen_id, rejected_id: equal numbers mean equal texts (prompt and response).
        margin: how clear people's preference is, in (0, 1]; None where the data don't say.
        agreement: share of people who prefer the chosen one, ties counted half; None where the data don't
            say.
    """

    chosen_score: float
    rejected_score: float
    chosen_id: int
    rejected_id: int
    margin: float | None = None
    agreement: float | None = None

    @property
    def right(self) -> float:
        """1 if the model prefers the chosen one, 0 if the rejected one, 0.5 if it scores both the same."""
        return (float(np.sign(self.chosen_score - self.rejected_score)) + 1) / 2


def score_comparisons(reward: Reward, rows: Sequence[Mapping[str, Any]], progress: Progress) -> list[ScoredPair]:
    """Score the two responses of each comparison; a text that takes part in several is scored once."""
    ids: dict[str, int] = {}
    texts: list[tuple[Any, Any]] = []
    pairs = [tuple(_text_id(row, side, ids, texts) for side in ("chosen", "rejected")) for row in rows]
    scores = score_texts(reward, texts, progress)
    return [
        ScoredPair(scores[chosen], scores[rejected], chosen, rejected, row.get("margin"), row.get("agreement"))
        for (chosen, rejected), row in zip(pairs, rows, strict=True)
    ]


def count_texts(rows: Sequence[Mapping[str, Any]]) -> int:
    """Different texts in comparisons, which is what `score_comparisons` has to score."""
    ids: dict[str, int] = {}
    for row in rows:
        for side in ("chosen", "rejected"):
            _text_id(row, side, ids, [])
    return len(ids)


def _text_id(row: Mapping[str, Any], side: str, ids: dict[str, int], texts: list[tuple[Any, Any]]) -> int:
    """Number of a text; a new text is appended to `texts`."""
    completion = row[side]
    prompt = row.get("prompt") or type(completion)()
    key = json.dumps([prompt, completion], sort_keys=True)
    if key not in ids:
        ids[key] = len(ids)
        texts.append((prompt, completion))
    return ids[key]


def score_texts(
    reward: Reward,
    texts: Sequence[tuple[Any, Any]],
    progress: Progress,
) -> list[float]:
    """Scores of (prompt, completion) pairs in their order, computed in batches of like length.

    Args:
        reward: what scores.
        texts: the pairs, plain or as messages.
        progress: told of each batch.

    Raises:
        DataError: a text has no score, or one that is not a finite number.
    """
    scores: dict[int, float | None] = {}
    for positions in longest_first([len(str(text)) for text in texts], TEXTS_PER_CALL):
        prompts, completions = (list(part) for part in zip(*(texts[p] for p in positions), strict=True))
        found = reward(prompts, completions)
        scores |= dict(zip(positions, found, strict=True))
        progress.done(len(positions))
    whole = [math.nan if (score := scores[position]) is None else float(score) for position in range(len(texts))]
    missing = [f"{texts[i]!r:.200}" for i, score in enumerate(whole) if not math.isfinite(score)]
    if missing:
        raise DataError(f"{reward.name} gives no finite score to some texts:", problems=missing)
    return whole


def summarize(pairs: Sequence[ScoredPair]) -> dict[str, Any]:
    """Accuracy with its intervals, by margin, against people's own agreement, and calibration.

    Returns:
        `heldout_accuracy`, `ci95` (allows for texts in several pairs), `ci95_independent_pairs` (Wilson,
        doesn't), `pairs`, `texts`, `ties`, `people_agreement`, `by_margin` and `calibration`.
    """
    right = np.array([pair.right for pair in pairs])
    items = np.array([(pair.chosen_id, pair.rejected_id) for pair in pairs])
    found = intervals.share_of_pairs(right, items)
    return {
        "heldout_accuracy": found.estimate,
        "ci95": found.limits,
        "ci95_independent_pairs": intervals.wilson(float(right.sum()), len(pairs)).limits,
        "pairs": len(pairs),
        "texts": int(len(np.unique(items))),
        "ties": int(np.sum(right == 0.5)),
        "people_agreement": _people_agreement(pairs),
        "by_margin": by_margin(pairs),
        "calibration": calibration(pairs),
    }


def by_margin(pairs: Sequence[ScoredPair]) -> list[dict[str, Any]]:
    """Accuracy in buckets of the margin: clear preferences should be easier than close ones."""
    margins = np.array([pair.margin for pair in pairs if pair.margin is not None])
    if len(margins) < len(pairs) or not len(pairs):
        return []
    rows = []
    for low, high in _buckets(margins):
        inside = [pair for pair, margin in zip(pairs, margins, strict=True) if low < margin <= high]
        if not inside:
            continue
        items = np.array([(pair.chosen_id, pair.rejected_id) for pair in inside])
        found = intervals.share_of_pairs(np.array([pair.right for pair in inside]), items)
        rows.append(
            {
                "margin_above": low,
                "margin_up_to": high,
                "pairs": len(inside),
                "accuracy": found.estimate,
                "ci95": found.limits,
                "people_agreement": _people_agreement(inside),
            }
        )
    return rows


def _buckets(margins: NDArray[np.float64]) -> list[tuple[float, float]]:
    """A bucket for each value where there are few values (a scale with steps), else fixed ones."""
    values = [float(value) for value in np.unique(margins)]
    edges = [0.0, *values] if len(values) <= FEW_MARGINS else list(MARGIN_EDGES)
    return list(zip(edges, edges[1:], strict=False))


def _people_agreement(pairs: Sequence[ScoredPair]) -> float | None:
    """How often one person, taken at random, prefers the chosen response; None where the data don't say."""
    shares = [pair.agreement for pair in pairs if pair.agreement is not None]
    return float(np.mean(shares)) if len(shares) == len(pairs) else None


def calibration(pairs: Sequence[ScoredPair]) -> dict[str, Any]:
    """Does a score difference mean the probability that it stands for (sigmoid, as in Bradley-Terry)?

    `brier` and `log_loss` hold the probability that the model gives to the chosen response against 1, the
    label. Where agreement is known, `brier_people` holds it against the share of people. `bins` group pairs
    by the model's confidence in the response it prefers; `expected_calibration_error` is the mean gap
    between confidence and accuracy.
    """
    difference = np.array([pair.chosen_score - pair.rejected_score for pair in pairs])
    log_probability = -np.logaddexp(0.0, -difference)
    probability = np.exp(log_probability)
    confidence = np.maximum(probability, 1 - probability)
    right = np.array([pair.right for pair in pairs])
    agreement = [pair.agreement for pair in pairs]
    bins = _confidence_bins(confidence, right)
    return {
        "brier": float(np.mean((1 - probability) ** 2)),
        "log_loss": float(-log_probability.mean()),
        "brier_people": None
        if None in agreement
        else float(np.mean((np.array(agreement, dtype=float) - probability) ** 2)),
        "expected_calibration_error": float(
            sum(one["pairs"] * abs(one["confidence"] - one["accuracy"]) for one in bins) / len(pairs)
        ),
        "bins": bins,
    }


def _confidence_bins(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> list[dict[str, Any]]:
    bins = np.digitize(confidence, CONFIDENCE_EDGES[1:-1])
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        share = intervals.wilson(float(right[inside].sum()), int(inside.sum()))
        rows.append(
            {
                "confidence": float(confidence[inside].mean()),
                "accuracy": share.estimate,
                "ci95": share.limits,
                "pairs": int(inside.sum()),
            }
        )
    return rows
