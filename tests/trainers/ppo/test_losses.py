"""The clipped losses, worked by hand."""

import pytest
import torch

from rlhf.trainers.ppo.losses import policy_loss, value_loss


def test_policy_loss_by_hand():
    old = torch.zeros(1, 4)
    new = torch.tensor([[1.5, 1.5, 0.5, 0.5]]).log()
    advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    result = policy_loss(new, old, advantages, cliprange=0.2)
    # A gain is taken up to a ratio of 1.2, a loss is not cut off; and the reverse below 0.8.
    torch.testing.assert_close(result.loss, torch.tensor([[-1.2, 1.5, -0.5, 0.8]]))
    assert result.clipped.tolist() == [[True, False, False, True]]
    torch.testing.assert_close(result.ratio, torch.tensor([[1.5, 1.5, 0.5, 0.5]]))


def test_at_ratio_1_nothing_is_clipped_and_the_gradient_is_minus_the_advantage():
    logprobs = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    result = policy_loss(logprobs, logprobs.detach(), torch.tensor([[3.0, -4.0]]), cliprange=0.2)
    result.loss.sum().backward()
    assert logprobs.grad.tolist() == [[-3.0, 4.0]]
    assert not result.clipped.any()


def test_value_loss_by_hand():
    # From 0 towards a return of 1: at 0.5 the clipped value 0.2 has the larger error, 0.5 * 0.8^2.
    result = value_loss(torch.tensor([[0.5]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]), cliprange_value=0.2)
    assert result.loss.item() == pytest.approx(0.32)
    assert result.clipped.item()
