"""Best of n: what is kept, by which rule, and how far it can lie from where it was drawn."""

import math

import numpy as np
import pytest

from rlhf.best_of_n import best_of_n, kl_of_best_of_n, position_of_best
from rlhf.errors import ConfigError, TrainingError
from rlhf.generation import generate
from rlhf.rewards import FunctionReward
from tests.tiny import tiny_causal_lm, tiny_tokenizer

PROMPTS = ["Film review: A", "You", "What is the capital of France?", "Film"]


def vowels(prompts, completions, **columns):
    return [sum(letter in "aeiou" for letter in text) for text in completions]


def choose(reward=vowels, n=4, prompts=PROMPTS, **options):
    options = {"max_new_tokens": 8, "seed": 0, **options}
    found = None if reward is None else FunctionReward(reward)
    return best_of_n(tiny_causal_lm(), tiny_tokenizer(), prompts, found, n, **options)


def drawn(n, prompts=PROMPTS, **options):
    options = {"max_new_tokens": 8, "seed": 0, **options}
    return generate(tiny_causal_lm(), tiny_tokenizer(), prompts * n, **options)


def test_the_first_of_the_highest_scores_is_the_best():
    assert position_of_best([1.0, 3.0, 3.0, 2.0]) == 1
    assert position_of_best([None, -2.0, None, -3.0]) == 1
    assert position_of_best([None, None]) is None


def test_kept_is_the_response_with_the_highest_score():
    every = drawn(4)
    texts = tiny_tokenizer().batch_decode([one.response_ids for one in every], skip_special_tokens=True)
    for i, kept in enumerate(choose()):
        scores = vowels(None, texts[i :: len(PROMPTS)])
        assert kept.scores == scores
        assert kept.score == max(scores)
        assert kept.completion == texts[i + len(PROMPTS) * scores.index(max(scores))]
        assert kept.generation == every[i + len(PROMPTS) * scores.index(max(scores))]


def test_among_equals_the_first_drawn_is_kept():
    kept = choose(lambda prompts, completions, **_: [0.0] * len(completions))
    assert [one.generation for one in kept] == drawn(4)[: len(PROMPTS)]


@pytest.mark.parametrize("reward", [None, vowels])
def test_the_best_of_one_is_plain_sampling(reward):
    kept = choose(reward, n=1)
    assert [one.generation for one in kept] == drawn(1)
    assert all((one.score is None) == (reward is None) for one in kept)


def test_the_score_rises_with_n():
    one, four, sixteen = (np.array([kept.score for kept in choose(n=n, prompts=PROMPTS * 8)]) for n in (1, 4, 16))
    # The first draws of more are the draws of fewer, so that no prompt loses.
    assert (one <= four).all() and (four <= sixteen).all()
    # The expected maximum of 4 and of 16 normal draws lies 1.03 and 1.77 standard deviations above their mean.
    assert four.mean() - one.mean() > 0.5 * one.std()
    assert sixteen.mean() - four.mean() > 0.3 * one.std()


def test_the_reward_sees_all_responses_to_a_prompt_at_once_and_the_columns_of_its_prompt():
    calls = []

    def watch(prompts, completions, answer, finished):
        calls.append((prompts, answer, finished))
        return [float(len(text)) for text in completions]

    prompts = [f"Film review: {number}" for number in range(7)]
    kept = choose(watch, n=30, prompts=prompts, columns={"answer": list(range(7))}, max_new_tokens=2)
    assert [len(asked) for asked, _, _ in calls] == [60, 60, 60, 30]  # two prompts with 30 responses each at a time
    for asked, answers, _ in calls:
        assert asked == [f"Film review: {number}" for number in answers]
    ends = [end for _, _, finished in calls for end in finished]
    for i, one in enumerate(kept):
        assert one.generation.finished == ends[30 * i + position_of_best(one.scores)]


def test_a_conversation_is_answered_by_a_turn():
    seen = []

    def watch(prompts, completions, **columns):
        seen.extend(completions)
        return [float(len(completion[0]["content"])) for completion in completions]

    (kept,) = choose(watch, n=3, prompts=[[{"role": "user", "content": "You"}]])
    assert kept.completion in seen
    assert [message["role"] for message in kept.completion] == ["assistant"]


def test_a_response_without_a_score_is_never_kept():
    def only_second(prompts, completions, **columns):
        return [-1.0 if number % 3 == 1 else None for number in range(len(completions))]

    for i, one in enumerate(choose(only_second, n=3)):
        assert one.generation == drawn(3)[i + len(PROMPTS)]
        assert one.scores == [None, -1.0, None]


@pytest.mark.parametrize(
    ("score", "message"), [(None, "gives none of 4 responses a score"), (math.nan, "no finite numbers")]
)
def test_where_nothing_can_be_chosen_it_says_so(score, message):
    with pytest.raises(TrainingError, match=message):
        choose(lambda prompts, completions, **_: [score] * len(completions))


def test_a_score_of_another_kind_of_reward_has_to_be_finite_too():
    class Broken:
        name = "broken"

        def __call__(self, prompts, completions, **columns):
            return [math.inf] * len(completions)

    with pytest.raises(TrainingError, match="broken returned inf"):
        best_of_n(tiny_causal_lm(), tiny_tokenizer(), PROMPTS, Broken(), 2, max_new_tokens=2, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "at least one"),
        ({"n": 2, "reward": None}, "needs a reward"),
        ({"n": 2, "temperature": 0.0}, "the same response 2 times"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        choose(**options)


def test_nothing_is_asked_where_there_is_no_prompt():
    assert choose(prompts=[]) == []


def test_kl_by_hand():
    assert kl_of_best_of_n(1) == 0.0
    assert kl_of_best_of_n(2) == pytest.approx(math.log(2) - 1 / 2)
    assert kl_of_best_of_n(16) == pytest.approx(1.8351, abs=1e-4)


@pytest.mark.parametrize("n", [2, 4, 16])
def test_kl_is_an_upper_bound_that_many_responses_reach(n):
    def exact(responses):
        """KL of the best of n draws from a uniform choice between so many responses, all of different score."""
        below = np.arange(responses + 1) / responses
        probabilities = np.diff(below**n)
        return np.sum(probabilities * np.log(probabilities * responses))

    few, many = exact(10), exact(10_000)
    assert few < many < kl_of_best_of_n(n)
    assert many == pytest.approx(kl_of_best_of_n(n), rel=2e-3)
