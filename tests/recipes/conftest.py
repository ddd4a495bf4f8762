"""A tiny model, tiny data, and a finished SFT run, made once for all recipes' tests."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import save_tiny

LABEL = "b069fd44-f3fe-52a2-a6a7-f85a854d746c"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `sft.jsonl` and `preference.jsonl`, 12 rows each."""
    folder = tmp_path_factory.mktemp("data")
    words = ["great", "gorgeous", "funny", "moving", "good", "best"]
    completions = [{"prompt": "Film review:", "completion": f" a {words[i % 6]} film {i}"} for i in range(12)]
    pairs = [
        {
            "prompt": "Film review:",
            "chosen": f" a {words[i % 6]} film",
            "rejected": " an awful, dull film",
            "margin": 0.5,
            "agreement": 0.9,
            "label_ids": [LABEL],
        }
        for i in range(12)
    ]
    write_jsonl(folder / "sft.jsonl", completions)
    write_jsonl(folder / "preference.jsonl", pairs)
    return folder


@pytest.fixture(scope="session")
def sft_run(base: str, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of recipes/sft.py, at a learning rate that changes what the model says."""
    from recipes.sft import main

    folder = tmp_path_factory.mktemp("runs") / "sft"
    files = ["--model_name_or_path", base, "--dataset_name", str(data / "sft.jsonl"), "--output_dir", str(folder)]
    main([*files, "--eval_dataset_name", str(data / "sft.jsonl"), *short(4, learning_rate=1e-2, save_steps=2)])
    return folder


@pytest.fixture(scope="session")
def reward_adapter(data: Path, sft_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of recipes/reward.py on the SFT run, which shares the base with it."""
    from recipes.reward import main

    folder = tmp_path_factory.mktemp("rewards") / "reward"
    files = ["--adapter", str(sft_run), "--dataset_name", str(data / "preference.jsonl"), "--output_dir", str(folder)]
    main([*files, *short(2, save_strategy="no")])
    return folder


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with warnings.catch_warnings():
        yield


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def short(steps: int, **options: object) -> list[str]:
    """The arguments of a run of so many steps of 4 rows, logged at each."""
    defaults = {"max_steps": steps, "per_device_train_batch_size": 4, "logging_steps": 1, "seed": 0}
    return [word for name, value in (defaults | options).items() for word in (f"--{name}", str(value))]


def manifest(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    return content
