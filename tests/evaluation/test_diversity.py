"""Distinct-n by hand."""

import pytest

from rlhf.evaluation.diversity import distinct_n, distinct_n_leave_one_out, ngrams


def test_words_are_lower_case_without_punctuation_and_keep_their_apostrophes():
    assert ngrams("It's GOOD, isn't it?", 2) == [("it's", "good"), ("good", "isn't"), ("isn't", "it")]


def test_distinct_2_over_the_whole_corpus():
    # a b | b c | a b: three bigrams, two of them different; none runs across two texts
    assert distinct_n(["a b", "b c", "a b"]) == pytest.approx(2 / 3)


def test_nothing_to_count():
    assert distinct_n(["", "word"]) == 0.0
    assert distinct_n_leave_one_out(["", "word"]).tolist() == [0.0, 0.0]


def test_leave_one_out_equals_counting_anew():
    texts = ["a b c a b", "b c d", "a b", "", "e f e f"]
    anew = [distinct_n(texts[:left] + texts[left + 1 :]) for left in range(len(texts))]
    assert distinct_n_leave_one_out(texts) == pytest.approx(anew)
