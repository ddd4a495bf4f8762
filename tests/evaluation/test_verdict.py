"""The result in words: never more than the intervals allow."""

from dataclasses import replace

import pytest

from rlhf.evaluation import judges, metrics
from rlhf.evaluation.metrics import PolicyData
from rlhf.evaluation.verdict import verdict
from tests.evaluation.made import policy

JUDGES = {"reward": "reward model", "gold_reward": "gold reward model", "judge": "lexicon"}


def report_of(names=JUDGES, **tested):
    policies = {"base": policy("base"), "sft": policy("sft", seed=1), **tested}
    sft = policies["sft"]
    return {
        "settings": {"reference": "sft", "base": "base"},
        "judges": names,
        "best_of": {name: {"policy": "sft", "n": 4} for name in tested if name == "sft_best_of_4"},
        "reward_model": None,
        "policies": {name: metrics.describe(data, sft, "sft", 0) for name, data in policies.items()},
        "differences": {
            name: {other: metrics.differences(data, policies[other], "sft", 0) for other in ("base", "sft")}
            for name, data in policies.items()
        },
        "win_rates": {name: judges.win_rates(data, sft) for name, data in policies.items()},
    }


def tones(found, subject="PPO"):
    return {one["text"].split(":")[0]: one["tone"] for one in found["findings"] if one["subject"] == subject}


def test_preferred_by_both():
    found = verdict(report_of(ppo=policy("ppo", 1.5, 8, seed=2), dpo=policy("dpo", 1.2, 5, seed=3)))
    assert found["headline"] == "PPO and DPO are preferred over SFT by both independent judges."
    assert {one["tone"] for one in found["findings"]} == {"good"}


def test_no_difference_is_not_called_one():
    found = verdict(report_of(ppo=policy("ppo", 0.0, 0.5, seed=2)))
    assert found["headline"] == "PPO is not clearly preferred over SFT."


def test_one_judge_against_is_worse():
    ppo = policy("ppo", 1.5, 8, seed=2)
    hacked = PolicyData([replace(one, gold_reward=one.gold_reward - 3) for one in ppo.samples], ppo.losses)
    found = verdict(report_of(ppo=hacked))
    assert found["headline"] == "PPO is judged worse than SFT by some of the judges."
    assert any("over-optimization" in one["text"] and "gold reward model" in one["text"] for one in found["findings"])


def test_the_best_of_n_is_no_part_of_the_headline():
    best = policy("sft_best_of_4", 1.0, 0.6, seed=2)
    found = verdict(report_of(ppo=policy("ppo", 1.5, 8, seed=3), sft_best_of_4=best))
    assert found["headline"] == "PPO is preferred over SFT by both independent judges."
    assert tones(found, "SFT best of 4")["Preferred over SFT"] == "good"
    found = verdict(report_of(sft_best_of_4=best))
    assert found["headline"] == "SFT was measured; no trained policy was compared with it."


def test_forgetting_and_repetition_are_bad_news():
    ppo = policy("ppo", 1.5, 8, loss=1.2, seed=2)
    dull = PolicyData([replace(one, completion=" good good good") for one in ppo.samples], ppo.losses)
    found = tones(verdict(report_of(ppo=dull)))
    assert found["Forgetting"] == "bad"
    assert found["It repeats itself"] == "bad"


@pytest.mark.parametrize(("names", "by"), [({"reward": "reward model"}, "the reward model alone")])
def test_without_independent_judges_it_says_so(names, by):
    ppo, sft = policy("ppo", 1.5, 8, seed=2), policy("sft", seed=1)
    bare = [PolicyData([replace(s, judge=None, gold_reward=None) for s in one.samples]) for one in (ppo, sft)]
    found = verdict(report_of(names, ppo=bare[0], sft=bare[1]))
    assert found["headline"] == f"PPO is preferred over SFT by {by}."
