"""Win rates, correlations of the judges, and gains at equal KL from samples."""

from dataclasses import replace

import pytest

from rlhf.evaluation import judges
from rlhf.evaluation.metrics import PolicyData
from tests.evaluation.made import policy


def with_rewards(rewards):
    base = policy("any", n=len(rewards))
    return PolicyData([replace(one, reward=float(r)) for one, r in zip(base.samples, rewards, strict=True)])


def test_win_rate_counts_a_tie_as_half():
    rates = judges.win_rates(with_rewards([1, 2, 3, 4]), with_rewards([0, 2, 5, 1]))["reward"]
    assert (rates["wins"], rates["ties"], rates["losses"]) == (2, 1, 1)
    assert rates["win_rate"] == pytest.approx(2.5 / 4)
    assert rates["ci95"][0] < 2.5 / 4 < rates["ci95"][1]


def test_a_judge_that_is_not_there_wins_nothing():
    bare = PolicyData([replace(one, judge=None) for one in policy("sft").samples])
    assert set(judges.win_rates(bare, policy("sft"))) == {"reward", "gold_reward"}
    assert set(judges.correlations(bare)) == {"gold_reward"}


def test_correlation_falls_when_the_reward_goes_its_own_way():
    sft = policy("sft")
    hacked = PolicyData([replace(one, reward=float(one.prompt_index % 7)) for one in sft.samples])
    assert judges.correlations(sft)["gold_reward"]["spearman"] > 0.8
    assert abs(judges.correlations(hacked)["gold_reward"]["spearman"]) < 0.4


def test_equal_kl_reads_a_curve_over_several_checkpoints():
    policies = {
        "sft": policy("sft"),
        "early": policy("early", rise=1.0, kl=4.0, seed=1),
        "late": policy("late", rise=2.0, kl=8.0, seed=2),
    }
    found = judges.equal_kl(policies, "sft", {"ppo": ["early", "late"]}, [6.0, 9.0], seed=0)["ppo"]
    early, late = (point["gain"] for point in found["points"])
    assert found["at"][0]["gain"] == pytest.approx((early + late) / 2, abs=0.05)
    assert found["at"][0]["ci95"][0] < found["at"][0]["gain"] < found["at"][0]["ci95"][1]
    assert found["at"][1] == {"kl": 9.0, "gain": None, "ci95": None}


def test_no_curve_without_a_spread_to_measure_in():
    flat = with_rewards([1, 1, 1, 1])
    assert judges.equal_kl({"sft": flat, "ppo": flat}, "sft", {"ppo": ["ppo"]}, [5.0], seed=0) == {}
