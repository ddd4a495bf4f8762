"""What is true of an item, and how far each annotator is to be trusted, from what all of them said.

The model of Dawid and Skene (1979, Applied Statistics 28): each item has one true class; each annotator answers by a
confusion matrix of their own, whatever else is special about the item. EM finds both, beginning with the shares of the
votes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DawidSkene:
    """A fitted model of N items, A annotators and K classes.

    Attributes:
        posterior: [N, K], the probability of each class for each item; an item without labels has the prior.
        confusion: [A, K, K], the probability that annotator a says class l (last) of an item of class k.
        prior: [K], the share of each class.
        iterations: how many were done. converged: whether the posterior stood still at their end.
    """

    posterior: Floats
    confusion: Floats
    prior: Floats
    iterations: int
    converged: bool

    @property
    def accuracy(self) -> Floats:
        """[A], the probability that each annotator answers rightly."""
        return np.asarray(np.einsum("k,akk->a", self.prior, self.confusion))


def fit(
    items: ArrayLike,
    annotators: ArrayLike,
    classes: ArrayLike,
    n_classes: int,
    *,
    smoothing: float = 0.5,
    trust: float = 2.0,
    max_iterations: int = 200,
    tolerance: float = 1e-6,
) -> DawidSkene:
    """Fit by EM.

    Args:
        items, annotators, classes: [L], one of each for a label, numbered from 0.
        n_classes: K.
        smoothing: labels that each cell of a confusion matrix has before any is counted. Without some, an annotator who
            never confused two classes yet would be believed never to.
        trust: as many more on the diagonal: who gave few labels is taken for more often right than wrong, so that with
            little data the result is near the majority's.
        tolerance: the largest change of a posterior at which it stops.

    Raises:
        ValueError: no labels, or a class that isn't one of the K.
    """
    item, annotator, said = (np.asarray(values, dtype=np.int64) for values in (items, annotators, classes))
    if len(item) == 0 or not len(item) == len(annotator) == len(said):
        raise ValueError("expected one item, annotator and class for each label, and at least one label")
    if said.min() < 0 or said.max() >= n_classes:
        raise ValueError(f"expected classes from 0 to {n_classes - 1}")
    before_any = smoothing + trust * np.eye(n_classes)
    posterior, converged, iterations = _votes(item, said, n_classes), False, 0
    while not converged and iterations < max_iterations:
        prior, confusion = _maximise(posterior, item, annotator, said, before_any)
        before, posterior = posterior, _expect(prior, confusion, item, annotator, said, len(posterior))
        converged = bool(np.abs(posterior - before).max() < tolerance)
        iterations += 1
    return DawidSkene(posterior, confusion, prior, iterations, converged)


def _votes(item: NDArray[np.int64], said: NDArray[np.int64], n_classes: int) -> Floats:
    """[N, K], the share of the votes; even where there are none."""
    n_items = int(item.max()) + 1
    counts = np.bincount(item * n_classes + said, minlength=n_items * n_classes).reshape(n_items, n_classes)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), 1 / n_classes)


def _maximise(
    posterior: Floats,
    item: NDArray[np.int64],
    annotator: NDArray[np.int64],
    said: NDArray[np.int64],
    before_any: Floats,
) -> tuple[Floats, Floats]:
    """The prior [K] and confusion matrices [A, K, K] under which the posteriors are most likely."""
    n_classes = posterior.shape[1]
    judged = np.bincount(item, minlength=len(posterior)) > 0
    prior = posterior[judged].mean(axis=0)
    counts = np.tile(before_any, (int(annotator.max()) + 1, 1, 1))
    np.add.at(counts.transpose(0, 2, 1), (annotator, said), posterior[item])
    total = counts.sum(axis=2, keepdims=True)
    return prior, np.where(total > 0, counts / np.where(total > 0, total, 1), 1 / n_classes)


def _expect(
    prior: Floats,
    confusion: Floats,
    item: NDArray[np.int64],
    annotator: NDArray[np.int64],
    said: NDArray[np.int64],
    n_items: int,
) -> Floats:
    """The posterior [N, K] under a prior and confusion matrices."""
    with np.errstate(divide="ignore"):
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    log = np.tile(log_prior, (n_items, 1))
    np.add.at(log, item, log_confusion[annotator, :, said])
    log -= log.max(axis=1, keepdims=True)
    weights = np.exp(log)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
