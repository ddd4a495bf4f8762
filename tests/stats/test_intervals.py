"""Intervals against published and hand-worked values, and their coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from rlhf.stats import intervals


def test_wilson_agrees_with_scipy_and_with_the_formula_by_hand():
    found = intervals.wilson(81, 263)
    expected = stats.binomtest(81, 263).proportion_ci(method="wilson")
    assert found.limits == pytest.approx([expected.low, expected.high], abs=1e-12)
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662
    assert [round(limit, 4) for limit in found.limits] == [0.2553, 0.3662]


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (20, 20)])
def test_wilson_stays_inside_the_unit_interval(successes, trials):
    found = intervals.wilson(successes, trials)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high


def test_wilson_refuses_impossible_counts():
    with pytest.raises(ValueError, match="successes"):
        intervals.wilson(3, 2)


def test_bootstrap_mean_is_near_the_t_interval_and_repeats_by_seed():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = intervals.mean(values, seed=1)
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert found.limits == pytest.approx(expected, abs=0.03)
    assert intervals.mean(values, seed=1) == found
    assert intervals.mean(values, seed=2) != found


def test_pairing_takes_out_what_the_units_share():
    rng = np.random.default_rng(0)
    prompts = rng.normal(0, 10, 300)
    first, second = prompts + 1 + rng.normal(0, 0.5, 300), prompts + rng.normal(0, 0.5, 300)
    found = intervals.paired_difference(first, second, seed=0)
    assert found.low < 1 < found.high
    assert found.high - found.low < 0.3


def test_constant_values_have_a_point_for_an_interval():
    assert intervals.mean([2.0, 2.0, 2.0], seed=0).limits == [2.0, 2.0]


def test_a_statistic_that_never_varies_has_a_point_for_an_interval():
    texts = np.array([1.0, 2.0, 5.0])

    def ratio(first, second, axis):
        return first.sum(axis=axis) / second.sum(axis=axis)

    found = intervals.bootstrap((2 * texts, texts), ratio, seed=0)
    assert found.limits == pytest.approx([2.0, 2.0])


def test_one_unit_has_no_interval():
    with pytest.raises(ValueError, match="at least 2"):
        intervals.mean([1.0], seed=0)


def test_jackknife_of_a_mean_has_the_textbook_standard_error():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    leave_one_out = (values.sum() - values) / 3
    found = intervals.jackknife(4.0, leave_one_out)
    assert found.high - found.estimate == pytest.approx(1.959964 * stats.sem(values), abs=1e-6)


def test_dyadic_variance_by_hand():
    # residuals 0.5, 0.5, -0.5, -0.5; pairs 0 and 1 share item 1, pairs 1 and 2 share item 2, pair 3 stands
    # alone: squares 4 * 0.25, couples 2 * 0.25 (0 with 1) and 2 * -0.25 (1 with 2) -> 1.0 / 16
    items = np.array([[0, 1], [1, 2], [2, 3], [4, 5]])
    values = np.array([1.0, 1.0, 0.0, 0.0])
    assert intervals.dyadic_variance(values, items) == pytest.approx(1 / 16)


def test_dyadic_variance_counts_a_repeated_pair_as_one_cluster():
    # The same pair twice, both right, and twice another, both wrong: (1 + 1) ** 2 / 4 + … = 4 * 0.25 * 2 / 16
    items = np.array([[0, 1], [1, 0], [2, 3], [2, 3]])
    assert intervals.dyadic_variance(np.array([1.0, 1.0, 0.0, 0.0]), items) == pytest.approx(2 / 16)


def test_pairs_without_common_items_get_wilsons_interval():
    scores = np.array([1.0] * 30 + [0.0] * 10)
    items = np.arange(80).reshape(40, 2)
    assert intervals.share_of_pairs(scores, items).limits == pytest.approx(intervals.wilson(30, 40).limits)


def test_shared_items_widen_the_interval_to_the_right_coverage():
    """Items with an error of their own, many pairs each: only the dyadic interval is wide enough."""
    rng = np.random.default_rng(0)
    covered = {"dyadic": 0, "independent": 0}
    for _ in range(200):
        items = rng.integers(0, 200, (800, 2))
        items = items[items[:, 0] != items[:, 1]]
        error = rng.normal(0, 1, 200)
        scores = (error[items].sum(axis=1) + rng.normal(0, 1, len(items)) < 1.0).astype(float)
        truth = stats.norm.cdf(1.0 / np.sqrt(3))
        for name, found in {
            "dyadic": intervals.share_of_pairs(scores, items),
            "independent": intervals.wilson(scores.sum(), len(scores)),
        }.items():
            covered[name] += found.low <= truth <= found.high
    assert covered["dyadic"] >= 180
    assert covered["independent"] < 150


def test_spearman_interval():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, 500)
    second = first + rng.normal(0, 1, 500)
    found = intervals.spearman(first, second)
    assert found.estimate == pytest.approx(stats.spearmanr(first, second).statistic)
    assert found.low < 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2) < found.high
    assert intervals.spearman(first, np.zeros(500)) is None
