"""Lengths in tokens: what is cut, what is dropped, and which prompts don't fit."""

import pytest

from rlhf.data.chat import encode
from rlhf.data.lengths import measure_lengths
from rlhf.data.readers import load_rows
from rlhf.errors import DataError
from tests.data.helpers import turns, write_lines
from tests.tiny import tiny_tokenizer

WORD = " film"


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = tiny_tokenizer()
    assert len(tokenizer(WORD)["input_ids"]) == 1
    return tokenizer


@pytest.fixture
def rows(tmp_path):
    sizes = ((2, 3), (9, 1), (4, 9))
    lines = [{"prompt": WORD * prompt, "completion": WORD * completion} for prompt, completion in sizes]
    return load_rows(write_lines(tmp_path / "a.jsonl", *lines), "sft")


def test_lengths_count_the_tokens_of_prompt_and_answer_with_eos(tokenizer, rows):
    lengths = measure_lengths(tokenizer, rows, "sft")
    assert (lengths.prompt, lengths.total) == ([2, 9, 4], [6, 11, 14])


def test_lengths_are_those_of_the_encoded_rows(tokenizer):
    rows = [{"prompt": "Film" * (at % 5 + 1), "completion": "review " * at + "."} for at in range(1, 1100)]
    rows.append({"prompt": turns("good"), "completion": turns("better", first="assistant")})
    lengths = measure_lengths(tokenizer, rows, "sft")
    encoded = [encode(tokenizer, row, "sft") for row in rows]
    assert lengths.total == [len(one.input_ids) for one in encoded]
    assert lengths.prompt == [one.prompt_length for one in encoded]


def test_the_longer_response_of_a_pair_counts(tokenizer):
    pair = {"prompt": WORD, "chosen": WORD * 3, "rejected": WORD * 5}
    assert measure_lengths(tokenizer, [pair], "preference").total == [7]
    assert measure_lengths(tokenizer, [{"prompt": turns("film")}], "prompts").prompt[0] > 1


def test_long_rows_are_counted_before_they_are_cut_or_dropped(tokenizer, rows):
    lengths = measure_lengths(tokenizer, rows, "sft")
    cut = lengths.warning(9, "cut")
    assert cut.startswith("2 of 3 rows (66.7%) are longer than max_length=9 and will be cut; 1 of them, with no token")
    assert "longest has 14 tokens" in cut and "line 2" in cut
    assert "will be dropped" in lengths.warning(11, "dropped")
    assert lengths.over(11) == [2] and lengths.without_answer(9) == [1]
    assert lengths.warning(14, "cut") == lengths.warning(None, "cut") == ""


def test_prompts_longer_than_the_context_are_refused_by_line(tokenizer, rows):
    lengths = measure_lengths(tokenizer, rows, "sft")
    lengths.require_prompts_fit(10)
    with pytest.raises(DataError) as caught:
        lengths.require_prompts_fit(12, reserve=6)
    assert "1 of 3 prompts are longer than the 6 tokens" in caught.value.message
    assert "line 2: 9 tokens" in caught.value.problems[0]
