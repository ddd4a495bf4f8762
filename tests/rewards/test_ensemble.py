"""Several reward models as one: worked by hand."""

import pytest
import torch

from rlhf.errors import ConfigError
from rlhf.rewards import FunctionReward, Reward
from rlhf.rewards.ensemble import Ensemble, Reduction, combine

# Three members, two completions: they agree on the second.
SCORES = torch.tensor([[1.0, 2.0], [2.0, 2.0], [6.0, 2.0]])


@pytest.mark.parametrize(
    ("reduction", "coef", "expected"),
    [
        ("mean", 5.0, [3.0, 2.0]),
        ("min", 5.0, [1.0, 2.0]),
        # the variance of 1, 2, 6 around 3 is (4 + 1 + 9) / 3 = 14/3
        ("uncertainty", 0.3, [3.0 - 0.3 * 14 / 3, 2.0]),
        ("uncertainty", 0.0, [3.0, 2.0]),
    ],
)
def test_a_reduction(reduction: Reduction, coef: float, expected: list[float]) -> None:
    torch.testing.assert_close(combine(SCORES, reduction, coef), torch.tensor(expected))


def test_a_constant_added_to_all_members_is_added_to_the_result() -> None:
    for reduction in ("mean", "min", "uncertainty"):
        torch.testing.assert_close(combine(SCORES + 4, reduction, 0.5), combine(SCORES, reduction, 0.5) + 4)


def member(*scores: float | None) -> Reward:
    return FunctionReward(lambda prompts, completions, **columns: list(scores), "member")


def least(scores: torch.Tensor) -> torch.Tensor:
    return combine(scores, "min")


def test_members_are_asked_in_turn_and_one_that_leaves_out_a_completion_speaks_for_all() -> None:
    members = [member(1.0, None, 2.0), member(3.0, 5.0, 0.0)]
    ensemble = Ensemble(members, lambda scores: combine(scores, "uncertainty", 0.5))
    assert ensemble(["p"] * 3, ["a", "b", "c"]) == [2.0 - 0.5, None, 1.0 - 0.5]


def test_columns_reach_the_members() -> None:
    told = FunctionReward(lambda prompts, completions, topic, **columns: [float(len(word)) for word in topic])
    assert Ensemble([told, member(3.0, 3.0)], least)(["p", "p"], ["a", "b"], topic=["film", "ab"]) == [3.0, 2.0]


def test_nothing_to_score() -> None:
    assert Ensemble([member(), member()], least)([], []) == []
    assert Ensemble([member(None), member(1.0)], least)(["p"], ["a"]) == [None]


def test_one_member_is_no_ensemble() -> None:
    with pytest.raises(ConfigError, match="two or more"):
        Ensemble([member(1.0)], least)
