"""What the options of a PPO run come to: its steps in whole rollouts, what ends a response, and what must be there."""

import math
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import IntervalStrategy

from rlhf.errors import ConfigError
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.rollout_steps import require_a_rollout, round_up, round_up_steps


def round_up_to_rollouts(args: PPOConfig, prompts: int) -> None:
    """Log, save, evaluate and stop at ends of rollouts only: in the middle of one a resume would not be exact.

    Args:
        prompts: number of those that are trained on.

    Raises:
        ConfigError: for a step given as a share of the run.
    """
    unit = args.steps_per_rollout
    if args.total_episodes is not None:
        args.max_steps = round_up(args.total_episodes, args.batch_size) // args.batch_size * unit
    elif args.max_steps <= 0:
        args.max_steps = max(math.ceil(args.num_train_epochs * (prompts // args.batch_size)), 1) * unit
    args.max_steps = round_up(args.max_steps, unit)
    round_up_steps(args, ("logging_steps", "eval_steps", "save_steps", "ref_model_sync_steps"), unit)


def require_enough_prompts(args: PPOConfig, train: int, held_out: int | None) -> None:
    """
    Args:
        train, held_out: numbers of prompts; None where nothing is held out.

    Raises:
        ConfigError: there are too few for a rollout, for the processes, for an evaluation, or for the KL's horizon.
    """
    require_a_rollout(
        train,
        args.batch_size,
        remedy="lower per_device_train_batch_size, gradient_accumulation_steps or num_mini_batches.",
    )
    if args.target_kl is not None and args.kl_horizon < args.batch_size:
        raise ConfigError(
            f"kl_horizon {args.kl_horizon:,} is shorter than a rollout of {args.batch_size:,}: one correction could "
            "turn the KL coefficient's sign.",
            remedy="give a horizon of several rollouts, such as the default of 10,000.",
        )
    if held_out is None and (args.eval_strategy != IntervalStrategy.NO or args.eval_on_start):
        raise ConfigError(
            "The run is to be evaluated, and there are no held-out prompts.",
            remedy="give eval_dataset_name, or leave eval_strategy and eval_on_start out.",
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


def require_distinct_names(*groups: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: two rewards, or two judges, have one name.
    """
    twice = sorted({name for names in groups for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"Several rewards are called {', '.join(twice)}, and would share a metric.", remedy="name each differently."
        )


def require_known_metric(args: PPOConfig, rewards: Sequence[str], judges: Sequence[str]) -> None:
    """
    Args:
        rewards, judges: their names.

    Raises:
        ConfigError: the metric for the best model is none that an evaluation measures.
    """
    metrics = ["objective/scores", "objective/kl", "response/length", "response/finished"]
    metrics += [f"rewards/{name}/mean" for name in rewards] + [f"judges/{name}/mean" for name in judges]
    wanted = str(args.metric_for_best_model).removeprefix("eval_")
    if args.load_best_model_at_end and wanted not in metrics:
        raise ConfigError(
            f"metric_for_best_model is {args.metric_for_best_model}, which no evaluation measures.",
            remedy=f"choose one of {', '.join(metrics)}.",
        )
