"""How each person judges: how well, how steadily, and with what leanings."""

from dataclasses import dataclass

import numpy as np

from labeling_app.answers import Answer
from labeling_app.lead.judgements import BOTH_BAD, FIRST, SECOND, TIE, Bools, Floats, Ints, Said, same_sides
from labeling_app.work.qualification import feedback_on
from rlhf.stats.intervals import Interval, spearman, wilson
from rlhf.stats.tallies import mean_of_few_values

FEW = 30
SESSION_GAP_SECONDS = 30 * 60
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
    own = np.flatnonzero(said.user == user_id)
    work = own[said.work[own]]
    seconds = said.seconds[own]
    return PersonFigures(
        user_id=user_id,
        name=name,
        labels=len(work),
        late=int(said.late[work].sum()),
        gold=_share(_right(said, own[said.gold[own]])),
        with_rest=_mean(rest[work], seed),
        left=_share(_left_picks(said, work)),
        longer=_share(_longer_picks(said, work)),
        ties=_share(np.isin(said.side[work], (TIE, BOTH_BAD))[said.comparison[work]]),
        median_seconds=float(np.median(seconds)) if len(seconds) else None,
        speed_and_length=spearman(seconds, said.length[own]) if len(own) >= 4 else None,
        consistency=_consistency(said, own, seed),
        drift=_drift(said, own, rest),
        withheld=withheld,
    )


def _right(said: Said, golds: Ints) -> Bools:
    """Of judgements of gold items whether they are right; of those that have a known answer."""
    known = [place for place in golds.tolist() if int(said.item[place]) in said.expected]
    found = [
        feedback_on(
            Answer.model_validate(said.answer(place)), Answer.model_validate(said.expected[int(said.item[place])])
        )
        for place in known
    ]
    return np.array(found, dtype=bool)


def _decided(said: Said, places: Ints) -> Ints:
    """Those of some judgements that are comparisons in which one candidate won."""
    return places[said.comparison[places] & np.isin(said.side[places], (FIRST, SECOND))]


def _left_picks(said: Said, work: Ints) -> Bools:
    decided = _decided(said, work)
    return np.asarray((said.side[decided] == SECOND) == (said.left[decided] == 1))


def _longer_picks(said: Said, work: Ints) -> Bools:
    decided = _decided(said, work)
    first, second = said.lengths[decided].T
    won = (second > first) == (said.side[decided] == SECOND)
    return np.asarray(won[first != second])


def _consistency(said: Said, own: Ints, seed: int) -> Share:
    first = {int(said.assignment[place]): place for place in own.tolist()}
    again = [place for place in own[said.repeat_of[own] > 0].tolist() if int(said.repeat_of[place]) in first]
    same = np.array([same_sides(said, place, first[int(said.repeat_of[place])]) for place in again], dtype=float)
    return _share(same) if np.isin(same, (0, 1)).all() else _mean(same, seed)


def _drift(said: Said, own: Ints, rest: Floats) -> Drift:
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


def _sessions(said: Said, own: Ints) -> list[Ints]:
    """Runs of judgements with gaps under half an hour, in time."""
    in_time = own[np.argsort(said.at[own], kind="stable")]
    gaps = np.flatnonzero(np.diff(said.at[in_time]) >= SESSION_GAP_SECONDS) + 1
    return np.split(in_time, gaps)


def _share(values: Bools | Floats) -> Share:
    count = len(values)
    return Share(count, wilson(float(values.sum()), count) if count else None, _few(count))


def _mean(values: Floats, seed: int) -> Share:
    """The mean of shares, one for an item, by bootstrap over items."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return _share(known)
    return Share(len(known), mean_of_few_values(known, seed=seed, resamples=RESAMPLES), _few(len(known)))


def _few(count: int) -> str | None:
    if count == 0:
        return "none yet"
    return f"only {count}: this may change a lot" if count < FEW else None
