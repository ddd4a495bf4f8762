"""Advantages, worked by hand and against a sum written out."""

import pytest
import torch

from rlhf.trainers.ppo.advantages import gae, kl_per_token, masked_mean, token_rewards, whiten

MASK = torch.tensor([[True, True, True], [True, True, False]])


def test_masked_mean_ignores_what_is_outside_the_mask():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    assert masked_mean(values, MASK) == 3.0


def test_whitened_values_have_mean_0_and_variance_1_under_the_mask():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    # mean 3, variance (4 + 1 + 0 + 1 + 4) / 5 = 2
    expected = torch.tensor([[-2.0, -1.0, 0.0], [1.0, 2.0, 0.0]]) / 2**0.5
    torch.testing.assert_close(whiten(values, MASK), expected)


def test_whitening_without_shift_keeps_the_mean():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    assert masked_mean(whiten(values, MASK, shift_mean=False), MASK) == pytest.approx(3.0)


def test_whitening_is_the_same_for_any_number_of_processes():
    torch.manual_seed(0)
    values, mask = torch.randn(4, 5), torch.rand(4, 5) > 0.3
    whole = whiten(values, mask)
    others = {0: (values[2:], mask[2:]), 1: (values[:2], mask[:2])}

    def sums_of_both(rank):
        other_values, other_mask = others[rank]
        calls = iter([False, True])

        def reduce(own):
            if not next(calls):
                return own + torch.stack([(other_values * other_mask).sum(), other_mask.sum().float()])
            mean = (values * mask).sum() / mask.sum()
            return own + torch.stack([((other_values - mean) ** 2 * other_mask).sum(), other_mask.sum().float()])

        return reduce

    parts = [
        whiten(values[:2], mask[:2], sum_over_processes=sums_of_both(0)),
        whiten(values[2:], mask[2:], sum_over_processes=sums_of_both(1)),
    ]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_kl_estimators_by_hand():
    logprobs, reference = torch.tensor([[-1.0]]), torch.tensor([[-1.5]])
    assert kl_per_token(logprobs, reference, "k1").item() == 0.5
    assert kl_per_token(logprobs, reference, "k3").item() == pytest.approx(2.718281828**-0.5 - 1 + 0.5)


def test_the_score_lands_on_the_last_real_token_and_kl_is_paid_everywhere():
    kl = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 77.0]])
    rewards, penalties = token_rewards(torch.tensor([10.0, 20.0]), kl, MASK, kl_coef=2.0)
    torch.testing.assert_close(rewards, torch.tensor([[-0.2, -0.4, 9.4], [-0.8, 19.0, 0.0]]))
    torch.testing.assert_close(penalties, torch.tensor([[-0.2, -0.4, -0.6], [-0.8, -1.0, 0.0]]))


def test_gae_by_hand():
    rewards = torch.tensor([[1.0, 0.0, 2.0]])
    values = torch.tensor([[0.5, 1.0, 1.5, 9.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    # gamma 0.5, lambda 0.5, the sequence ends after the third token:
    #   delta_2 = 2 - 1.5 = 0.5                         A_2 = 0.5
    #   delta_1 = 0 + 0.5 * 1.5 - 1 = -0.25             A_1 = -0.25 + 0.25 * 0.5 = -0.125
    #   delta_0 = 1 + 0.5 * 1.0 - 0.5 = 1               A_0 = 1 + 0.25 * -0.125 = 0.96875
    advantages, returns = gae(rewards, values, mask, gamma=0.5, lam=0.5, bootstrap=torch.tensor([False]))
    torch.testing.assert_close(advantages, torch.tensor([[0.96875, -0.125, 0.5]]))
    torch.testing.assert_close(returns, torch.tensor([[1.46875, 0.875, 2.0]]))


def test_a_cut_sequence_bootstraps_the_value_after_its_last_token_and_an_ended_one_does_not():
    rewards, values = torch.zeros(2, 2), torch.tensor([[0.0, 0.0, 8.0], [0.0, 0.0, 8.0]])
    mask = torch.ones(2, 2, dtype=torch.bool)
    advantages, _ = gae(rewards, values, mask, gamma=1.0, lam=1.0, bootstrap=torch.tensor([True, False]))
    torch.testing.assert_close(advantages, torch.tensor([[8.0, 8.0], [0.0, 0.0]]))


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_gae_equals_the_sum_written_out(lam):
    torch.manual_seed(1)
    lengths, gamma = [5, 3, 1], 0.9
    mask = torch.tensor([[t < n for t in range(5)] for n in lengths])
    rewards, values = torch.randn(3, 5) * mask, torch.randn(3, 6)
    advantages, returns = gae(rewards, values, mask, gamma=gamma, lam=lam, bootstrap=torch.tensor([True, False, False]))
    for row, n in enumerate(lengths):
        after_last = values[row, n] if row == 0 else torch.tensor(0.0)
        following = [*values[row, 1:n], after_last]
        delta = [rewards[row, t] + gamma * following[t] - values[row, t] for t in range(n)]
        for t in range(n):
            expected = sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, n))
            torch.testing.assert_close(advantages[row, t], expected, rtol=1e-5, atol=1e-5)
    assert (advantages[~mask] == 0).all() and (returns[~mask] == 0).all()


def test_lambda_1_gives_returns_minus_values():
    rewards, values = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.3, 0.4, 0.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    advantages, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0, bootstrap=torch.tensor([False]))
    torch.testing.assert_close(returns, torch.tensor([[3.0, 2.0]]))
    torch.testing.assert_close(advantages, returns - values[:, :-1])
