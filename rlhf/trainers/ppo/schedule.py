"""When a rollout is made, on which prompts, what ends a response, and which steps fall on a rollout's end."""

from transformers import PreTrainedTokenizerBase
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


def require_enough_prompts(args: PPOConfig, train: int, held_out: int | None) -> None:
    """
    Args:
        train, held_out: numbers of prompts; None where nothing is held out.

    Raises:
        ConfigError: there are too few for a rollout, or for the processes.
    """
    if train < args.batch_size:
        raise ConfigError(
            f"The data set has {train:,} prompts, fewer than the {args.batch_size:,} of one rollout.",
            remedy="lower per_device_train_batch_size, gradient_accumulation_steps or num_mini_batches.",
        )
    if held_out is not None and held_out < args.world_size:
        raise ConfigError(
            f"There are {held_out} held-out prompts for {args.world_size} processes.",
            remedy="give at least one for each process.",
        )


def stop_token_ids(args: PPOConfig, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
    """The option's token; None is what ends a response by the tokenizer and the model folder.

    Raises:
        ConfigError: the tokenizer has no such token.
    """
    if args.stop_token_id is not None:
        if not 0 <= args.stop_token_id < len(tokenizer):
            raise ConfigError(
                f"stop_token_id {args.stop_token_id} is not a token of this tokenizer, which has {len(tokenizer):,}.",
                remedy="use tokenizer.convert_tokens_to_ids(...) to find the token's id.",
            )
        return [args.stop_token_id]
    return None if args.stop_token == "eos" else []
