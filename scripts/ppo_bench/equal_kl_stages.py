"""The programs of an equal-KL measurement, in their order."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ppo_bench.processes import ROOT, command
from ppo_bench.stages import Stage
from ppo_bench.workload import OURS, THIRD, TRL, VARIANTS, Workload
from rlhf.data import load_rows
from rlhf.errors import ConfigError
from rlhf.runs import write_atomic

if TYPE_CHECKING:
    from ppo_bench.equal_kl import EqualKl

CONFIGS = ROOT / "recipes" / "configs" / "film_reviews"
# On top of recipes/configs/film_reviews/ppo.yaml: policy and value train all layers. The top third takes larger steps.
OURS_OPTIONS: Mapping[str, Any] = {"policy_layers": None, "value_layers": None, "value_learning_rate": 5e-4}
THIRD_OPTIONS: Mapping[str, Any] = {"learning_rate": 6e-4, "value_learning_rate": 1e-3}
# On top of the workload below, which has TRL's defaults where it says nothing.
TRL_OPTIONS: Mapping[str, Any] = {"learning_rate": 2e-4, "missing_eos_penalty": 1.0}
TRL_WORKLOAD = Workload(natural_eos=True)
LARGEST_ROLLOUT = 64
REFERENCE = "sft"
ADAPTER = "adapter_model.safetensors"


def all_stages(plan: "EqualKl") -> list[Stage]:
    """Whole models for TRL, then for each seed every side and an evaluation of all."""
    with_trl = TRL in plan.variants
    stages = [whole_models(plan)] if with_trl else []
    for seed in plan.seeds:
        stages += [our_training(plan, name, seed) for name in plan.variants if name != TRL]
        stages += [trl_training(plan, seed), trl_policies(plan, seed)] if with_trl else []
        stages.append(evaluation(plan, seed))
    return stages


def run_dir(plan: "EqualKl", variant: str, seed: int) -> Path:
    return plan.output_dir / f"{variant}-{seed}"


def evaluation_dir(plan: "EqualKl", seed: int) -> Path:
    return plan.output_dir / f"evaluate-{seed}"


def whole_dir(plan: "EqualKl", what: str) -> Path:
    """The folder of whole models."""
    return plan.output_dir / "whole" / what


def words(options: Mapping[str, Any]) -> list[str]:
    """Options as a recipe's command line takes them."""
    return [
        word
        for name, value in options.items()
        for word in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
    ]


def checkpoints(rollouts: int, points: int, steps_per_rollout: int = 1) -> list[int]:
    """The steps at which a policy is kept: `points` of them, evenly spaced, each at the end of a rollout.

    Raises:
        ConfigError: there are fewer rollouts than points.
    """
    if points < 1 or rollouts < points:
        raise ConfigError(
            f"A curve of {points} points can't be had from {rollouts} rollouts.",
            remedy="raise --episodes, or lower --curve_points.",
        )
    every = rollouts // points
    return [every * steps_per_rollout * number for number in range(1, points + 1)]


# Ours


def changed_options(plan: "EqualKl", variant: str) -> dict[str, Any]:
    """What differs from the shipped options of the task."""
    third = dict(THIRD_OPTIONS) | dict(plan.third_options) if variant == THIRD else {}
    return dict(OURS_OPTIONS) | dict(plan.ours_options) | third


def our_options(plan: "EqualKl", variant: str = OURS) -> dict[str, Any]:
    """The shipped options of the task with what differs here."""
    shipped = dict(yaml.safe_load((CONFIGS / "ppo.yaml").read_text(encoding="utf-8")))
    return shipped | changed_options(plan, variant)


def depths(plan: "EqualKl", variant: str) -> dict[str, int]:
    """How many layers each role trains: all unless the options say less; in the shallower side at most its share."""
    from transformers import AutoConfig  # takes seconds to import

    layers = AutoConfig.from_pretrained(plan.base).get_text_config().num_hidden_layers
    most = (plan.top_layers or max(layers // 3, 1)) if variant == THIRD else layers
    options = our_options(plan, variant)
    return {name: min(options.get(name) or layers, most) for name in ("policy_layers", "value_layers")}


def our_checkpoints(plan: "EqualKl", variant: str) -> list[int]:
    options = our_options(plan, variant)
    minibatches = options.get("num_mini_batches", 1)
    batch = options["per_device_train_batch_size"] * options.get("gradient_accumulation_steps", 1) * minibatches
    return checkpoints(-(-plan.episodes // batch), plan.points, options.get("num_ppo_epochs", 4) * minibatches)


def our_training(plan: "EqualKl", variant: str, seed: int) -> Stage:
    steps = our_checkpoints(plan, variant)
    output = run_dir(plan, variant, seed)
    options = {
        "adapter": str(plan.sft),
        "reward_model_path": str(plan.reward),
        "dataset_name": plan.prompts,
        "dtype": plan.dtype,
        **depths(plan, variant),
        "total_episodes": plan.episodes,
        "save_steps": steps[0],
        "save_total_limit": plan.points + 1,  # the last step is saved too
        "seed": seed,
        "output_dir": str(output),
    }
    recipe, config = ROOT / "recipes" / "ppo.py", CONFIGS / "ppo.yaml"
    program = [sys.executable, str(recipe), "--config", str(config)]
    program += words(changed_options(plan, variant) | options)
    shallower = f"top {plan.top_layers} layers" if plan.top_layers else VARIANTS[variant]
    title = f"{shallower if variant == THIRD else VARIANTS[variant]}, seed {seed}"
    minutes = 8 if variant == THIRD else 12
    inputs = [recipe, config, plan.sft / ADAPTER, plan.reward / ADAPTER]
    return Stage(f"{variant}-{seed}", title, minutes, program, inputs, output)


# TRL's


def trl_checkpoints(plan: "EqualKl") -> list[int]:
    return checkpoints(-(-plan.episodes // TRL_WORKLOAD.batch_size), plan.points)


def whole_models(plan: "EqualKl") -> Stage:
    """The SFT and the reward adapter, each folded into the base."""
    output = whole_dir(plan, "given")
    program = command("merge", str(plan.sft), str(output / "sft"), str(plan.reward), str(output / "reward"))
    inputs = [plan.sft / ADAPTER, plan.reward / ADAPTER]
    return Stage("whole-models", "Whole models for TRL", 1, program, inputs, output)


def trl_training(plan: "EqualKl", seed: int) -> Stage:
    options = our_options(plan)
    workload = replace(
        TRL_WORKLOAD,
        response_length=options["response_length"],
        kl_coef=options["kl_coef"],
        dtype=plan.dtype,
        seed=seed,
    )
    steps, output = trl_checkpoints(plan), run_dir(plan, TRL, seed)
    prompts = plan.output_dir / "prompts.json"
    rows = [{"prompt": row["prompt"]} for row in load_rows(plan.prompts, "prompts")]
    write_atomic(prompts, json.dumps(rows))
    spec = {
        "model": str(whole_dir(plan, "given") / "sft"),
        "reward": str(whole_dir(plan, "given") / "reward"),
        "prompts": str(prompts),
        "workload": workload.as_json(),
        "options": dict(TRL_OPTIONS) | dict(plan.trl_options) | {"disable_tqdm": False},
        "warmup": 0,
        "steps": steps[-1],
        "save_every": steps[0],
        "output_dir": str(output),
    }
    place = plan.output_dir / f"{TRL}-{seed}.json"
    write_atomic(place, json.dumps(spec, indent=2) + "\n")
    program = command("trl_ppo", str(place), str(output / "result.json"))
    inputs = [place, prompts, plan.sft / ADAPTER, plan.reward / ADAPTER]
    ahead = [plan.trl_folder] if plan.trl_folder else []
    return Stage(f"{TRL}-{seed}", f"{VARIANTS[TRL]}, seed {seed}", 20, program, inputs, output, ahead)


def trl_policies(plan: "EqualKl", seed: int) -> Stage:
    """TRL's policies as whole models, as their adapters are relative to a folded base."""
    source, output = run_dir(plan, TRL, seed), whole_dir(plan, f"{TRL}-{seed}")
    names = [f"checkpoint-{step}" for step in trl_checkpoints(plan)]
    program = command("merge", *(str(place / name) for name in names for place in (source, output)))
    inputs = [source / name / ADAPTER for name in names]
    return Stage(f"{TRL}-{seed}-whole", f"TRL's policies as whole models, seed {seed}", 1, program, inputs, output)


# The evaluation


def policies(plan: "EqualKl", seed: int) -> dict[str, dict[str, Path]]:
    """For each side the policies on its curve, by the names that the evaluation gives them."""
    found = {}
    for variant in plan.variants:
        folder = whole_dir(plan, f"{TRL}-{seed}") if variant == TRL else run_dir(plan, variant, seed)
        steps = trl_checkpoints(plan) if variant == TRL else our_checkpoints(plan, variant)
        found[f"{variant}-{seed}"] = {f"{variant}-{seed}-{step}": folder / f"checkpoint-{step}" for step in steps}
    return found


def evaluation(plan: "EqualKl", seed: int) -> Stage:
    curves = policies(plan, seed)
    places = {name: str(place) for curve in curves.values() for name, place in curve.items()}
    output = evaluation_dir(plan, seed)
    options = {
        "model_name_or_path": plan.base,
        "dtype": plan.dtype,
        "policies": {REFERENCE: str(plan.sft)} | places,
        "curves": {name: list(curve) for name, curve in curves.items()},
        "reference": REFERENCE,
        "reward_model": str(plan.reward),
        "gold_reward_model": str(plan.gold) if plan.gold.is_dir() else None,
        "preference_dataset": None,
        "general_dataset": None,
        "prompt_dataset": plan.eval_prompts,
        "num_prompts": plan.num_prompts,
        "output_dir": str(output),
        "report_dir": str(output),
        "stages": None,
    }
    recipe, config = ROOT / "recipes" / "evaluate.py", CONFIGS / "evaluate.yaml"
    program = [sys.executable, str(recipe), "--config", str(config), *words(options)]
    weights = [
        Path(place) / (ADAPTER if name[: len(TRL)] != TRL else "model.safetensors") for name, place in places.items()
    ]
    inputs = [recipe, config, plan.sft / ADAPTER, plan.reward / ADAPTER, *weights]
    return Stage(f"evaluate-{seed}", f"Evaluation, seed {seed}", 10, program, inputs, output)
