"""Accuracy, ties, buckets and calibration of a reward model."""

import numpy as np
import pytest

from rlhf.errors import DataError
from rlhf.evaluation import reward_model
from rlhf.evaluation.progress import Quiet, longest_first
from rlhf.evaluation.reward_model import ScoredPair


class CountingReward:
    """The number of words, and how often a text was scored."""

    name = "words"

    def __init__(self):
        self.seen = []

    def __call__(self, prompts, completions, **columns):
        self.seen += list(zip(map(str, prompts), map(str, completions), strict=True))
        return [float(len(str(text).split())) for text in completions]


ROWS = [
    {"prompt": "p", "chosen": "one two three", "rejected": "one", "margin": 0.5, "agreement": 0.9},
    {"prompt": "p", "chosen": "one two", "rejected": "one two three", "margin": 0.1, "agreement": 0.6},
    {"prompt": "p", "chosen": "one", "rejected": "two", "margin": 0.1, "agreement": 0.5},
]


def test_each_text_is_scored_once_and_ties_count_half():
    reward = CountingReward()
    pairs = reward_model.score_comparisons(reward, ROWS, Quiet())
    assert len(reward.seen) == len(set(reward.seen)) == reward_model.count_texts(ROWS) == 4
    assert [pair.right for pair in pairs] == [1.0, 0.0, 0.5]
    found = reward_model.summarize(pairs)
    assert found["heldout_accuracy"] == pytest.approx(0.5)
    assert (found["pairs"], found["texts"], found["ties"]) == (3, 4, 1)
    assert found["people_agreement"] == pytest.approx((0.9 + 0.6 + 0.5) / 3)


def test_the_same_response_to_another_prompt_is_another_text():
    rows = [{"prompt": prompt, "chosen": "a b", "rejected": "a"} for prompt in ("p", "q")]
    assert reward_model.count_texts(rows) == 4


def test_conversations_are_scored_as_they_are():
    rows = [{"chosen": [{"role": "user", "content": "a b"}], "rejected": [{"role": "user", "content": "a"}]}]
    pairs = reward_model.score_comparisons(CountingReward(), rows, Quiet())
    assert pairs[0].right == 1.0
    assert reward_model.summarize(pairs * 2)["people_agreement"] is None


def test_scores_come_back_in_order():
    class Length:
        name = "length"

        def __call__(self, prompts, completions, **columns):
            return [float(len(text)) for text in completions]

    texts = [("p", "x" * length) for length in (3, 1, 2)]
    assert reward_model.score_texts(Length(), texts, Quiet()) == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_an_error(score):
    class Broken:
        name = "broken"

        def __call__(self, prompts, completions, **columns):
            return [score] * len(completions)

    with pytest.raises(DataError, match="broken gives no finite score"):
        reward_model.score_texts(Broken(), [("p", "c")], Quiet())


def pairs_with(margins):
    return [ScoredPair(1.0, 0.0, 2 * i, 2 * i + 1, margin, 0.8) for i, margin in enumerate(margins)]


def test_a_scale_with_few_steps_has_a_bucket_for_each():
    rows = reward_model.by_margin(pairs_with([1 / 3, 2 / 3, 1.0, 1.0]))
    assert [row["pairs"] for row in rows] == [1, 1, 2]
    assert [row["margin_up_to"] for row in rows] == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_many_margins_fall_into_fixed_buckets_with_their_upper_edge():
    rows = reward_model.by_margin(pairs_with([0.01, 0.125, 0.126, 0.3, 0.4, 0.45, 0.9, 1.0]))
    assert [(row["margin_up_to"], row["pairs"]) for row in rows] == [
        (0.125, 2),
        (0.25, 1),
        (0.375, 1),
        (0.5, 2),
        (1.0, 2),
    ]
    assert sum(row["pairs"] for row in rows) == 8


def test_no_buckets_where_margins_are_missing():
    assert reward_model.by_margin([ScoredPair(1, 0, 0, 1)]) == []


def test_calibration_by_hand():
    # differences 0 and log 3: probabilities 1/2 and 3/4
    pairs = [ScoredPair(0.0, 0.0, 0, 1, agreement=0.5), ScoredPair(float(np.log(3)), 0.0, 2, 3, agreement=1.0)]
    found = reward_model.calibration(pairs)
    assert found["brier"] == pytest.approx((0.25 + 0.0625) / 2)
    assert found["brier_people"] == pytest.approx((0.0 + 0.0625) / 2)
    assert found["log_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)
    # the tie is half right at confidence 1/2; the other is right at confidence 3/4
    assert found["expected_calibration_error"] == pytest.approx((0.0 + 0.25) / 2)


def test_a_calibrated_model_has_no_calibration_error():
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 2, 20_000)
    right = rng.random(20_000) < 1 / (1 + np.exp(-np.abs(difference)))
    pairs = [
        ScoredPair(abs(float(d)) if r else -abs(float(d)), 0.0, 2 * i, 2 * i + 1)
        for i, (d, r) in enumerate(zip(difference, right, strict=True))
    ]
    assert reward_model.calibration(pairs)["expected_calibration_error"] < 0.02


def test_batches_hold_every_position_once_the_longest_first():
    batches = longest_first([1, 5, 3, 4], 2)
    assert batches == [[1, 3], [2, 0]]
