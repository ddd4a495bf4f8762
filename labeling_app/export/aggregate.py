"""From what several people said of a pair to one verdict.

A comparison is one pair; a ranking is as many as it has couples of candidates. What a person said of a pair is a vote:
its side (the first, the second, neither, both bad), and, of a comparison, its strength. A ranking records no strengths,
so none are made up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from labeling_app.answers import STRONGEST, Answer
from labeling_app.export.collect import Judged
from rlhf.stats import dawid_skene

Side = Literal["first", "tie", "second", "both_bad"]
SIDES: tuple[Side, ...] = ("first", "tie", "second", "both_bad")


@dataclass(frozen=True)
class Vote:
    """What one person said of a pair. `strength` is negative for the first candidate; None in a ranking."""

    side: Side
    strength: int | None


@dataclass(frozen=True)
class Verdict:
    """What counts as true of a pair.

    Attributes:
        strength: in -3 … 3, negative for the first; None where nobody told one.
        agreement: the share of the votes for the side that won, ties counted half; None without a winner or votes.
        confidence: the probability of the side; None where no model was fitted.
    """

    side: Side
    strength: float | None
    agreement: float | None
    confidence: float | None = None

    @property
    def margin(self) -> float | None:
        return abs(self.strength) / STRONGEST if self.strength else None


class Aggregator(Protocol):
    """Turns the votes on a pair into a verdict; `unit` names the pair among all."""

    def verdict(self, unit: tuple[str, int, int], votes: Sequence[Vote]) -> Verdict: ...

    def describe(self) -> dict[str, Any]: ...


def pairs(responses: int) -> list[tuple[int, int]]:
    """All couples of candidates."""
    return list(combinations(range(responses), 2))


def vote(answer: Answer, first: int, second: int) -> Vote:
    """What an answer says of a pair."""
    if answer.kind == "both_bad":
        return Vote("both_bad", 0)
    if answer.ranks is not None:
        better = answer.ranks[first] - answer.ranks[second]
        return Vote(_side(better), None)
    return Vote(_side(answer.strength or 0), answer.strength)


def ruled(answer: Answer, first: int, second: int, votes: Sequence[Vote]) -> Verdict:
    """A lead's word is the verdict; the agreement says how many had said the same."""
    own = vote(answer, first, second)
    strength = None if own.side == "both_bad" else own.strength
    return Verdict(own.side, strength, agreement(own.side, votes))


def agreement(side: Side, votes: Sequence[Vote]) -> float | None:
    if side not in ("first", "second") or not votes:
        return None
    return sum(1.0 if one.side == side else 0.5 if one.side in ("tie", "both_bad") else 0.0 for one in votes) / len(
        votes
    )


class Majority:
    """The mean strength decides; of rankings, the mean of the sides. Both bad is said by more than half, and counts as
    a tie otherwise."""

    def verdict(self, unit: tuple[str, int, int], votes: Sequence[Vote]) -> Verdict:
        if 2 * sum(one.side == "both_bad" for one in votes) > len(votes):
            return Verdict("both_bad", None, None)
        mean = sum(_signed(one) for one in votes) / len(votes)
        side = _side(mean)
        strength = None if any(one.strength is None for one in votes) else mean
        return Verdict(side, strength, agreement(side, votes))

    def describe(self) -> dict[str, Any]:
        return {"name": "majority", "rule": "the sign of the mean strength; both bad where more than half say so"}


class Weighted:
    """Dawid and Skene's model, fitted to all votes of the project: the side of the highest probability wins.

    The strength is the mean one of those who chose this side, times the probability of the side.
    """

    def __init__(self, items: Iterable[Judged]):
        units: dict[tuple[str, int, int], int] = {}
        people: dict[str, int] = {}
        triples: list[tuple[int, int, int]] = []
        for item in items:
            for first, second in pairs(len(item.responses)):
                for one in item.judgements:
                    unit = units.setdefault((item.uid, first, second), len(units))
                    person = people.setdefault(one.annotator, len(people))
                    triples.append((unit, person, SIDES.index(vote(one.answer, first, second).side)))
        self._units, self._people = units, people
        self._model = self._fit(np.array(triples, dtype=np.int64)) if triples else None

    def _fit(self, triples: NDArray[np.int64]) -> dawid_skene.DawidSkene:
        """Without "both bad" where nobody said it: a class that isn't there would only take probability away."""
        classes = len(SIDES) if (triples[:, 2] == SIDES.index("both_bad")).any() else len(SIDES) - 1
        return dawid_skene.fit(triples[:, 0], triples[:, 1], triples[:, 2], classes)

    def verdict(self, unit: tuple[str, int, int], votes: Sequence[Vote]) -> Verdict:
        assert self._model is not None, "a unit with votes was in the fit"
        posterior = self._model.posterior[self._units[unit]]
        best = int(posterior.argmax())
        confidence = float(posterior[best])
        even = int(np.isclose(posterior, confidence, atol=1e-6).sum()) > 1
        side: Side = "tie" if even else SIDES[best]
        return Verdict(side, self._strength(side, confidence, votes), agreement(side, votes), confidence)

    def _strength(self, side: Side, confidence: float, votes: Sequence[Vote]) -> float | None:
        if side == "both_bad" or any(one.strength is None for one in votes):
            return None
        told = [abs(one.strength) for one in votes if one.side == side and one.strength is not None]
        size = (sum(told) / len(told) if told else 1.0) * confidence
        return 0.0 if side == "tie" else -size if side == "first" else size

    def describe(self) -> dict[str, Any]:
        if self._model is None:
            return {"name": "dawid_skene", "annotators": {}}
        accuracy = self._model.accuracy
        return {
            "name": "dawid_skene",
            "classes": list(SIDES[: len(self._model.prior)]),
            "iterations": self._model.iterations,
            "converged": self._model.converged,
            "annotators": {name: round(float(accuracy[index]), 4) for name, index in sorted(self._people.items())},
        }


def _signed(one: Vote) -> float:
    if one.strength is not None:
        return one.strength
    return {"first": -1.0, "second": 1.0}.get(one.side, 0.0)


def _side(signed: float) -> Side:
    return "first" if signed < 0 else "second" if signed > 0 else "tie"
