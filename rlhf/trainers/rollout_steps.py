"""What all loops over rollouts share: which prompts come when, and which steps fall on a rollout's end."""

import math
from typing import Any

from trl.trainer.utils import RepeatSampler

from rlhf.errors import ConfigError


class EpochSampler(RepeatSampler):
    """Repeats each batch of prompts, in an order that follows from the seed and the epoch: a resume finds it again."""

    def set_epoch(self, epoch: int) -> None:
        self.generator.manual_seed((self.seed or 0) + epoch)


def round_up(number: float, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-int(number) // unit) * unit


def round_up_steps(args: Any, names: tuple[str, ...], unit: int) -> None:
    """Move options that count optimizer steps to ends of rollouts: in the middle of one a resume would not be exact.

    Args:
        args: Trainer options.
        names: of them, those to round up; one that is None stays.
        unit: optimizer steps of a rollout.

    Raises:
        ConfigError: for a step given as a share of the run.
    """
    for name in names:
        steps = getattr(args, name)
        if steps is None:
            continue
        if 0 < steps < 1:
            raise ConfigError(f"{name} is a share of the run ({steps}).", remedy="give it in optimizer steps.")
        # A best checkpoint must have been saved where it was evaluated.
        is_best_wanted = name == "save_steps" and args.load_best_model_at_end and args.eval_steps
        setattr(args, name, round_up(steps, math.lcm(unit, int(args.eval_steps)) if is_best_wanted else unit))


def require_a_rollout(prompts: int, wanted: int, remedy: str) -> None:
    """
    Raises:
        ConfigError: there are fewer prompts than one rollout takes.
    """
    if prompts < wanted:
        raise ConfigError(
            f"The data set has {prompts:,} prompts, fewer than the {wanted:,} of one rollout.", remedy=remedy
        )
