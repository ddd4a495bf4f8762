"""Which items people disagree on, and how much."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from labeling_app.answers import side
from labeling_app.lead.judgements import BOTH_BAD, Said, load
from labeling_app.lead.units import STRENGTHS
from labeling_app.store.tables import Decision
from rlhf.stats.tallies import alike

FAR_APART = 2  # in strength: "a bit" and "much" better, or a tie and "better"


def disputed(session: Session, project_id: int, said: Said | None = None) -> list[tuple[int, float]]:
    """The ids of undecided items in dispute, with how much they are, the most first.

    Judgements of withheld people, late ones, skips and hidden repeats don't make a dispute.

    Args:
        said: what people said, where it is loaded already.
    """
    found = load(session, project_id, differing=True) if said is None else said
    decided = set(session.scalars(select(Decision.item_id).where(Decision.project_id == project_id).distinct()))
    scores = [pair for pair in (*_comparisons(found), *_rankings(found)) if pair[1] > 0 and pair[0] not in decided]
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))


def dispute(answers: Sequence[dict[str, Any]]) -> float:
    """How much people disagree: 0 where nobody says the opposite of another, and strengths are near each other."""
    couples = list(combinations(answers, 2))
    if not couples:
        return 0.0
    apart = [_sides_apart(one, other) for one, other in couples]
    distances: list[int] = [abs((one.get("strength") or 0) - (other.get("strength") or 0)) for one, other in couples]
    if not any(opposite for opposite, _ in apart) and max(distances) < FAR_APART:
        return 0.0
    return (sum(share for _, share in apart) + sum(distances) / 100) / len(couples)


def _comparisons(said: Said) -> list[tuple[int, float]]:
    """Every compared item with its score; items of which the same was said have the same one."""
    places = np.flatnonzero(said.counts & said.comparison)
    items, row = np.unique(said.item[places], return_inverse=True)
    kinds: list[dict[str, Any]] = [{"kind": "choice", "strength": strength} for strength in STRENGTHS] + [
        {"kind": "both_bad"}
    ]
    what = np.where(said.side[places] == BOTH_BAD, len(STRENGTHS), said.strength[places] - STRENGTHS[0])
    table = np.bincount(row * len(kinds) + what, minlength=len(items) * len(kinds)).reshape(-1, len(kinds))
    patterns, _, which = alike(table)
    scores = [
        dispute([kinds[kind] for kind in np.repeat(np.arange(len(kinds)), pattern)]) for pattern in patterns.astype(int)
    ]
    return [(item, scores[pattern]) for item, pattern in zip(items.tolist(), which.tolist(), strict=True)]


def _rankings(said: Said) -> list[tuple[int, float]]:
    given: dict[int, list[dict[str, Any]]] = {}
    for place in np.flatnonzero(said.counts & ~said.comparison).tolist():
        given.setdefault(int(said.item[place]), []).append(said.answer(place))
    return [(item, dispute(answers)) for item, answers in given.items()]


def _sides_apart(one: dict[str, Any], other: dict[str, Any]) -> tuple[bool, float]:
    """Whether two people say opposite things, and the share of pairs of candidates on which they differ, where a side
    against a tie counts half."""
    if one["kind"] != other["kind"]:
        return True, 1.0  # a choice, and that both are bad
    differences = [abs(a - b) / 2 for a, b in zip(_signs(one), _signs(other), strict=True)]
    return 1.0 in differences, sum(differences) / len(differences)


def _signs(answer: dict[str, Any]) -> list[int]:
    """Which of each pair of candidates is better: -1 the first, 1 the second."""
    if answer["kind"] == "ranking":
        return [side(a - b) for a, b in combinations(answer["ranks"], 2)]
    return [side(answer.get("strength") or 0)]
