"""What a user can get wrong ends on one screen, with exit code 2, before a model is loaded."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from rlhf.models import load, reward_model
from tests.recipes.conftest import short, write_jsonl

RECIPES = ["sft", "reward", "dpo"]
GOOD = {"sft": {"prompt": "p", "completion": " c"}, "reward": {"prompt": "p", "chosen": " a", "rejected": " b"}}
GOOD["dpo"] = GOOD["reward"]
Fail = Callable[..., str]


@pytest.fixture
def fail(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run a recipe that has to fail, and return what it says."""

    def loads(*args: object, **kwargs: object) -> NoReturn:
        pytest.fail("a model was loaded")

    monkeypatch.setattr(load, "load_base", loads)
    monkeypatch.setattr(reward_model, "load_base", loads)

    def run(recipe: str, rows: list[dict[str, Any]] | None = None, extra: tuple[str, ...] = (), **options: str) -> str:
        file = write_jsonl(tmp_path / "rows.jsonl", [GOOD[recipe]] if rows is None else rows)
        given = {"model_name_or_path": base, "dataset_name": str(file), "output_dir": str(tmp_path / "run")} | options
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        with pytest.raises(SystemExit) as stopped:
            importlib.import_module(f"recipes.{recipe}").main([*words, *short(1), *extra])
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and said.strip().startswith("Error:") and "Remedy:" in said
        assert "Traceback" not in said and len(said.splitlines()) < 30
        return said

    return run


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_unknown_option(fail: Fail, recipe: str) -> None:
    assert "did you mean learning_rate" in fail(recipe, extra=("--learnin_rate", "1e-4"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_typo_in_the_yaml_file(fail: Fail, recipe: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"learning_rate": "fast", "max_lenght": 8}))
    said = fail(recipe, extra=("--config", str(config)))
    assert "config.yaml:2: max_lenght: unknown option; did you mean max_length" in said
    assert "config.yaml:1: learning_rate: expected float" in said


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_missing_file(fail: Fail, recipe: str) -> None:
    assert "There is no file or folder" in fail(recipe, dataset_name="data/nothing_here.jsonl")


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_empty_data_set(fail: Fail, recipe: str) -> None:
    assert "no rows" in fail(recipe, rows=[])


@pytest.mark.parametrize("recipe", ["reward", "dpo"])
def test_rows_without_chosen_or_with_equal_responses(fail: Fail, recipe: str) -> None:
    said = fail(recipe, rows=[{"prompt": "p", "rejected": "b"}, {"prompt": "p", "chosen": "a", "rejected": "a"}])
    assert "2 bad rows" in said and "line 1, field 'chosen': missing" in said and "equal to 'chosen'" in said


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_prompt_longer_than_the_context(fail: Fail, recipe: str) -> None:
    said = fail(recipe, rows=[GOOD[recipe], GOOD[recipe] | {"prompt": "one two " * 300}], max_length="2000")
    assert "1 of 2 prompts are longer than" in said and "rows.jsonl, line 2: 602 tokens" in said


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_folder_that_is_no_model(fail: Fail, recipe: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = fail(recipe, model_name_or_path=str(tmp_path / "empty"))
    assert "is not a model folder" in said and "no config.json" in said
    assert "does not exist" in fail(recipe, adapter=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_options_that_clash(fail: Fail, recipe: str) -> None:
    assert "can't train load_in_4bit weights" in fail(recipe, tuning="full", load_in_4bit="true")
    assert "max_train_samples: expected 1 or more" in fail(recipe, max_train_samples="0")


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_earlier_run_is_not_overwritten(fail: Fail, recipe: str, sft_run: Path) -> None:
    assert "already holds a run" in fail(recipe, output_dir=str(sft_run))
    assert "no whole checkpoint" in fail(recipe, resume_from_checkpoint="true")


def test_no_model_at_all(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
    from recipes.sft import main

    with pytest.raises(SystemExit):
        main(["--dataset_name", str(data / "sft.jsonl"), "--output_dir", str(tmp_path / "run")])
    assert "No model was given" in capsys.readouterr().err
