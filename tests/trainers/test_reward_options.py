"""Where the reward comes from: one model, several, functions, and what doesn't go together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rlhf.config import parse
from rlhf.errors import ConfigError, DataError, ModelError
from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import new_reward_model
from rlhf.rewards import LexiconReward
from rlhf.rewards.ensemble import Ensemble
from rlhf.rewards.model import ModelReward
from rlhf.trainers.reward_options import RewardOptions, further_columns, load_functions, load_rewards
from tests.tiny import save_tiny, tiny_tokenizer


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bases, two reward adapters on the first (`one`, `two`) and one on the other (`stranger`)."""
    folder = tmp_path_factory.mktemp("places")
    for seed, base in enumerate(("base", "other")):
        save_tiny(folder / base, seed=seed)
    for name, base in (("one", "base"), ("two", "base"), ("stranger", "other")):
        model = new_reward_model(ModelOptions(str(folder / base)))
        model.save_pretrained(folder / name)
        tiny_tokenizer().save_pretrained(folder / name)
    return folder


def parsed(*words: str) -> RewardOptions:
    (options,) = parse(RewardOptions, argv=words)
    return options


def test_one_model_or_several_from_the_command_line_and_from_a_file(tmp_path: Path) -> None:
    assert parsed("--reward_model_path", "runs/a").model_paths == ["runs/a"]
    assert parsed("--reward_model_path", "runs/a", "runs/b").model_paths == ["runs/a", "runs/b"]
    for written in ("runs/a", ["runs/a", "runs/b"]):
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump({"reward_model_path": written}))
        assert parsed("--config", str(file)).reward_model_path == written
    assert parsed("--reward_funcs", "lexicon").model_paths == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "No reward is given"),
        ({"reward_model_path": []}, "No reward is given"),
        ({"reward_funcs": ["lexicon"], "reward_weights": [1.0, 2.0]}, "2 reward_weights are given for 1 reward_funcs"),
        ({"reward_model_path": "a", "reward_weights": [1.0]}, "1 reward_weights are given for 0 reward_funcs"),
        ({"reward_funcs": ["lexicon"], "reward_model_weight": 2.0}, "without reward_model_path"),
        ({"reward_model_path": ["a", "b", "a"]}, "names a twice"),
        ({"reward_model_path": "a", "ensemble_reduction": "min"}, "needs several reward models, .* names 1"),
        ({"reward_funcs": ["lexicon"], "ensemble_reduction": "uncertainty"}, "names 0"),
        ({"reward_model_path": ["a", "b"], "ensemble_uncertainty_coef": 0.5}, "for ensemble_reduction uncertainty"),
        (
            {"reward_model_path": ["a", "b"], "ensemble_reduction": "uncertainty", "ensemble_uncertainty_coef": -1.0},
            "would reward disagreement",
        ),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        RewardOptions(**options)
    assert "Remedy" in str(error.value)


def test_the_paths_that_share_the_policy_s_base(places: Path) -> None:
    paths = [str(places / name) for name in ("one", "stranger", "two")]
    options = RewardOptions([*paths, "org/classifier"])
    assert options.shared_paths(ModelOptions(str(places / "base"))) == [paths[0], paths[2]]
    assert options.shared_paths(ModelOptions(str(places / "base"), tuning="full")) == []
    assert options.parents() == [Path(path) for path in paths]
    assert RewardOptions(reward_funcs=["lexicon"]).shared_paths(ModelOptions(str(places / "base"))) == []


def test_rewards_come_with_their_weights(places: Path) -> None:
    options = RewardOptions(
        str(places / "one"), reward_model_weight=0.5, reward_funcs=["lexicon"], reward_weights=[2.0]
    )
    (model, lexicon), weights = load_rewards(options)
    assert isinstance(model, ModelReward) and isinstance(lexicon, LexiconReward) and weights == [0.5, 2.0]
    assert model.name == "reward_model"
    (alone,), weights = load_functions(options)
    assert alone.name == "lexicon" and weights == [2.0]
    assert options.names() == [str(places / "one"), "lexicon"]


def test_an_ensemble_scores_as_its_members_do(places: Path) -> None:
    paths = [str(places / "one"), str(places / "stranger")]
    (ensemble,), weights = load_rewards(RewardOptions(paths, ensemble_reduction="min", reward_model_weight=3.0))
    assert isinstance(ensemble, Ensemble) and weights == [3.0]
    texts = {"prompts": ["Film review:"] * 2, "completions": [" great", " an awful mess"]}
    alone = [load_rewards(RewardOptions(path))[0][0](**texts) for path in paths]
    assert ensemble(**texts) == [min(pair) for pair in zip(*alone, strict=True)]
    with pytest.raises(ModelError, match="does not exist"):
        load_rewards(RewardOptions([paths[0], str(places / "nowhere")]))


@pytest.mark.parametrize(
    ("coefficient", "reduction", "warns"),
    [(None, "min", True), (None, "mean", False), (0.01, "min", False), ("no run", "uncertainty", False)],
)
def test_members_without_a_common_zero_are_named(
    places: Path, capsys: pytest.CaptureFixture[str], coefficient: object, reduction: Any, warns: bool
) -> None:
    config = places / "one" / "config.yaml"
    config.unlink(missing_ok=True)
    if coefficient != "no run":
        config.write_text(yaml.safe_dump({"center_rewards_coefficient": coefficient}))
    load_rewards(RewardOptions([str(places / "one"), str(places / "two")], ensemble_reduction=reduction))
    assert ("one was trained without a common zero" in capsys.readouterr().out) == warns


def test_columns_beyond_the_prompt() -> None:
    assert further_columns([{"prompt": "p", "topic": "a"}, {"prompt": "q", "answer": "b"}]) == ("answer", "topic")


def test_columns_that_the_trainer_tells_itself_are_refused():
    assert further_columns([{"prompt": "a", "topic": "b"}]) == ("topic",)
    with pytest.raises(DataError, match="completions"):
        further_columns([{"prompt": "a", "completions": "gold"}])
