"""What PPO's options may be, and which of them don't go together."""

import os
from collections.abc import Iterator
from typing import Any

from transformers import SchedulerType
from transformers.trainer_utils import SaveStrategy

from rlhf.errors import ConfigError
from rlhf.trainers.ranges import Ranges, out_of_range

# What `accelerate launch` tells its processes.
SHARDING_VARIABLES = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
PRECISION_VARIABLE = "ACCELERATE_MIXED_PRECISION"

RANGES: Ranges = (
    ("learning_rate", "0 or more", lambda x: x >= 0),
    ("value_learning_rate", "0 or more", lambda x: x >= 0),
    ("per_device_train_batch_size", "at least 1", lambda x: x >= 1),
    ("per_device_eval_batch_size", "at least 1", lambda x: x >= 1),
    ("gradient_accumulation_steps", "at least 1", lambda x: x >= 1),
    ("num_ppo_epochs", "at least 1", lambda x: x >= 1),
    ("num_mini_batches", "at least 1", lambda x: x >= 1),
    ("local_rollout_forward_batch_size", "at least 1", lambda x: x >= 1),
    ("generation_batch_size", "at least 1", lambda x: x >= 1),
    ("response_length", "at least 1", lambda x: x >= 1),
    ("total_episodes", "at least 1", lambda x: x >= 1),
    ("temperature", "above 0 (at 0 there is nothing to explore)", lambda x: x > 0),
    ("kl_coef", "0 or more", lambda x: x >= 0),
    ("target_kl", "above 0", lambda x: x > 0),
    ("kl_horizon", "at least 1", lambda x: x >= 1),
    ("cliprange", "above 0", lambda x: x > 0),
    ("cliprange_value", "above 0", lambda x: x > 0),
    ("vf_coef", "0 or more", lambda x: x >= 0),
    ("score_clip", "above 0", lambda x: x > 0),
    ("value_warmup_rollouts", "0 or more", lambda x: x >= 0),
    ("ref_model_mixup_alpha", "above 0 and at most 1", lambda x: 0 < x <= 1),
    ("ref_model_sync_steps", "at least 1", lambda x: x >= 1),
    ("ptx_coef", "0 or more", lambda x: x >= 0),
    ("ptx_batch_size", "at least 1", lambda x: x >= 1),
    ("kl_budget", "above 0 (the policy begins at a KL of 0, and has to be allowed to move)", lambda x: x > 0),
    ("num_completions_to_log", "at least 1", lambda x: x >= 1),
    ("gamma", "from 0 to 1", lambda x: 0 <= x <= 1),
    ("lam", "from 0 to 1", lambda x: 0 <= x <= 1),
)


def refuse_sharding(args: Any) -> None:
    """
    Raises:
        ConfigError: FSDP or DeepSpeed is asked for, by an option or by the launcher.
    """
    by_launcher = any(os.environ.get(name, "false").lower() in ("true", "1") for name in SHARDING_VARIABLES)
    if args.fsdp or args.deepspeed or by_launcher:
        raise ConfigError(
            "FSDP and DeepSpeed can't be used in PPO: they would take apart the base that its roles share.",
            remedy="launch with recipes/accelerate/multi_gpu.yaml; --tuning qlora is for large bases.",
        )


def problems_of(args: Any) -> Iterator[str]:
    """Each option of a `PPOConfig` that is out of range, unsupported, or clashes with another."""
    yield from out_of_range(args, RANGES)
    yield from _unsupported(args)
    yield from _clashes(args)


def _unsupported(args: Any) -> Iterator[str]:
    for name, neutral in (("top_p", 1.0), ("top_k", 0)):
        if getattr(args, name) not in (None, neutral):
            yield (
                f"{name} is {getattr(args, name)}: it cuts the distribution off, and ratios of what is left are not "
                "those of the policy; leave it out, and lower temperature if samples are too wild"
            )
    if args.fp16 or args.bf16 or os.environ.get(PRECISION_VARIABLE, "no").lower() not in ("no", ""):
        yield (
            "mixed precision (fp16, bf16, or the launcher's mixed_precision) would train another policy than the one "
            "that is sampled; PPO computes in the model's own precision (--dtype bfloat16)"
        )
    if args.activation_checkpointing:
        yield "activation_checkpointing can't be used; lower per_device_train_batch_size instead"
    if args.neftune_noise_alpha is not None:
        yield "neftune_noise_alpha adds noise to the embeddings, and the ratio to the rollout's policy would not be 1"
    if args.lr_scheduler_type == SchedulerType.REDUCE_ON_PLATEAU:
        yield "lr_scheduler_type reduce_lr_on_plateau can't be used; choose one that follows the steps"
    if args.n_gpu > 1:
        yield (
            f"one process sees {args.n_gpu} GPUs; launch one for each by `accelerate launch --config_file "
            "recipes/accelerate/multi_gpu.yaml`, or show it one by CUDA_VISIBLE_DEVICES"
        )


def _clashes(args: Any) -> Iterator[str]:
    if args.total_episodes is not None and args.max_steps > 0:
        yield "total_episodes and max_steps both say how long to train; give one of them"
    if args.stop_token is None and args.stop_token_id is None:
        for name in ("missing_eos_penalty", "bootstrap_truncated"):
            if getattr(args, name):
                yield f"{name} needs a stop token, and stop_token is null"
    if args.use_score_norm and not args.use_score_scaling:
        yield "use_score_norm shifts scores before they are scaled; it needs use_score_scaling"
    if args.kl_budget is not None and args.target_kl is not None and args.target_kl >= args.kl_budget:
        yield f"target_kl {args.target_kl} steers towards a KL that kl_budget {args.kl_budget} doesn't allow"
    if args.kl_budget is not None and args.sync_ref_model:
        yield "kl_budget counts the KL to a fixed reference, and sync_ref_model moves it"
    if args.save_strategy == SaveStrategy.BEST and args.metric_for_best_model is None:
        yield "save_strategy best needs metric_for_best_model, such as eval_objective/scores"
