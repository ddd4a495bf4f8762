"""What the judges say: win rates, whether they agree with the reward model, and the gain at equal KL."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlhf.evaluation.metrics import PolicyData
from rlhf.evaluation.samples import SCORES, column
from rlhf.stats import intervals
from rlhf.stats.equal_kl import gain, gains_at_kl


def win_rates(policy: PolicyData, other: PolicyData) -> dict[str, Any]:
    """Share of prompts on which each judge scores `policy` above `other`, by judge.

    Ties count half; the interval is Wilson's.
    """
    rates = {}
    for field in SCORES:
        first, second = column(policy.samples, field), column(other.samples, field)
        if first is None or second is None:
            continue
        wins, ties, losses = (int(np.sum(sign == np.sign(first - second))) for sign in (1, 0, -1))
        found = intervals.wilson(wins + ties / 2, len(first))
        rates[field] = {
            "win_rate": found.estimate,
            "ci95": found.limits,
            "wins": wins,
            "ties": ties,
            "losses": losses,
        }
    return rates


def correlations(policy: PolicyData) -> dict[str, Any]:
    """Spearman's correlation of the reward with each independent judge over one policy's samples.

    A policy that has learned to please the reward model alone shows it here: the correlation falls against
    SFT's.
    """
    rewards = column(policy.samples, "reward")
    found = {}
    for field in ("gold_reward", "judge"):
        scores = column(policy.samples, field)
        interval = None if scores is None or rewards is None else intervals.spearman(rewards, scores)
        if interval:
            found[field] = {"spearman": interval.estimate, "ci95": interval.limits}
    return found


def equal_kl(
    policies: Mapping[str, PolicyData],
    reference: str,
    curves: Mapping[str, Sequence[str]],
    targets: Sequence[float],
    seed: int,
) -> dict[str, Any]:
    """Reward against KL for each curve: its points, and the gain read off at each target KL.

    Args:
        policies: all policies by name.
        reference: the policy that KL and gain are measured from.
        curves: for each curve the names of the policies on it, such as checkpoints of one run.
        targets: KLs to read the curves at, nats per sequence.
        seed: of the bootstrap.

    Returns:
        `points` (policy, kl, gain) and `at` (kl, gain, ci95) by curve; empty where the reference's rewards
        don't vary.
    """
    reference_rewards = np.array([sample.reward for sample in policies[reference].samples])
    if np.ptp(reference_rewards) == 0:
        return {}
    found: dict[str, Any] = {}
    for curve, names in curves.items():
        kl = np.array([[sample.log_ratio for sample in policies[name].samples] for name in names])
        rewards = np.array([[sample.reward for sample in policies[name].samples] for name in names])
        points = zip(names, kl.mean(axis=1), gain(rewards, reference_rewards), strict=True)
        read = gains_at_kl(kl, rewards, reference_rewards, targets, seed=seed)
        found[curve] = {
            "points": [{"policy": name, "kl": float(x), "gain": float(y)} for name, x, y in points],
            "at": [
                {"kl": one.kl, "gain": one.gain, "ci95": one.interval.limits if one.interval else None} for one in read
            ],
        }
    return found
