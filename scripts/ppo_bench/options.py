"""The command line of scripts/bench_ppo.py."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ppo_bench.workload import OURS, THIRD, TRL, Workload
from rlhf.errors import ConfigError

WORKLOAD_HELP = {
    "batch_size": "responses in a rollout",
    "micro_batch_size": "sequences in each forward and backward pass",
    "rollout_batch_size": "responses sampled at a time, and sequences in each pass without gradients",
    "prompt_tokens": "tokens of every prompt",
    "response_length": "tokens of every response",
    "num_ppo_epochs": "epochs over each rollout",
    "learning_rate": "of policy and value",
    "kl_coef": "weight of the KL penalty",
    "lora_r": "rank of the adapters",
    "seed": "of weights, prompts' order and samples",
}
LEAST = {"top_layers": 1, "rounds": 1, "warmup": 0, "steps": 1, "episodes": 1, "curve_points": 1, "num_prompts": 2}


def parse(description: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, with `variants` (the sides) added.

    Raises:
        ConfigError: a number is out of range.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    _add_modes(parser)
    _add_common(parser)
    _add_speed(parser.add_argument_group("speed and memory"))
    _add_equal_kl(parser.add_argument_group("--equal_kl"))
    options = parser.parse_args(argv)
    options.variants = [OURS, THIRD] if options.ours_only else [OURS, THIRD, TRL]
    problems = [
        f"--{name} is {getattr(options, name)}; it must be at least {least}"
        for name, least in LEAST.items()
        if getattr(options, name) is not None and getattr(options, name) < least
    ]
    if problems:
        raise ConfigError("Some options are out of range.", problems=problems, remedy="correct them.")
    return options


def workload_of(options: argparse.Namespace) -> Workload:
    """The workload that the options describe (`ConfigError` where it can't be measured)."""
    given = {field.name: getattr(options, field.name) for field in fields(Workload) if field.name in WORKLOAD_HELP}
    return Workload(**given, dtype=options.dtype)


def _add_modes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--natural_eos", action="store_true", help="measure also responses that EOS may end")
    parser.add_argument(
        "--best", type=int, nargs="+", default=[], metavar="SIZE", help="also each side at the fastest micro-batch"
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--scaling", action="store_true", help="instead: longer responses, and larger batches")
    modes.add_argument("--equal_kl", action="store_true", help="instead: the reward at equal KL on the film reviews")


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ours_only", action="store_true", help="leave TRL out")
    add("--json", type=Path, metavar="FILE", help="write the figures here, a section for each mode")
    add("--dataset_name", default="assets/film_reviews/prompts_train.jsonl", help="prompts (default: %(default)s)")
    add(
        "--dtype",
        choices=("auto", "bfloat16", "float32"),
        default="auto",
        help="precision of every model; auto: bfloat16 where the device computes in it natively, else float32",
    )
    add("--bench_dir", type=Path, default=Path("assets/bench"), help="TRL 1.12.0 is kept here (default: %(default)s)")


def _add_speed(group: Any) -> None:
    add = group.add_argument
    add("--model_name_or_path", default="assets/model", help="the base model (default: %(default)s)")
    add("--rounds", type=int, default=3, help="times that each side has its turn (default: %(default)s)")
    add("--warmup", type=int, default=1, help="rollouts of each turn that don't count (default: %(default)s)")
    add("--steps", type=int, default=3, help="rollouts of each turn that count (default: %(default)s)")
    sizes = {"type": int, "nargs": "+", "metavar": "SIZE"}
    add("--lengths", **sizes, default=[32, 128, 256], help="responses' tokens in --scaling (default: 32 128 256)")
    add("--batches", **sizes, default=[16, 32, 64], help="responses in a rollout in --scaling (default: 16 32 64)")
    for field in fields(Workload):
        if field.name in WORKLOAD_HELP:
            text = f"{WORKLOAD_HELP[field.name]} (default: %(default)s)"
            add(f"--{field.name}", type=type(field.default), default=field.default, help=text)


def _add_equal_kl(group: Any) -> None:
    add = group.add_argument
    add("--sft", type=Path, default=Path("runs/demo/sft"), help="run of recipes/sft.py (default: %(default)s)")
    add("--reward", type=Path, default=Path("runs/demo/reward"), help="of recipes/reward.py (default: %(default)s)")
    add(
        "--gold",
        type=Path,
        default=Path("runs/demo/gold"),
        help="an independent reward model, used where it is there (default: %(default)s)",
    )
    add(
        "--eval_dataset_name",
        default="assets/film_reviews/prompts_test.jsonl",
        help="held-out prompts (default: %(default)s)",
    )
    add("--num_prompts", type=int, default=512, help="held-out prompts that are answered (default: %(default)s)")
    add(
        "--seeds", type=int, nargs="+", default=[0], metavar="SEED", help="every side is trained with each (default: 0)"
    )
    add("--episodes", type=int, default=1024, help="responses that each side trains on (default: %(default)s)")
    add("--curve_points", type=int, default=4, help="policies on each curve (default: %(default)s)")
    add("--top_layers", type=int, metavar="N", help="layers that the shallower of our sides trains (default: a third)")
    add("--ours_options", type=_options, default={}, metavar="JSON", help="of our PPO, such as '{\"kl_coef\": 0.1}'")
    add("--third_options", type=_options, default={}, metavar="JSON", help="of our PPO on the top layers, beyond those")
    add("--trl_options", type=_options, default={}, metavar="JSON", help="of TRL's PPO")
    add("--output_dir", type=Path, default=Path("runs/equal_kl"), help="the runs (default: %(default)s)")


def _options(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return value
