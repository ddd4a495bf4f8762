"""What a script asks for that it can't have, or has in another way."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import IntervalStrategy

from rlhf.errors import ConfigError
from rlhf.trainers.ppo.trl_compat.options import PPOConfig


def require_kinds(args: Any, processing_class: Any) -> None:
    """Refuse options and tokenizers of another kind.

    Raises:
        ConfigError: says which kind is needed.
    """
    if not isinstance(args, PPOConfig):
        raise ConfigError(
            f"args is a {type(args).__module__}.{type(args).__name__}.",
            remedy="make it by rlhf.PPOConfig, which has TRL's options.",
        )
    if not isinstance(processing_class, PreTrainedTokenizerBase):
        raise ConfigError(
            f"processing_class is a {type(processing_class).__name__}, not a tokenizer.",
            remedy="give the policy's tokenizer (of a processor: processor.tokenizer).",
        )
    missing = [name for name in ("eos_token", "pad_token") if getattr(processing_class, name) is None]
    if missing:
        raise ConfigError(
            f"The tokenizer has no {' and no '.join(missing)}.",
            remedy="set it; where no token is to spare, tokenizer.pad_token = tokenizer.eos_token does.",
        )


def remarks(args: PPOConfig, overruled: list[str], model: Any, ref_model: Any, has_eval_dataset: bool) -> Iterator[str]:
    """What the script asks for and doesn't get as it may expect, each with the remedy.

    Args:
        overruled: options that are computed, and had been given another value.
        model: the policy as it was given.
    """
    if overruled:
        yield f"{', '.join(overruled)}: computed from the batch sizes, as in TRL; leave it out"
    if args.max_steps > 0:
        yield f"max_steps={args.max_steps} has no effect, as in TRL; total_episodes says how long to train"
    steps = args.num_mini_batches
    if (before := _steps_of_an_epoch_in_trl(args)) != steps:
        yield (
            f"num_mini_batches={steps} makes {steps} optimizer steps in each epoch, and made {before:g} in TRL, where "
            f"gradient accumulation undid it; set it to {max(1, round(before))} to keep their number"
        )
    if (args.bf16 or args.fp16) and next(model.parameters()).dtype == torch.float32:
        yield "bf16 and fp16 mix no precisions here; load the models with dtype=torch.bfloat16 to save memory and time"
    if args.eval_strategy != IntervalStrategy.NO and not has_eval_dataset:
        yield "eval_strategy is set, and there is no eval_dataset; give one, or nothing is evaluated"
    if not args.ds3_gather_for_generation:
        yield "ds3_gather_for_generation has no effect: DeepSpeed can't be used; leave it out"
    if isinstance(model, PeftModel) and ref_model is None and args.ref_adapter_name is None:
        yield (
            "model has an adapter, and the reference is the model without it, as in TRL; to start at a KL of 0, load "
            "the adapter a second time, frozen, and name that one in ref_adapter_name"
        )


def _steps_of_an_epoch_in_trl(args: PPOConfig) -> float:
    """TRL stepped once in so many micro-batches, wherever a minibatch ended."""
    rollout = args.per_device_train_batch_size * args.gradient_accumulation_steps
    micro_batches = math.ceil(rollout / args.num_mini_batches / args.per_device_train_batch_size)
    return args.num_mini_batches * micro_batches / args.gradient_accumulation_steps
