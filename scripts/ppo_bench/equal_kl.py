"""The reward that each side reaches at equal KL, on the film-review task (docs/film_reviews.md).

Each side trains from the demo's SFT adapter against its reward model, with settings that served it well there, and
leaves its policy every few rollouts; recipes/evaluate.py measures all of them on the same held-out prompts. In ours
policy and value train all layers, in the top third no more than a third, or than `--top_layers`. A stage that is
complete is not run again.

TRL 1.12.0 takes whole models: the SFT adapter folded into the base is its model, the reward adapter folded likewise
its reward and its value model, and `peft_config` adds a fresh adapter. What it saves is relative to that folded base,
so each of its policies is evaluated as a whole model folder. It scores a response without EOS as it stands; ours
scores one as if it ended there.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from ppo_bench import equal_kl_stages as stages
from ppo_bench import machine, release, report
from ppo_bench.stages import run_stages
from ppo_bench.workload import TRL
from rlhf.data import load_rows
from rlhf.errors import ConfigError, TrainingError
from rlhf.models.folders import is_adapter_folder, locate, read_json


@dataclass(frozen=True)
class EqualKl:
    """What is trained from what, for how long, and on what it is measured.

    Attributes:
        sft, reward: runs of recipes/sft.py and recipes/reward.py on the same base.
        gold: a reward model that nothing is trained against; left out where there is none.
        variants: the sides.
        episodes: responses that each side trains on.
        points: policies on each curve.
        top_layers: how many layers policy and value train in the shallower of our sides; a third where None.
        trl_folder: where TRL 1.12.0 lies; needed for that side only.
        ours_options, third_options, trl_options: PPO's options that differ from the ones of `equal_kl_stages`; those of
            ours count for the top third too.
    """

    sft: Path
    reward: Path
    gold: Path
    prompts: str
    eval_prompts: str
    output_dir: Path
    variants: Sequence[str]
    seeds: Sequence[int]
    episodes: int
    points: int
    num_prompts: int
    dtype: str
    top_layers: int | None = None
    trl_folder: Path | None = None
    ours_options: Mapping[str, Any] = field(default_factory=dict)
    third_options: Mapping[str, Any] = field(default_factory=dict)
    trl_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return locate(None, str(self.sft)).base

    def settings(self) -> dict[str, Any]:
        """What was asked for, as JSON holds it."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]


def check(sft: Path, reward: Path, prompts: str) -> None:
    """Say at once what is missing.

    Raises:
        ConfigError: the demo's runs aren't there, or the prompts are fewer than a rollout.
        DataError: there are no prompts.
    """
    missing = [f"no run in {path}" for path in (sft, reward) if not is_adapter_folder(path)]
    if missing:
        raise ConfigError(
            "--equal_kl starts from the demo's SFT and reward models, and they aren't there.",
            problems=missing,
            remedy="run `bash scripts/demo.sh` first, or name other runs by --sft and --reward.",
        )
    found = len(load_rows(prompts, "prompts"))
    if found < stages.LARGEST_ROLLOUT:
        raise ConfigError(
            f"{prompts} has {found} prompts; a rollout takes up to {stages.LARGEST_ROLLOUT}.",
            remedy="name more prompts by --dataset_name.",
        )


def run(options: argparse.Namespace, console: Console) -> None:
    """Train every side with every seed, evaluate all, and read the curves.

    Raises:
        RlhfError: something that is needed is missing, or a stage failed.
    """
    check(options.sft, options.reward, options.dataset_name)
    found = machine.ask_torch(options.dtype)
    plan = EqualKl(
        sft=options.sft,
        reward=options.reward,
        gold=options.gold,
        prompts=options.dataset_name,
        eval_prompts=options.eval_dataset_name,
        output_dir=options.output_dir,
        variants=options.variants,
        seeds=options.seeds,
        episodes=options.episodes,
        points=options.curve_points,
        num_prompts=options.num_prompts,
        dtype=found["dtype"],
        top_layers=options.top_layers,
        trl_folder=release.install(options.bench_dir) if TRL in options.variants else None,
        ours_options=options.ours_options,
        third_options=options.third_options,
        trl_options=options.trl_options,
    )
    plan.output_dir.mkdir(parents=True, exist_ok=True)
    finished = run_stages(stages.all_stages(plan), plan.output_dir / "stages.json")
    reports = {seed: read_json(stages.evaluation_dir(plan, seed) / "report.json") for seed in plan.seeds}
    content = collect(reports, plan.variants) | {"complete": True, "stages": finished}
    section = report.section(machine.describe(found["threads"], found["gpu"]), plan.settings(), **content)
    report.write(options.json, "equal_kl", section)
    console.print(report.equal_kl_table(section))


def collect(reports: Mapping[int, Mapping[str, Any]], variants: Sequence[str]) -> dict[str, Any]:
    """Gains by side and KL over the seeds.

    Args:
        reports: report.json of recipes/evaluate.py by seed; a side's curve is called `<side>-<seed>`.
        variants: the sides.

    Returns:
        For each side at each KL the gain by seed with its interval, and the mean: None where a seed doesn't get there.

    Raises:
        TrainingError: the reward doesn't vary, so that no gain is defined.
    """
    flat = [str(seed) for seed, report in reports.items() if not report["equal_kl"]]
    if flat:
        raise TrainingError(
            f"SFT's responses all have the same reward (seed {', '.join(flat)}), so that there is no gain to read.",
            remedy="use a reward model that was trained.",
        )
    curves = {
        name: {seed: report["equal_kl"][f"{name}-{seed}"] for seed, report in reports.items()} for name in variants
    }
    first = next(iter(next(iter(curves.values())).values()))
    return {
        "kl_targets": [one["kl"] for one in first["at"]],
        "variants": {name: _over_seeds(by_seed) for name, by_seed in curves.items()},
    }


def _over_seeds(by_seed: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    seeds = list(by_seed)
    at = []
    for number, one in enumerate(by_seed[seeds[0]]["at"]):
        read = {str(seed): by_seed[seed]["at"][number] for seed in seeds}
        gains = {seed: entry["gain"] for seed, entry in read.items()}
        reached = [gain for gain in gains.values() if gain is not None]
        at.append(
            {
                "kl": one["kl"],
                "mean": fmean(reached) if len(reached) == len(seeds) else None,
                "by_seed": gains,
                "ci95_by_seed": {seed: entry["ci95"] for seed, entry in read.items()},
            }
        )
    points = {str(seed): curve["points"] for seed, curve in by_seed.items()}
    return {"at": at, "kl_reached": fmean(max(p["kl"] for p in curve) for curve in points.values()), "points": points}
