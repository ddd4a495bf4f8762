"""Coefficients of agreement against published values, other libraries, and real ratings."""

import math
from itertools import permutations

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from rlhf.stats import agreement
from rlhf.stats.agreement import value_counts
from tests.film_ratings import drawn_comparisons, fetched

# Fleiss (1971): 14 raters, 10 subjects, 5 categories, in the form in which it is widely reprinted; kappa 0.210.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
NAN = math.nan
# Krippendorff (2011), "Computing Krippendorff's alpha-reliability": 4 observers, 12 units, with gaps.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T


def test_fleiss_kappa_as_published() -> None:
    found = agreement.fleiss_kappa(FLEISS)
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.items == 10 and found.warning == "only 10 items were judged by two or more: this may change a lot"
    assert found.interval is not None and found.interval.low < 0.21 < found.interval.high


def test_fleiss_kappa_with_varying_numbers_by_hand() -> None:
    # Agreement of the items: 1, 1/3 (of 3 pairs one is equal), 1; the item with one rating is left out. Observed 7/9.
    # Shares of the first value: 1, 2/3, 0, so 5/9 over items, and 4/9 of the other: expected (25 + 16) / 81.
    counts = [[2, 0], [2, 1], [0, 4], [1, 0]]
    expected = (7 / 9 - 41 / 81) / (1 - 41 / 81)
    assert agreement.fleiss_kappa(counts).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_fleiss_kappa_is_one_less_the_distances_of_pairs_of_ratings(weights: agreement.Weights) -> None:
    rng = np.random.default_rng(0)
    items = [rng.integers(0, 5, rng.integers(2, 6)).tolist() for _ in range(30)]
    counts = [[given.count(value) for value in range(5)] for given in items]

    def distance(one: int, other: int) -> float:
        apart = abs(one - other)
        return {None: float(apart > 0), "linear": apart / 4, "quadratic": (apart / 4) ** 2}[weights]

    within = [np.mean([distance(a, b) for a, b in permutations(given, 2)]) for given in items]
    shares = np.mean([[given.count(value) / len(given) for value in range(5)] for given in items], axis=0)
    between = sum(shares[a] * shares[b] * distance(a, b) for a in range(5) for b in range(5))
    found = agreement.fleiss_kappa(counts, weights)
    assert found.value == pytest.approx(1 - np.mean(within) / between, abs=1e-12)


def test_raw_agreement_by_hand() -> None:
    # Equal pairs 1 + 1 + 6 of 1 + 3 + 6.
    assert agreement.raw_agreement([[2, 0], [2, 1], [0, 4], [1, 0]]).value == pytest.approx(0.8)


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_alpha_as_published(level: agreement.Level, published: float) -> None:
    values = [1, 2, 3, 4, 5]
    found = agreement.krippendorff_alpha(value_counts(KRIPPENDORFF, values), values, level)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.items == 11  # the twelfth unit has one rating


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_our_alpha_of_a_resample_is_the_librarys(level: agreement.Level) -> None:
    values = np.array([-3.0, -2, -1, 0, 1, 2, 3])
    rng = np.random.default_rng(0)
    counts = rng.multinomial(4, [0.1, 0.2, 0.05, 0.1, 0.15, 0.3, 0.1], size=40).astype(float)
    times = rng.integers(0, 4, 40).astype(float)
    repeated = np.repeat(counts, times.astype(int), axis=0).astype(int)
    expected = krippendorff.alpha(value_counts=repeated, value_domain=values, level_of_measurement=level)
    assert float(agreement._alpha(counts, times, values, level)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohens_kappa_is_scikit_learns(weights: agreement.Weights) -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(-3, 4, 200).astype(float)
    second = np.clip(first + rng.integers(-1, 2, 200), -3, 3)
    gaps = np.where(rng.random(200) < 0.1, NAN, second)
    there = np.isfinite(gaps)
    found = agreement.cohen_kappa(first, gaps, range(-3, 4), weights)
    assert found.value == pytest.approx(
        cohen_kappa_score(first[there], gaps[there], weights=weights, labels=list(range(-3, 4))), abs=1e-12
    )
    assert found.items == there.sum() and found.warning is None


def test_several_weights_share_their_resamples() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 4, (2, 90))
    together = agreement.cohen_kappas(first, second, range(4), [None, "linear", "quadratic"], seed=1)
    assert together == [
        agreement.cohen_kappa(first, second, range(4), one, seed=1) for one in (None, "linear", "quadratic")
    ]


def test_cohens_kappa_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, expected 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa 0.4.
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert agreement.cohen_kappa(first, second, [0, 1]).value == pytest.approx(0.4, abs=1e-12)


def test_the_interval_is_that_of_a_bootstrap_over_items_drawn_one_by_one() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 300)
    ratings = np.where(rng.random((300, 3)) < 0.7, truth[:, None], rng.integers(0, 3, (300, 3))).astype(float)
    counts = value_counts(ratings, [0, 1, 2])
    found = agreement.fleiss_kappa(counts, seed=3)
    draws = [agreement._fleiss(counts[rng.integers(0, 300, 300)], np.ones(300), 1 - np.eye(3)) for _ in range(4000)]
    assert found.interval is not None
    assert found.interval.limits == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist(), abs=0.006)
    assert agreement.fleiss_kappa(counts, seed=3) == found
    assert agreement.fleiss_kappa(counts, seed=4).interval != found.interval


def test_many_kinds_of_items_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = agreement.fleiss_kappa(FLEISS, resamples=50)
    monkeypatch.setattr(agreement, "CELLS_AT_ONCE", 1)
    in_parts = agreement.fleiss_kappa(FLEISS, resamples=50)
    assert whole.interval is not None and in_parts.interval is not None
    assert in_parts.interval.limits == pytest.approx(whole.interval.limits, abs=1e-12)


def test_what_has_no_coefficient_says_why() -> None:
    alone = agreement.raw_agreement([[1, 0], [0, 1]])
    assert (alone.value, alone.interval, alone.items) == (None, None, 0)
    assert alone.warning == "no item was judged by two people"
    for found in (
        agreement.fleiss_kappa([[2, 0], [3, 0]]),
        agreement.krippendorff_alpha([[2, 0], [3, 0]], [0, 1], "nominal"),
        agreement.cohen_kappa([1, 1], [1, 1], [0, 1]),
    ):
        assert (found.value, found.items, found.warning) == (None, 2, "undefined: all judgements are the same")
    with pytest.raises(ValueError, match="none of the values"):
        value_counts([[1, 7]], [0, 1])
    with pytest.raises(ValueError, match="none of the values"):
        agreement.cohen_kappa([7], [1], [0, 1])


@pytest.fixture(scope="module")
def film_ratings(tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    return fetched(tmp_path_factory.mktemp("assets"))


@pytest.mark.slow
def test_interval_alpha_of_the_real_single_ratings_is_the_librarys(film_ratings: list[list[int]]) -> None:
    values = list(range(-4, 5))
    counts = np.array([[ratings.count(value) for value in values] for ratings in film_ratings])
    assert counts.sum() == 198_810 and len(counts) == 10_605
    found = agreement.krippendorff_alpha(counts, values, "interval", resamples=200)
    # The library once more, by its other door: a matrix of raters and items, whose columns mean nobody in particular.
    matrix = np.full((max(map(len, film_ratings)), len(film_ratings)), NAN)
    for column, ratings in enumerate(film_ratings):
        matrix[: len(ratings), column] = ratings
    expected = krippendorff.alpha(reliability_data=matrix, value_domain=values, level_of_measurement="interval")
    assert found.value == pytest.approx(expected, abs=1e-12)
    # And by hand: one less the mean variance within a snippet over the variance of all ratings.
    everything = np.concatenate([np.asarray(ratings) for ratings in film_ratings])
    within = sum(len(ratings) * np.var(ratings, ddof=1) for ratings in film_ratings) / len(everything)
    assert found.value == pytest.approx(1 - within / np.var(everything, ddof=1), abs=1e-9)
    assert found.interval is not None and found.interval.low < expected < found.interval.high


@pytest.mark.slow
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_of_labels_drawn_from_real_ratings(film_ratings: list[list[int]], level: agreement.Level) -> None:
    labels, values = drawn_comparisons(film_ratings, 400, 3), list(range(-3, 4))
    found = agreement.krippendorff_alpha(value_counts(labels, values), values, level, resamples=200)
    expected = krippendorff.alpha(reliability_data=labels.T, value_domain=values, level_of_measurement=level)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.value is not None and 0.1 < found.value < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_of_labels_drawn_from_real_ratings(film_ratings: list[list[int]], weights: agreement.Weights) -> None:
    labels, values = drawn_comparisons(film_ratings, 400, 2), list(range(-3, 4))
    found = agreement.cohen_kappa(labels[:, 0], labels[:, 1], values, weights, resamples=200)
    expected = cohen_kappa_score(labels[:, 0], labels[:, 1], weights=weights, labels=values)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.value is not None and 0.05 < found.value < 0.9
