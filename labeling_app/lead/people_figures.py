"""How each person judges: how well, how steadily, and with what leanings."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from labeling_app.answers import Answer
from labeling_app.lead.judgements import BOTH_BAD, FIRST, SECOND, TIE, Floats, Said, same_sides, sides_of
from labeling_app.store.tables import ItemKind
from labeling_app.work.qualification import feedback_on
from rlhf.stats.intervals import Interval, mean, spearman, wilson

FEW = 30
SESSION_GAP = timedelta(minutes=30)
SHORTEST_SESSION = 9  # judgements: three in each third
RESAMPLES = 1_000


@dataclass(frozen=True)
class Share:
    """A share with its interval; `of` is how many it was taken of. None where there are none."""

    of: int
    interval: Interval | None
    warning: str | None

    @property
    def value(self) -> float | None:
        return self.interval.estimate if self.interval else None


@dataclass(frozen=True)
class Drift:
    """The last third of a session against the first, the mean over sessions of at least nine judgements.

    Attributes:
        pace: the median time of the last third over that of the first; below 1 is faster.
        agreement: the agreement with the rest, last third less first; below 0 is worse. None without enough of it.
    """

    sessions: int
    pace: float | None
    agreement: float | None
    warning: str | None


@dataclass(frozen=True)
class PersonFigures:
    """One person in one project.

    Attributes:
        labels: judgements of work. late: those of them that came after their lease.
        gold: share of gold items on which the side was right; of a ranking, its best response.
        with_rest: share of others' judgements of the same items that say the same side.
        left: share of decided comparisons in which the response shown first won; 0.5 is without bias.
        longer: share of those between responses of different length in which the longer won.
        ties: share of judgements that decide nothing.
        median_seconds: time for one judgement, idling left out.
        speed_and_length: rank correlation of that time with the length of what is to be read; near 0: hardly reads.
        consistency: share of hidden repeats, sides swapped, in which the same response won.
    """

    user_id: int
    name: str
    labels: int
    late: int
    gold: Share
    with_rest: Share
    left: Share
    longer: Share
    ties: Share
    median_seconds: float | None
    speed_and_length: Interval | None
    consistency: Share
    drift: Drift
    withheld: bool


def person_figures(said: Said, user_id: int, name: str, withheld: bool, rest: Floats, *, seed: int) -> PersonFigures:
    """The figures of one person; `rest` [L] is each judgement's agreement with the rest, from `agreement_with_rest`."""
    own: list[int] = np.flatnonzero(said.user == user_id).tolist()
    work = [i for i in own if said.kinds[i] is ItemKind.work and not said.repeat_of[i]]
    seconds = said.seconds[own]
    return PersonFigures(
        user_id=user_id,
        name=name,
        labels=len(work),
        late=int(said.late[work].sum()),
        gold=_share([float(_right(said, i)) for i in own if said.kinds[i] is ItemKind.gold and said.expected[i]]),
        with_rest=_mean(rest[work], seed),
        left=_share(_left_picks(said, work)),
        longer=_share(_longer_picks(said, work)),
        ties=_share([float(sides_of(said.answers[i])[0] in (TIE, BOTH_BAD)) for i in work if _is_comparison(said, i)]),
        median_seconds=float(np.median(seconds)) if len(seconds) else None,
        speed_and_length=spearman(seconds, said.length[own]) if len(own) >= 4 else None,
        consistency=_consistency(said, own, seed),
        drift=_drift(said, own, rest),
        withheld=withheld,
    )


def agreement_with_rest(said: Said) -> Floats:
    """[L], the share of the others' judgements of the item, of those that count, that say the same; NaN without any."""
    by_item: dict[int, list[int]] = {}
    for index in np.flatnonzero(said.counts).tolist():
        by_item.setdefault(int(said.item[index]), []).append(index)
    found = np.full(len(said.answers), np.nan)
    for index, kind in enumerate(said.kinds):
        if kind is not ItemKind.work or said.repeat_of[index]:
            continue
        others = [one for one in by_item.get(int(said.item[index]), []) if said.user[one] != said.user[index]]
        if others:
            found[index] = sum(same_sides(said.answers[index], said.answers[one]) for one in others) / len(others)
    return found


def _right(said: Said, index: int) -> bool:
    expected = said.expected[index]
    if expected is None:
        return False
    return feedback_on(Answer.model_validate(said.answers[index]), Answer.model_validate(expected["answer"]))


def _is_comparison(said: Said, index: int) -> bool:
    return bool(said.answers[index]["kind"] != "ranking")


def _decided(said: Said, index: int) -> int | None:
    """The stored candidate that won a comparison."""
    if not _is_comparison(said, index):
        return None
    return {FIRST: 0, SECOND: 1}.get(sides_of(said.answers[index])[0])


def _left_picks(said: Said, own: list[int]) -> list[float]:
    won = [(i, _decided(said, i)) for i in own]
    return [float(said.orders[i][0] == winner) for i, winner in won if winner is not None]


def _longer_picks(said: Said, own: list[int]) -> list[float]:
    found = []
    for i in own:
        winner, (first, second) = _decided(said, i), said.lengths[i]
        if winner is not None and first != second:
            found.append(float((second > first) == (winner == 1)))
    return found


def _consistency(said: Said, own: list[int], seed: int) -> Share:
    first = {int(said.assignment[i]): i for i in own}
    again = [i for i in own if said.repeat_of[i] and int(said.repeat_of[i]) in first]
    same = [same_sides(said.answers[i], said.answers[first[int(said.repeat_of[i])]]) for i in again]
    return _share(same) if all(value in (0, 1) for value in same) else _mean(np.array(same), seed)


def _drift(said: Said, own: list[int], rest: Floats) -> Drift:
    paces, agreements = [], []
    for session in _sessions(said, own):
        if len(session) < SHORTEST_SESSION:
            continue
        third = len(session) // 3
        first, last = session[:third], session[-third:]
        early = float(np.median(said.seconds[first]))
        paces.append(float(np.median(said.seconds[last])) / early if early > 0 else np.nan)
        before, after = (rest[part][np.isfinite(rest[part])] for part in (first, last))
        if len(before) and len(after):
            agreements.append(float(after.mean() - before.mean()))
    known = [pace for pace in paces if np.isfinite(pace)]
    few = f"few sessions of {SHORTEST_SESSION} judgements or more: {len(paces)}" if 0 < len(paces) < 5 else None
    return Drift(
        sessions=len(paces),
        pace=float(np.mean(known)) if known else None,
        agreement=float(np.mean(agreements)) if agreements else None,
        warning=few if paces else "no session is long enough",
    )


def _sessions(said: Said, own: list[int]) -> list[list[int]]:
    """Runs of judgements with gaps under half an hour, in time."""
    found: list[list[int]] = []
    for index in sorted(own, key=lambda i: (said.at[i], i)):
        if found and said.at[index] - said.at[found[-1][-1]] < SESSION_GAP:
            found[-1].append(index)
        else:
            found.append([index])
    return found


def _share(values: list[float]) -> Share:
    return Share(len(values), wilson(sum(values), len(values)) if values else None, _few(len(values)))


def _mean(values: Floats, seed: int) -> Share:
    """The mean of shares, one for an item, by bootstrap over items."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return _share([]) if not len(known) else _share([float(known[0])])
    return Share(len(known), mean(known, seed=seed, resamples=RESAMPLES), _few(len(known)))


def _few(count: int) -> str | None:
    if count == 0:
        return "none yet"
    return f"only {count}: this may change a lot" if count < FEW else None
