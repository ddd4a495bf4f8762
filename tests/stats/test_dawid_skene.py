"""Dawid and Skene's model: one step by hand, planted qualities found again, and its edges."""

import numpy as np
import pytest

from rlhf.stats import dawid_skene


def test_one_step_by_hand() -> None:
    # Item 0: three say A. Item 1: annotators 0 and 1 say B, annotator 2 says A. Votes: (1, 0) and (1/3, 2/3).
    items, annotators, classes = [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 0]
    found = dawid_skene.fit(items, annotators, classes, 2, smoothing=0, trust=0, max_iterations=1)
    # Prior (2/3, 1/3). Of A's weight 4/3, annotators 0 and 1 said A for 1 and B for 1/3: rows (3/4, 1/4) and (0, 1).
    # Annotator 2 always says A: rows (1, 0) and (1, 0).
    assert found.prior == pytest.approx([2 / 3, 1 / 3])
    assert found.confusion[0] == pytest.approx(np.array([[3 / 4, 1 / 4], [0, 1]]))
    assert found.confusion[2] == pytest.approx(np.array([[1, 0], [1, 0]]))
    # Item 1: A 2/3 * 1/4 * 1/4 * 1 = 1/24, B 1/3 * 1 * 1 * 1 = 1/3: one ninth against eight.
    assert found.posterior == pytest.approx(np.array([[1, 0], [1 / 9, 8 / 9]]))
    assert found.iterations == 1 and not found.converged
    assert found.accuracy == pytest.approx([2 / 3 * 3 / 4 + 1 / 3, 2 / 3 * 3 / 4 + 1 / 3, 2 / 3])


def planted(seed: int, right: list[float], items: int = 600, classes: int = 3) -> tuple[np.ndarray, ...]:
    """True classes, and labels of annotators who are right so often, and else say any of the others."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, items, p=[0.5, 0.3, 0.2])
    said = np.stack(
        [
            np.where(rng.random(items) < share, truth, (truth + rng.integers(1, classes, items)) % classes)
            for share in right
        ]
    )
    item, annotator = np.tile(np.arange(items), len(right)), np.repeat(np.arange(len(right)), items)
    return truth, item, annotator, said.ravel()


def test_planted_qualities_are_found_and_beat_the_majority() -> None:
    right = [0.95, 0.9, 0.4, 0.4, 0.4]
    truth, item, annotator, said = planted(0, right)
    found = dawid_skene.fit(item, annotator, said, 3)
    assert found.converged
    assert found.accuracy == pytest.approx(right, abs=0.05)
    assert found.prior == pytest.approx([0.5, 0.3, 0.2], abs=0.05)
    votes = np.zeros((600, 3))
    np.add.at(votes, (item, said), 1)
    majority = (votes.argmax(axis=1) == truth).mean()
    assert (found.posterior.argmax(axis=1) == truth).mean() > max(0.93, majority + 0.1)


def test_one_who_always_says_the_opposite_is_read_the_other_way_round() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    said = np.stack([np.where(rng.random(300) < 0.9, truth, 1 - truth) for _ in range(3)] + [1 - truth])
    found = dawid_skene.fit(np.tile(np.arange(300), 4), np.repeat(np.arange(4), 300), said.ravel(), 2)
    assert found.accuracy[3] < 0.05
    assert (found.posterior.argmax(axis=1) == truth).mean() > 0.97


def test_two_who_agree_leave_a_little_doubt() -> None:
    found = dawid_skene.fit([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1], 2)
    assert found.posterior.argmax(axis=1).tolist() == [0, 1]
    assert 0.9 < found.posterior.max() < 1
    # Both err now and then as far as anybody knows, so one against one is open, and the order of the labels is nothing.
    split = dawid_skene.fit([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 1], 2)
    assert split.posterior[2] == pytest.approx([0.5, 0.5], abs=1e-6)


def test_an_item_without_labels_has_the_prior() -> None:
    found = dawid_skene.fit([0, 0, 2, 2], [0, 1, 0, 1], [0, 0, 0, 0], 2)
    assert found.posterior[1] == pytest.approx(found.prior, abs=1e-6)
    assert found.posterior.sum(axis=1) == pytest.approx([1, 1, 1])


def test_what_can_not_be_fitted() -> None:
    with pytest.raises(ValueError, match="at least one label"):
        dawid_skene.fit([], [], [], 2)
    with pytest.raises(ValueError, match="from 0 to 1"):
        dawid_skene.fit([0], [0], [2], 2)
