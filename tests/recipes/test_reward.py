"""recipes/reward.py: from the SFT adapter to a reward model whose head is proven."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from recipes.reward import main
from rlhf.rewards import load_reward
from rlhf.runs import read_metrics
from tests.recipes.conftest import LABEL, manifest, short


@pytest.fixture(scope="module")
def reward_run(sft_run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "reward"
    pairs = str(data / "preference.jsonl")
    files = ["--adapter", str(sft_run), "--dataset_name", pairs, "--output_dir", str(folder)]
    main([*files, "--eval_dataset_name", pairs, *short(8, learning_rate=1e-2)])
    return folder


def test_it_learns_and_the_saved_model_says_so(reward_run: Path) -> None:
    losses = [row["loss"] for row in read_metrics(reward_run) if "loss" in row]
    assert losses[-1] < losses[0]
    good, bad = load_reward(str(reward_run))(["Film review:"] * 2, [" a great film", " an awful, dull film"])
    assert good is not None and bad is not None and good > bad


def test_the_run_names_its_labels_and_its_parent(reward_run: Path, sft_run: Path) -> None:
    record = manifest(reward_run)
    assert record["label_ids"] == [LABEL]
    assert record["parents"][0]["run_id"] == manifest(sft_run)["run_id"]
    assert record["summary"]["eval_accuracy"] == 1.0


def test_the_head_is_in_the_adapter_file(reward_run: Path) -> None:
    weights = load_file(reward_run / "adapter_model.safetensors")
    assert weights["base_model.model.score.weight"].shape == (1, 32)


@pytest.mark.parametrize("tuning", ["full", "qlora"])
def test_every_tuning_is_proven_by_a_reload(
    base: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tuning: str
) -> None:
    pairs = str(data / "preference.jsonl")
    files = ["--model_name_or_path", base, "--dataset_name", pairs, "--output_dir", str(tmp_path)]
    main([*files, *short(2, tuning=tuning)])
    assert "proven by a reload" in capsys.readouterr().out
