"""Masked means and the estimators of the KL, worked by hand. For advantages see tests/invariants."""

import pytest
import torch

from rlhf.trainers.ppo.advantages import kl_per_token, masked_mean

MASK = torch.tensor([[True, True, True], [True, True, False]])


def test_masked_mean_ignores_what_is_outside_the_mask():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    assert masked_mean(values, MASK) == 3.0


def test_kl_estimators_by_hand():
    logprobs, reference = torch.tensor([[-1.0]]), torch.tensor([[-1.5]])
    assert kl_per_token(logprobs, reference, "k1").item() == 0.5
    assert kl_per_token(logprobs, reference, "k3").item() == pytest.approx(2.718281828**-0.5 - 1 + 0.5)
