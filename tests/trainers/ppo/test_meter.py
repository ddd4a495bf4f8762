"""Means over processes that have not all seen the same."""

import torch

from rlhf.trainers.ppo import meter as meters
from rlhf.trainers.ppo.meter import Meter


def test_a_figure_that_only_another_process_has_is_asked_for_all_the_same(monkeypatch):
    mine = Meter()
    mine.add("loss", torch.tensor([1.0, 3.0]))
    monkeypatch.setattr(meters, "gather_object", lambda names: [*names, "loss/ptx"])
    others = torch.tensor([[6.0, 2.0], [5.0, 1.0]])  # sums and counts of loss and loss/ptx
    assert mine.means(lambda own: own + others) == {"loss": 10.0 / 4, "loss/ptx": 5.0}


def test_a_mask_leaves_values_out():
    meter = Meter()
    meter.add("loss", torch.tensor([1.0, 99.0]), torch.tensor([True, False]))
    meter.add("loss", torch.tensor([3.0]))
    assert meter.means(lambda total: total) == {"loss": 2.0}
    assert meter.means(lambda total: total) == {}
