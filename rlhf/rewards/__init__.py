"""Rewards: one interface for trained reward models, Python functions and a lexicon. Loads torch for models only."""

from rlhf.rewards.base import Reward, Scores, Text, WeightedSum
from rlhf.rewards.function import FunctionReward
from rlhf.rewards.lexicon import LexiconReward
from rlhf.rewards.loading import load_reward, load_rewards
from rlhf.rewards.token_level import TokenReward

__all__ = [
    "FunctionReward",
    "LexiconReward",
    "Reward",
    "Scores",
    "Text",
    "TokenReward",
    "WeightedSum",
    "load_reward",
    "load_rewards",
]
