"""The gain at equal KL, worked by hand."""

import numpy as np
import pytest

from rlhf.stats.equal_kl import gain, gains_at_kl

REFERENCE = np.array([-2.0, 0.0, 1.0, 1.0, 0.0])


def curve(kl, rise):
    """A checkpoint whose samples all lie at one KL and one rise above the reference."""
    return np.full(5, float(kl)), REFERENCE + rise


def test_gain_is_in_standard_deviations_of_the_reference():
    deviation = np.std(REFERENCE, ddof=1)
    assert gain(REFERENCE + 3, REFERENCE) == pytest.approx(3 / deviation)
    assert np.isnan(gain([1.0, 2.0], [3.0, 3.0]))


def test_interpolates_between_checkpoints_and_from_the_reference():
    points = [curve(4, 2.0), curve(8, 4.0)]
    kl, rewards = (np.stack(part) for part in zip(*points, strict=True))
    found = gains_at_kl(kl, rewards, REFERENCE, [2, 4, 5, 8], seed=0, resamples=200)
    deviation = np.std(REFERENCE, ddof=1)
    assert [one.gain for one in found] == pytest.approx(np.array([1.0, 2.0, 2.5, 4.0]) / deviation)


def test_order_of_the_checkpoints_does_not_matter():
    points = [curve(8, 4.0), curve(4, 2.0)]
    kl, rewards = (np.stack(part) for part in zip(*points, strict=True))
    found = gains_at_kl(kl, rewards, REFERENCE, [6], seed=0, resamples=50)
    assert found[0].gain == pytest.approx(3.0 / np.std(REFERENCE, ddof=1))


def test_never_extrapolates():
    kl, rewards = curve(4, 2.0)
    beyond = gains_at_kl(kl, rewards, REFERENCE, [5], seed=0, resamples=50)[0]
    assert (beyond.gain, beyond.interval) == (None, None)


def test_no_interval_where_the_resamples_often_fall_short():
    rng = np.random.default_rng(0)
    kl = rng.normal(5.0, 3.0, (1, 100))
    reference = rng.normal(0, 1, 100)
    target = float(kl.mean()) - 0.01
    found = gains_at_kl(kl, reference[None] + 1, reference, [target], seed=0, resamples=200)[0]
    assert found.gain is not None
    assert found.interval is None


def test_the_interval_covers_the_truth():
    """Checkpoints at KL 4 and 8 with gains 1 and 2: at KL 6 the truth is 1.5."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        reference = rng.normal(0, 2, 300)
        rewards = np.stack([rng.normal(2, 2, 300), rng.normal(4, 2, 300)])
        kl = np.stack([rng.normal(4, 2, 300), rng.normal(8, 2, 300)])
        interval = gains_at_kl(kl, rewards, reference, [6], seed=seed, resamples=300)[0].interval
        covered += interval.low <= 1.5 <= interval.high
    assert covered >= 53


def test_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match="shapes differ"):
        gains_at_kl(np.zeros((2, 5)), np.zeros((3, 5)), REFERENCE, [5], seed=0)
