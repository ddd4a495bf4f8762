"""Scores on a common scale: running statistics, clipping, and what a resume finds again."""

import pytest
import torch

from rlhf.trainers.ppo.score_shaping import ScoreShaper


def test_running_statistics_equal_those_of_all_scores_so_far():
    torch.manual_seed(0)
    batches = [torch.randn(n) * 3 + 5 for n in (4, 1, 7)]
    shaper = ScoreShaper(scaling=True)
    for batch in batches:
        shaper(batch)
    seen = torch.cat(batches)
    assert shaper.mean == pytest.approx(seen.mean().item(), rel=1e-5)
    assert shaper.deviation == pytest.approx(seen.std().item(), rel=1e-5)


def test_scaling_norm_and_clipping_by_hand():
    scores = torch.tensor([1.0, 3.0])  # mean 2, deviation sqrt(2)
    root = 2**0.5
    torch.testing.assert_close(ScoreShaper(scaling=True)(scores), torch.tensor([1 / root, 3 / root]))
    torch.testing.assert_close(ScoreShaper(scaling=True, norm=True)(scores), torch.tensor([-1 / root, 1 / root]))
    shaped = ScoreShaper(scaling=True, norm=True, clip=0.5)(scores)
    torch.testing.assert_close(shaped, torch.tensor([-0.5, 0.5]))
    torch.testing.assert_close(ScoreShaper(clip=2.5)(scores), torch.tensor([1.0, 2.5]))


def test_without_options_scores_stay_as_they_are():
    scores = torch.tensor([1.0, -7.0])
    assert torch.equal(ScoreShaper()(scores), scores)


def test_equal_scores_are_not_divided_by_zero():
    assert ScoreShaper(scaling=True, norm=True)(torch.tensor([4.0, 4.0])).tolist() == [0.0, 0.0]


def test_the_statistics_are_those_of_all_processes():
    torch.manual_seed(1)
    whole = torch.randn(6)
    mine, others = whole[:2], whole[2:]
    totals = iter([torch.tensor([4.0, others.sum()]).double(), ((others - whole.mean()).double() ** 2).sum()])
    shaper = ScoreShaper(scaling=True)
    shaper(mine, lambda own: own + next(totals))
    assert shaper.deviation == pytest.approx(whole.std().item(), rel=1e-5)


def test_a_resume_takes_up_the_statistics():
    shaper, again = ScoreShaper(scaling=True, norm=True), ScoreShaper(scaling=True, norm=True)
    shaper(torch.tensor([1.0, 2.0, 9.0]))
    again.load_state(shaper.state())
    assert torch.equal(shaper(torch.tensor([3.0])), again(torch.tensor([3.0])))
