"""The options: what clashes is said all at once."""

from pathlib import Path

import pytest

from rlhf.config import parse
from rlhf.errors import ConfigError
from rlhf.evaluation.options import EvaluationOptions

GIVEN = {"prompt_dataset": "p.jsonl", "reward_model": "rm", "output_dir": "out"}


def test_all_problems_at_once():
    with pytest.raises(ConfigError) as caught:
        EvaluationOptions(
            policies={"a b": None, "ppo": "x"}, curves={"ppo": ["late"]}, num_prompts=1, temperature=0, **GIVEN
        )
    text = str(caught.value)
    for part in ("'a b' is not a name", "no policy is called 'sft'", "called late", "num_prompts", "temperature"):
        assert part in text


def test_an_evaluation_never_lies_over_what_it_evaluates():
    with pytest.raises(ConfigError, match="runs/demo holds the runs"):
        EvaluationOptions(policies={"sft": "runs/demo/sft"}, **GIVEN | {"output_dir": "runs/demo"})
    EvaluationOptions(policies={"sft": "runs/demo/sft"}, **GIVEN | {"output_dir": "runs/demo/evaluate"})


def test_a_policy_on_no_curve_is_a_curve_of_its_own():
    options = EvaluationOptions(
        policies={"base": None, "sft": "s", "p1": "1", "p2": "2", "dpo": "d"}, curves={"ppo": ["p1", "p2"]}, **GIVEN
    )
    assert options.all_curves == {"ppo": ["p1", "p2"], "dpo": ["dpo"]}


def test_the_shipped_configuration_is_valid():
    from rlhf.models.load import ModelOptions

    file = Path(__file__).parents[2] / "recipes/configs/film_reviews/evaluate.yaml"
    options, model = parse(EvaluationOptions, ModelOptions, argv=["--config", str(file)])
    assert list(options.policies) == ["base", "sft", "ppo", "dpo"]
    assert options.policies["base"] is None
    assert options.num_prompts >= 128
    assert model.model_name_or_path == "assets/model"
