"""When a rollout is made, on which prompts, and which steps fall on its end."""

from trl.trainer.utils import RepeatSampler

from rlhf.errors import ConfigError
from rlhf.trainers.ppo.config import PPOConfig


class EpochSampler(RepeatSampler):
    """Repeats each batch of prompts, in an order that follows from the seed and the epoch: a resume finds it again."""

    def set_epoch(self, epoch: int) -> None:
        self.generator.manual_seed((self.seed or 0) + epoch)


def round_up_to_rollouts(args: PPOConfig) -> None:
    """Log, save and evaluate at ends of rollouts only: in the middle of one a resume would not be exact.

    Raises:
        ConfigError: for a step given as a share of the run.
    """
    unit = args.steps_per_rollout
    if args.total_episodes is not None:
        args.max_steps = _round_up(args.total_episodes, args.batch_size) // args.batch_size * unit
    if args.max_steps > 0:
        args.max_steps = _round_up(args.max_steps, unit)
    args.ref_model_sync_steps = _round_up(args.ref_model_sync_steps, unit)
    for name in ("logging_steps", "eval_steps", "save_steps"):
        steps = getattr(args, name)
        if steps is None:
            continue
        if 0 < steps < 1:
            raise ConfigError(f"{name} is a share of the run ({steps}).", remedy="give it in optimizer steps.")
        # A best checkpoint must have been saved where it was evaluated.
        follows_evaluation = name == "save_steps" and args.load_best_model_at_end
        setattr(args, name, _round_up(int(steps), int(args.eval_steps or unit) if follows_evaluation else unit))


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
