"""The whole loop as a user launches it, on a tiny model: SFT, reward models, PPO, DPO, report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import save_tiny

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "recipes" / "configs" / "film_reviews"
GOOD, BAD = ["great", "gorgeous", "moving", "good", "best"], ["dull", "awful", "thin", "worst", "bad"]
FIGURES = {
    "reward_mean",
    "reward_std",
    "kl_to_sft",
    "judge_mean",
    "gold_reward_mean",
    "length_mean",
    "distinct_2",
    "perplexity_general",
}
# Sizes for a tiny model; everything else is as shipped.
SMALL = {
    "sft": {"max_steps": 4, "per_device_train_batch_size": 4, "save_steps": 2},
    "reward": {"max_steps": 4, "per_device_train_batch_size": 4, "save_steps": 2},
    "gold": {"max_steps": 4, "per_device_train_batch_size": 4, "save_steps": 2},
    "ppo": {"total_episodes": 16, "per_device_train_batch_size": 8, "policy_layers": 2, "value_layers": 1},
    "dpo": {"max_steps": 4, "per_device_train_batch_size": 4, "save_steps": 2},
    "evaluate": {"num_prompts": 16, "max_new_tokens": 8, "num_general_texts": 4},
}


def launch(recipe, config, **options):
    """`accelerate launch` a recipe with a shipped configuration; returns the finished process."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--quiet"]
    command += ["--config_file", str(ROOT / "recipes" / "accelerate" / "cpu.yaml"), str(ROOT / "recipes" / recipe)]
    return subprocess.run(
        [*command, "--config", str(CONFIGS / config), *words],
        capture_output=True,
        text=True,
        cwd=options["output_dir"].parent,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        timeout=600,
    )


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny model, and data in the contract's form."""
    folder = tmp_path_factory.mktemp("loop")
    reviews = [f" A {word} film with a {other} cast" for word in GOOD + BAD for other in GOOD + BAD]
    pairs = [
        {
            "prompt": "Film review:",
            "chosen": f" A {g} film",
            "rejected": f" A {b} film",
            "margin": 0.5,
            "agreement": 0.9,
        }
        for g in GOOD
        for b in BAD
    ]
    return {
        "model": save_tiny(folder / "model"),
        "sft": write(folder / "sft.jsonl", [{"prompt": "Film review:", "completion": text} for text in reviews]),
        "pairs": write(folder / "pairs.jsonl", pairs),
        "prompts": write(folder / "prompts.jsonl", [{"prompt": f"Film review: A {w}"} for w in GOOD + BAD] * 4),
        "text": write(folder / "text.jsonl", [{"text": text.strip()} for text in reviews]),
        "runs": folder / "runs",
    }


@pytest.fixture(scope="module")
def loop(world):
    """Every stage, in the order of the demo; each process must end well."""
    runs, model = world["runs"], world["model"]
    runs.mkdir()
    pairs = {"dataset_name": world["pairs"], "eval_dataset_name": world["pairs"]}
    sft_data = {"dataset_name": world["sft"], "eval_dataset_name": world["sft"]}
    stages = {
        "sft": ("sft.py", {"model_name_or_path": model, **sft_data}),
        "reward": ("reward.py", {"adapter": runs / "sft", **pairs}),
        "gold": ("reward.py", {"model_name_or_path": model, **pairs}),
        "ppo": (
            "ppo.py",
            {"adapter": runs / "sft", "reward_model_path": runs / "reward", "dataset_name": world["prompts"]},
        ),
        "dpo": ("dpo.py", {"adapter": runs / "sft", "dataset_name": world["pairs"]}),
        "evaluate": (
            "evaluate.py",
            {
                "model_name_or_path": model,
                "policies": json.dumps({"base": None, **{name: str(runs / name) for name in ("sft", "ppo", "dpo")}}),
                "reward_model": runs / "reward",
                "gold_reward_model": runs / "gold",
                "preference_dataset": world["pairs"],
                "prompt_dataset": world["prompts"],
                "general_dataset": world["text"],
                "report_dir": runs,
            },
        ),
    }
    for name, (recipe, options) in stages.items():
        done = launch(recipe, f"{name}.yaml", output_dir=runs / name, **(SMALL[name] | options))
        assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
    return runs


def test_the_report_has_every_figure(loop):
    report = json.loads((loop / "report.json").read_text())
    assert {"heldout_accuracy", "ci95", "by_margin"} <= set(report["reward_model"])
    assert set(report["policies"]) == {"base", "sft", "ppo", "dpo"}
    for name, figures in report["policies"].items():
        assert set(figures) >= FIGURES, name
    assert report["policies"]["sft"]["kl_to_sft"] == 0
    page = (loop / "report.html").read_text()
    assert "<svg" in page and "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/", "")


@pytest.mark.parametrize("name", ["sft", "reward", "gold", "ppo", "dpo"])
def test_every_run_directory_is_complete(loop, name):
    run = loop / name
    for file in ("config.yaml", "metrics.jsonl", "README.md", "adapter_model.safetensors", "tokenizer.json"):
        assert (run / file).is_file(), file
    assert list((run / "plots").glob("*.png"))
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["data"] and manifest["summary"]


def test_the_lineage_leads_from_ppo_to_its_parents(loop):
    parents = {
        Path(p["path"]).name: p["run_id"] for p in json.loads((loop / "ppo/manifest.json").read_text())["parents"]
    }
    for name in ("sft", "reward"):
        assert parents[name] == json.loads((loop / name / "manifest.json").read_text())["run_id"]


def test_a_run_repeats_from_its_own_configuration(loop, tmp_path):
    done = launch("ppo.py", str(loop / "ppo" / "config.yaml"), output_dir=tmp_path / "again")
    assert done.returncode == 0, done.stderr
    first, again = (run / "adapter_model.safetensors" for run in (loop / "ppo", tmp_path / "again"))
    assert first.read_bytes() == again.read_bytes()


def test_a_second_launch_into_the_same_directory_is_refused(loop):
    done = launch("ppo.py", str(loop / "ppo" / "config.yaml"), output_dir=loop / "ppo")
    assert done.returncode != 0
    assert "already holds a run" in done.stderr and "Traceback" not in done.stderr
