"""Figures of policies and their paired differences."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rlhf.evaluation import metrics
from rlhf.evaluation.metrics import PolicyData
from tests.evaluation.made import policy


def test_figures_are_plain_means_over_the_samples():
    sft, ppo = policy("sft"), policy("ppo", rise=1.0, kl=5.0, seed=1)
    found = metrics.describe(ppo, sft, "sft", seed=0)
    rewards = np.array([sample.reward for sample in ppo.samples])
    before = np.array([sample.reward for sample in sft.samples])
    assert found["reward_mean"] == pytest.approx(rewards.mean())
    assert found["reward_std"] == pytest.approx(rewards.std(ddof=1))
    assert found["reward_gain"] == pytest.approx((rewards.mean() - before.mean()) / before.std(ddof=1))
    assert found["kl_to_sft"] == pytest.approx(5.0, abs=0.1)
    assert found["eos_rate"] == pytest.approx(40 / 60)
    assert found["length_mean"] == pytest.approx(np.mean([sample.tokens for sample in ppo.samples]))
    assert all(found["ci95"][name][0] <= found[name] <= found["ci95"][name][1] for name in found["ci95"])


def test_perplexity_weighs_each_token_alike():
    data = policy("base")
    expected = math.exp(sum(20.0 + i % 5 for i in range(20)) / 200)
    assert metrics.describe(data, data, "base", seed=0)["perplexity_general"] == pytest.approx(expected)


def test_differences_are_paired_and_narrower_than_the_figures_own_intervals():
    sft, ppo = policy("sft"), policy("ppo", rise=0.3, seed=1)
    alone = metrics.describe(ppo, sft, "sft", seed=0)["ci95"]["reward_mean"]
    found = metrics.differences(ppo, sft, "sft", seed=0)["reward_mean"]
    assert found["ci95"][0] < 0.3 < found["ci95"][1]
    assert found["ci95"][1] - found["ci95"][0] < 0.5 * (alone[1] - alone[0])


def test_forgetting_is_the_quotient_of_the_perplexities():
    base, ppo = policy("base"), policy("ppo", loss=1.1)
    found = metrics.differences(ppo, base, "sft", seed=0)["perplexity_ratio"]
    assert found["estimate"] == pytest.approx(math.exp(20 * 2.0 / 200))


def test_a_policy_differs_from_itself_by_nothing():
    sft = policy("sft")
    found = metrics.differences(sft, sft, "sft", seed=0)
    assert {name for name, one in found.items() if one["estimate"] != 0.0} == {"perplexity_ratio"}
    assert metrics.describe(sft, sft, "sft", seed=0)["reward_gain"] == 0.0


def test_what_was_not_measured_is_none():
    sft = policy("sft")
    bare = PolicyData([replace(sample, gold_reward=None, judge=None) for sample in sft.samples])
    found = metrics.describe(bare, bare, "sft", seed=0)
    assert found["gold_reward_mean"] is found["judge_mean"] is found["perplexity_general"] is None
    assert "judge_mean" not in metrics.differences(bare, sft, "sft", seed=0)
