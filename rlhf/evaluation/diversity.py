"""Distinct-n: how much a policy repeats itself over all its responses."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+(?:['’]\w+)*")


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    """The word n-grams of a text, in lower case and without punctuation."""
    words = WORD.findall(text.lower())
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def distinct_n(texts: Sequence[str], n: int = 2) -> float:
    """Different n-grams of all texts over all their n-grams; 0 where there are none.

    It falls as a corpus grows, so compare it only between equal numbers of texts.
    """
    counts = Counter(gram for text in texts for gram in ngrams(text, n))
    return len(counts) / counts.total() if counts else 0.0


def distinct_n_leave_one_out(texts: Sequence[str], n: int = 2) -> NDArray[np.float64]:
    """Distinct-n of the corpus without each of its N texts in turn, [N]: what a jackknife needs."""
    own = [Counter(ngrams(text, n)) for text in texts]
    total: Counter[tuple[str, ...]] = Counter()
    for counts in own:
        total.update(counts)
    left = np.array([total.total() - counts.total() for counts in own], dtype=float)
    lost = np.array([sum(total[gram] == count for gram, count in counts.items()) for counts in own])
    return np.asarray(np.divide(len(total) - lost, left, out=np.zeros(len(own)), where=left > 0))
