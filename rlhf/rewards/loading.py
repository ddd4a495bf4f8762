"""From the name of a reward in a configuration to the reward."""

from collections.abc import Sequence
from pathlib import Path

from rlhf.rewards.base import Reward, WeightedSum
from rlhf.rewards.function import DOTTED_NAME, FunctionReward
from rlhf.rewards.lexicon import LexiconReward


def load_reward(spec: str, *, batch_size: int = 32, dtype: str = "auto", device: str | None = None) -> Reward:
    """The reward that `spec` names.

    Args:
        spec: `lexicon`, a function as `package.module:function`, a run directory of recipes/reward.py, or a folder or
            hub id of a sequence-classification model with one label.
        batch_size, dtype, device: for reward models.

    Raises:
        ConfigError: the function can't be imported.
        ModelError: the folder holds no reward model.
    """
    if spec == LexiconReward.name:
        return LexiconReward()
    if DOTTED_NAME.match(spec) and not Path(spec).exists():
        return FunctionReward.by_name(spec)
    # Rewards without a model load no torch.
    from rlhf.models.load import load_tokenizer
    from rlhf.models.reward_model import load_reward_model
    from rlhf.rewards.model import ModelReward

    model = load_reward_model(spec, dtype=dtype, device=device)
    tokenizer = load_tokenizer(spec, padding_side="right", needs_eos=False)
    return ModelReward(model, tokenizer, batch_size=batch_size, name=spec)


def load_rewards(
    specs: Sequence[str], weights: Sequence[float] | None = None, *, batch_size: int = 32, dtype: str = "auto"
) -> Reward:
    """One reward as it is, or several as their weighted sum."""
    rewards = [load_reward(spec, batch_size=batch_size, dtype=dtype) for spec in specs]
    return rewards[0] if len(rewards) == 1 and weights is None else WeightedSum(rewards, weights)
