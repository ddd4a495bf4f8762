"""recipes/dpo.py: its reference is the SFT adapter, so that it starts at ln 2 with a margin of 0."""

import math
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file

from recipes.dpo import main
from rlhf.runs import read_metrics
from tests.recipes.conftest import manifest, short


def run(sft_run: Path, data: Path, folder: Path, **options: object) -> list[dict[str, float]]:
    files = ["--adapter", str(sft_run), "--dataset_name", str(data / "preference.jsonl"), "--output_dir", str(folder)]
    main([*files, *short(3, learning_rate=1e-2, **options)])
    return [row for row in read_metrics(folder) if "loss" in row]


def test_the_first_loss_is_ln_2_and_the_margin_grows_from_0(sft_run: Path, data: Path, tmp_path: Path) -> None:
    logs = run(sft_run, data, tmp_path)
    assert logs[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and logs[0]["rewards/margins"] == 0
    assert logs[-1]["rewards/margins"] > 0 and logs[-1]["loss"] < logs[0]["loss"]


def test_only_the_policy_is_saved_beside_its_origin(sft_run: Path, data: Path, tmp_path: Path) -> None:
    before = (sft_run / "adapter_model.safetensors").read_bytes()
    run(sft_run, data, tmp_path)
    assert not (tmp_path / "ref").exists() and (sft_run / "adapter_model.safetensors").read_bytes() == before
    weights, start = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path, sft_run))
    assert weights.keys() == start.keys() and any(not torch.equal(weights[name], start[name]) for name in weights)
    assert AutoPeftModelForCausalLM.from_pretrained(tmp_path).peft_config.keys() == {"default"}
    assert manifest(tmp_path)["parents"][0]["run_id"] == manifest(sft_run)["run_id"]


def test_the_loss_type_is_an_option(sft_run: Path, data: Path, tmp_path: Path) -> None:
    # IPO's loss at a log-ratio of 0 is (1 / (2 beta))^2
    logs = run(sft_run, data, tmp_path, loss_type="ipo", beta=0.5)
    assert logs[0]["loss"] == pytest.approx(1.0, abs=1e-5)


def test_it_goes_on_with_the_same_reference(sft_run: Path, data: Path, tmp_path: Path) -> None:
    run(sft_run, data, tmp_path / "whole")
    run(sft_run, data, tmp_path / "resumed", save_steps=2)
    (tmp_path / "resumed" / "checkpoint-3").rename(tmp_path / "aside")
    resumed = run(sft_run, data, tmp_path / "resumed", save_steps=2, resume_from_checkpoint="true")
    whole = [row for row in read_metrics(tmp_path / "whole") if "loss" in row]
    assert resumed[-1]["loss"] == pytest.approx(whole[-1]["loss"], abs=1e-5)
