"""Counting units that are alike once changes no figure."""

import numpy as np
import pytest

from rlhf.stats import intervals
from rlhf.stats.tallies import alike, mean_of_few_values


@pytest.mark.parametrize("highest", [4, 2**40])
def test_alike_rows_are_numpys_unique_rows(highest: int) -> None:
    # Rows of large counts have no room in one number, and are sorted as rows.
    table = np.random.default_rng(0).integers(0, 3, (500, 4)).astype(float)
    table[7, 2] = highest
    rows, times, which = alike(table)
    expected_rows, expected_which, expected_times = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(times, expected_times)
    np.testing.assert_array_equal(which, expected_which.reshape(-1))
    np.testing.assert_array_equal(rows[which], table)


def test_no_rows_at_all() -> None:
    rows, times, which = alike(np.zeros((0, 4)))
    assert (rows.shape, times.shape, which.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize("size", [12, 400])
def test_a_mean_has_the_interval_of_a_bootstrap_that_draws_unit_by_unit(size: int) -> None:
    # Skewed, so that the limits are not the plain quantiles: BCa's correction matters.
    values = np.random.default_rng(1).choice([0, 1 / 3, 2 / 3, 1], size, p=[0.04, 0.06, 0.1, 0.8])
    found = mean_of_few_values(values, seed=0, resamples=40_000)
    expected = intervals.mean(values, seed=1, resamples=40_000)
    assert found.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert found.limits == pytest.approx(expected.limits, abs=0.004)
    plain = np.quantile(np.random.default_rng(2).choice(values, (40_000, size)).mean(axis=1), [0.025, 0.975])
    if size == 12:
        assert np.abs(plain - expected.limits).max() > 0.01


def test_a_constant_and_a_single_unit() -> None:
    assert mean_of_few_values([0.5, 0.5, 0.5], seed=0) == intervals.Interval(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least 2 units"):
        mean_of_few_values([1.0], seed=0)
