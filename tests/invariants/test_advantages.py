"""Invariants 5, 6 and 14: advantages, whitening and the adaptive KL coefficient, worked by hand."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rlhf.trainers.ppo.advantages import gae, masked_mean, whiten
from rlhf.trainers.ppo.kl_control import KLController
from tests.invariants.made import FORMS, rows_of, trainer_of

# --- 5. Generalized advantage estimation -----------------------------------------------------------------------------

ENDED, CUT = torch.tensor([False]), torch.tensor([True])


def test_gae_equals_a_case_worked_by_hand():
    rewards = torch.tensor([[1.0, 0.0, 2.0]])
    values = torch.tensor([[0.5, 1.0, 1.5, 9.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    # gamma 0.5, lambda 0.5, the sequence ends after the third token:
    #   delta_2 = 2 - 1.5 = 0.5                         A_2 = 0.5
    #   delta_1 = 0 + 0.5 * 1.5 - 1 = -0.25             A_1 = -0.25 + 0.25 * 0.5 = -0.125
    #   delta_0 = 1 + 0.5 * 1.0 - 0.5 = 1               A_0 = 1 + 0.25 * -0.125 = 0.96875
    advantages, returns = gae(rewards, values, mask, gamma=0.5, lam=0.5, bootstrap=ENDED)
    torch.testing.assert_close(advantages, torch.tensor([[0.96875, -0.125, 0.5]]))
    torch.testing.assert_close(returns, torch.tensor([[1.46875, 0.875, 2.0]]))


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_gae_equals_the_double_sum_written_out(lam):
    torch.manual_seed(1)
    lengths, gamma = [5, 3, 1, 0], 0.9
    mask = torch.tensor([[t < n for t in range(5)] for n in lengths])
    rewards, values = torch.randn(4, 5) * mask, torch.randn(4, 6)
    cut = torch.tensor([True, False, True, False])
    advantages, returns = gae(rewards, values, mask, gamma=gamma, lam=lam, bootstrap=cut)
    for row, n in enumerate(lengths):
        following = [*values[row, 1:n], values[row, n] if cut[row] else torch.tensor(0.0)]
        delta = [rewards[row, t] + gamma * following[t] - values[row, t] for t in range(n)]
        for t in range(n):
            expected = sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, n))
            torch.testing.assert_close(advantages[row, t], expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(returns[row, t], expected + values[row, t], rtol=1e-5, atol=1e-6)
    assert (advantages[~mask] == 0).all() and (returns[~mask] == 0).all()


def test_lambda_1_gives_the_discounted_returns_minus_the_values():
    rewards, values = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.3, 0.4, 0.6, 9.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    advantages, returns = gae(rewards, values, mask, gamma=0.5, lam=1.0, bootstrap=ENDED)
    # 1 + 0.5 * (2 + 0.5 * 4) = 3;  2 + 0.5 * 4 = 4;  4
    torch.testing.assert_close(returns, torch.tensor([[3.0, 4.0, 4.0]]))
    torch.testing.assert_close(advantages, torch.tensor([[2.7, 3.6, 3.4]]))


def test_truncation_bootstraps_the_value_after_the_last_token_and_termination_does_not():
    rewards, values = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0, 8.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    for bootstrap, expected in ((CUT, [[1 + 0.25 * 8, 0.5 * 8]]), (ENDED, [[1.0, 0.0]])):
        advantages, _ = gae(rewards, values, mask, gamma=0.5, lam=1.0, bootstrap=bootstrap)
        torch.testing.assert_close(advantages, torch.tensor(expected))
    # A shorter row is bootstrapped where it was cut, not at the width of the batch.
    short = torch.tensor([[True, False]])
    advantages, _ = gae(rewards, torch.tensor([[0.0, 6.0, 8.0]]), short, gamma=0.5, lam=1.0, bootstrap=CUT)
    torch.testing.assert_close(advantages, torch.tensor([[1 + 0.5 * 6, 0.0]]))


@pytest.mark.parametrize("roles", FORMS)
def test_in_a_rollout_only_what_was_cut_off_is_bootstrapped_where_that_is_asked_for(tmp_path, roles):
    options = {"gamma": 1.0, "lam": 1.0, "kl_coef": 0.0, "whiten_advantages": False}
    trainer = trainer_of(tmp_path, roles(), bootstrap_truncated=True, **options)
    trainer.roles.value_head.shift(torch.tensor(3.0))
    trainer._rollouts_made = 1  # the values stay at 3
    answers = trainer._answer(rows_of(trainer), seed=1, numbers=range(8))
    for number, one in enumerate(answers):
        one.finished = number % 2 == 0
    trainer._answer = lambda rows, seed, numbers: answers
    rollout = trainer.roll_out(rows_of(trainer))
    scores = torch.tensor(trainer.scorer.rewards[0](**texts_of(trainer, answers)))
    for row, one in enumerate(answers):
        expected = scores[row] if one.finished else torch.tensor(3.0)
        torch.testing.assert_close(rollout.returns[row, : len(one.response_ids)].unique(), expected[None])


def texts_of(trainer, answers):
    texts = [trainer._tokenizer.decode(one.response_ids, skip_special_tokens=True) for one in answers]
    return {"prompts": [row["prompt"] for row in rows_of(trainer)], "completions": texts}


# --- 6. Whitening ----------------------------------------------------------------------------------------------------


def in_processes(count: int, work: Callable[[int, Callable[[torch.Tensor], torch.Tensor]], torch.Tensor]) -> Sequence:
    """What `work(rank, sum_over_processes)` gives on each of so many ranks, which wait for each other at every sum."""
    barrier, parts = threading.Barrier(count), {}

    def on(rank: int) -> torch.Tensor:
        def sum_over_processes(own: torch.Tensor) -> torch.Tensor:
            parts[rank] = own
            barrier.wait()
            total = torch.stack([parts[other] for other in range(count)]).sum(0)
            barrier.wait()
            return total

        return work(rank, sum_over_processes)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(on, range(count)))


def test_whitened_values_have_masked_mean_0_and_variance_1():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    # mean 3, variance (4 + 1 + 0 + 1 + 4) / 5 = 2
    expected = torch.tensor([[-2.0, -1.0, 0.0], [1.0, 2.0, 0.0]]) / 2**0.5
    torch.testing.assert_close(whiten(values, mask), expected)


@pytest.mark.parametrize("shift_mean", [True, False])
@pytest.mark.parametrize("rows", [[8], [5, 3], [1, 2, 3, 2]])
def test_whitening_is_the_same_for_any_number_of_processes(rows, shift_mean):
    torch.manual_seed(0)
    values, mask = 3 + 2 * torch.randn(8, 5), torch.rand(8, 5) > 0.3
    mask[0] = False  # of four processes the first has nothing to count
    whole = whiten(values, mask, shift_mean=shift_mean)
    expected_mean = 0.0 if shift_mean else masked_mean(values, mask).item()
    assert masked_mean(whole, mask).item() == pytest.approx(expected_mean, abs=1e-5)
    assert whole[mask].var(correction=0).item() == pytest.approx(1.0, rel=1e-5)
    parts = list(zip(values.split(rows), mask.split(rows), strict=True))
    whitened = in_processes(
        len(rows), lambda rank, reduce: whiten(*parts[rank], shift_mean=shift_mean, sum_over_processes=reduce)
    )
    torch.testing.assert_close(torch.cat(whitened), whole, atol=1e-6, rtol=1e-5)


def test_whitening_of_rewards_keeps_their_mean():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    expected = torch.tensor([[-2.0, -1.0, 0.0], [1.0, 2.0, 0.0]]) / 2**0.5 + 3
    torch.testing.assert_close(whiten(values, mask, shift_mean=False), expected * mask)


@pytest.mark.parametrize("roles", FORMS)
def test_a_rollout_whitens_its_advantages_and_keeps_the_mean_of_its_rewards(tmp_path, roles):
    # With gamma 0 a return is the reward of its own token.
    trainer = trainer_of(tmp_path, roles(), gamma=0.0, whiten_rewards=True)
    rewards = trainer.roll_out(rows_of(trainer))
    plain = trainer_of(tmp_path, roles(), gamma=0.0).roll_out(rows_of(trainer))
    mask = rewards.sequences.response_mask
    assert masked_mean(rewards.advantages, mask).item() == pytest.approx(0.0, abs=1e-5)
    assert rewards.advantages[mask].var(correction=0).item() == pytest.approx(1.0, rel=1e-4)
    assert rewards.returns[mask].var(correction=0).item() == pytest.approx(1.0, rel=1e-4)
    assert plain.returns[mask].var(correction=0).item() != pytest.approx(1.0, rel=0.1)
    assert rewards.returns[mask].mean().item() == pytest.approx(plain.returns[mask].mean().item(), rel=1e-4)


# --- 14. The adaptive KL coefficient of Ziegler et al. (arXiv 1909.08593, section 2.2) -------------------------------


@pytest.mark.parametrize(("kl", "error"), [(12.0, 0.2), (6.6, 0.1), (6.0, 0.0), (5.4, -0.1), (1.0, -0.2)])
def test_the_coefficient_moves_by_the_relative_error_held_within_a_fifth(kl, error):
    controller = KLController(0.1, target=6.0, horizon=10_000)
    controller.update(kl=kl, episodes=64)
    assert controller.coefficient == pytest.approx(0.1 * (1 + error * 64 / 10_000), rel=1e-12)


def test_without_a_target_it_stays():
    controller = KLController(0.05)
    controller.update(kl=100.0, episodes=64)
    assert controller.coefficient == 0.05


@pytest.mark.parametrize("roles", FORMS)
def test_a_rollout_is_penalized_at_the_coefficient_that_it_found_and_leaves_the_next_one(tmp_path, roles):
    trainer = trainer_of(tmp_path, roles(), kl_coef=0.1, target_kl=2.0, kl_horizon=100, gamma=0.0)
    trainer.roll_out(rows_of(trainer))
    # The first KL is 0, its relative error -1, held at -0.2: 0.1 * (1 - 0.2 * 8 / 100)
    assert trainer.kl_controller.coefficient == pytest.approx(0.0984, rel=1e-9)
    with torch.no_grad():
        for parameter in trainer.roles.role_parameters()["policy"]:
            parameter.add_(0.05 * torch.randn_like(parameter))
    trainer.meter._sums.clear()
    trainer.roll_out(rows_of(trainer))
    figures = trainer.meter.means(lambda total: total)
    assert figures["objective/non_score_reward"] == pytest.approx(-0.0984 * figures["objective/kl"], rel=1e-5)
    error = min(max(figures["objective/kl"] / 2.0 - 1, -0.2), 0.2)
    assert trainer.kl_controller.coefficient == pytest.approx(0.0984 * (1 + error * 8 / 100), rel=1e-6)
