"""What a check finds: numbers with what they may be at most, or the reason why something does not hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Outcome = Literal["passed", "failed", "not applicable", "not run"]


@dataclass(frozen=True)
class Measured:
    """A number that a check measured.

    Attributes:
        what: its name, such as "largest difference".
        value: the number; NaN never holds.
        allowed: the most it may be.
        reason: what it means if it is more.
        remedy: what to do then.
    """

    what: str
    value: float
    allowed: float
    reason: str
    remedy: str

    @property
    def holds(self) -> bool:
        return self.value <= self.allowed

    def __str__(self) -> str:
        return f"{self.what} {_short(self.value)} (allowed {_short(self.allowed)})"


# Numbers, or, where there is nothing to measure, what was seen.
Evidence = Sequence[Measured] | str


class Failure(Exception):
    """An invariant does not hold."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class NotApplicable(Exception):
    """An invariant says nothing about this model; the message says why."""


class NotRun(Exception):
    """What a check needs could not be made; the check that makes it says why."""


@dataclass(frozen=True)
class CheckResult:
    """How one check ended.

    Attributes:
        name: the check's.
        statement: the invariant.
        outcome: "not run" where something that the check needs failed before.
        measured: the numbers, with their tolerances.
        note: what was seen where nothing was measured, or why the check was left out.
        reason: of a failure.
        remedy: of a failure.
        seconds: that the check took.
    """

    name: str
    statement: str
    outcome: Outcome
    measured: tuple[Measured, ...] = ()
    note: str = ""
    reason: str = ""
    remedy: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Bounds:
    """What log-probabilities of tokens may differ by, in nats: the largest difference, and the mean."""

    largest: float
    mean: float


@dataclass(frozen=True)
class Tolerances:
    """How far results may differ that would be equal in exact arithmetic.

    Attributes:
        name: the precision they are for.
        kl: of a response to the reference, before the first step, in nats.
        logprob: between two training forwards.
        sampled: between sampling, with a cache and the adapter folded in, and a training forward.
        gradient: norm of the difference of two gradients, divided by their norm.
        score: largest difference of a reward model's scores, in units of their spread or, below a spread of 1, of 1.
        clipped: share of tokens whose ratio may be clipped in the first minibatch.
    """

    name: str
    kl: float
    logprob: Bounds
    sampled: Bounds
    gradient: float
    score: float
    clipped: float


# Several times what SmolLM2-135M gave on a CPU, with an adapter on all linear layers after one step. Forwards of
# training: at most 6e-6 (mean 4e-7) in float32, 0.16 (0.01) in bfloat16; sampling: 6e-5 (7e-6) in float32, 0.48 (0.08)
# in bfloat16. 4-bit weights are multiplied in the base's precision.
FLOAT32 = Tolerances(
    "float32", kl=1e-4, logprob=Bounds(3e-4, 3e-5), sampled=Bounds(3e-4, 5e-5), gradient=1e-3, score=1e-3, clipped=0.0
)
HALF = Tolerances(
    "16 bits", kl=0.05, logprob=Bounds(0.6, 0.05), sampled=Bounds(1.5, 0.2), gradient=0.2, score=0.1, clipped=0.1
)


def tolerances_of(dtype: torch.dtype) -> Tolerances:
    """What is allowed in the precision of a base model."""
    return FLOAT32 if dtype in (torch.float32, torch.float64) else HALF


def _short(value: float) -> str:
    return f"{value:.0e}" if 0 < value < 0.01 else f"{value:.2g}"
