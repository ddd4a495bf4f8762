"""The raw rows."""

import pytest

from rlhf.errors import DataError
from rlhf.evaluation import samples
from tests.evaluation.made import policy


def test_rows_survive_the_file(tmp_path):
    rows = list(policy("sft", n=5).samples)
    samples.write_rows(tmp_path / "samples.jsonl", rows)
    assert samples.read_samples(tmp_path / "samples.jsonl") == rows


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "samples.jsonl").write_text('{"policy": "sft"}\n')
    with pytest.raises(DataError, match=r"samples.jsonl:1"):
        samples.read_samples(tmp_path / "samples.jsonl")


def test_policies_are_put_in_the_order_of_the_prompts():
    rows = list(policy("sft", n=3).samples) + list(reversed(policy("ppo", n=3).samples))
    groups = samples.by_policy(rows)
    assert list(groups) == ["sft", "ppo"]
    assert [one.prompt_index for one in groups["ppo"]] == [0, 1, 2]


def test_policies_with_different_prompts_can_not_be_paired():
    with pytest.raises(ValueError, match="different prompts"):
        samples.by_policy([*policy("sft", n=3).samples, *policy("ppo", n=2).samples])
