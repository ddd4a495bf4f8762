"""PPO by the constructor and the options of TRL 1.12, over our own trainer.

    from rlhf import PPOConfig, PPOTrainer  # was: from trl.experimental.ppo import PPOConfig, PPOTrainer

A script for TRL's trainer runs with that line changed. `docs/migrating_from_trl.md` tells what differs, and why.
"""

from rlhf.trainers.ppo.trl_compat.options import PPOConfig
from rlhf.trainers.ppo.trl_compat.trainer import PPOTrainer

__all__ = ["PPOConfig", "PPOTrainer"]
