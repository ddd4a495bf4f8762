"""Python functions as rewards: found by name, and stopped where they go wrong."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf.errors import ConfigError, TrainingError
from rlhf.rewards import FunctionReward, LexiconReward, WeightedSum, load_reward, load_rewards

MODULE = """
def length(prompts, completions, **columns):
    return [len(text) for text in completions]

def bonus(prompts, completions, answer, **columns):
    return [1.0 if text == right else None for text, right in zip(completions, answer)]

CONSTANT = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current directory."""
    (tmp_path / "house_rewards.py").write_text(MODULE)
    (tmp_path / "broken_rewards.py").write_text("import nowhere_to_be_found")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "house_rewards", raising=False)
    return "house_rewards"


@pytest.mark.parametrize("dotted", ["house_rewards:length", "house_rewards.length"])
def test_a_function_is_found_by_its_dotted_name(module: str, dotted: str) -> None:
    reward = load_reward(dotted)
    assert (reward.name, reward(["p", "p"], ["abc", ""])) == (dotted, [3.0, 0.0])


def test_columns_reach_the_function_and_none_is_no_score(module: str) -> None:
    reward = load_reward(f"{module}:bonus")
    assert reward(["p", "p"], ["a", "b"], answer=["a", "x"], other=[1, 2]) == [1.0, None]


@pytest.mark.parametrize(
    ("dotted", "said"),
    [
        ("house_rewards:lenght", "house_rewards has no function of that name"),
        ("house_rewards:CONSTANT", "a int under that name"),
        ("no_such_module:length", "No module named 'no_such_module'"),
        ("broken_rewards:length", "No module named 'nowhere_to_be_found'"),
    ],
)
def test_what_can_t_be_imported_is_named(module: str, dotted: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_reward(dotted)


def test_a_name_without_a_module_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a dotted name"):
        FunctionReward.by_name("length")


def raising(prompts: Any, completions: Any) -> list[float]:
    raise KeyError("answer")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raising, "raised KeyError: 'answer'"),
        (lambda prompts, completions: [1.0], "returned 1 scores for 2 completions"),
        (lambda prompts, completions: 1.0, "returned a float for 2 completions"),
        (lambda prompts, completions: [1.0, float("nan")], "completion 1: nan"),
        (lambda prompts, completions: [float("inf"), 0], "completion 0: inf"),
        (lambda prompts, completions: ["good", 0], "completion 0: 'good'"),
        (lambda texts: [0.0, 0.0], "raised TypeError"),
    ],
)
def test_a_function_that_goes_wrong_stops_the_run(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(TrainingError, match="Remedy") as error:
        FunctionReward(function, "house")(["p", "p"], ["a", "b"])
    assert said in str(error.value)


def test_tensors_are_taken_too() -> None:
    assert FunctionReward(lambda prompts, completions: torch.tensor([1, 2]))(["p", "p"], ["a", "b"]) == [1.0, 2.0]


def test_a_weighted_sum(module: str) -> None:
    reward = load_rewards([f"{module}:length", f"{module}:bonus"], [0.5, 2.0])
    assert reward(["p", "p"], ["abc", "b"], answer=["abc", "x"]) == [3.5, None]
    assert reward.name == "0.5 house_rewards:length + 2 house_rewards:bonus"
    assert load_rewards([f"{module}:length"]).name == "house_rewards:length"
    with pytest.raises(ConfigError, match="1 rewards were given, but 2 weights"):
        WeightedSum([LexiconReward()], [1.0, 2.0])


def test_the_lexicon_likes_praise() -> None:
    reward = load_reward("lexicon")
    good, bad, chat = reward(
        ["", "", ""], [" a wonderful film", " an awful mess", [{"role": "assistant", "content": "great"}]]
    )
    assert good is not None and bad is not None and chat is not None
    assert -1 <= bad < 0 < good <= 1 and chat > 0
