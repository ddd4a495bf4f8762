"""Whom a lead should look at, and why, in words. A mark is a reason to talk, not a verdict.

A figure earns a mark only where its whole interval lies beyond a bound, so that chance alone seldom does.
"""

from collections.abc import Callable, Sequence

import numpy as np

from labeling_app.lead.people_figures import FEW, PersonFigures, Share

GOLD_AT_LEAST = 0.75
REST_BELOW = 0.05  # less than the others' mean
LEFT_APART = 0.05  # from a half
LONGER_APART = 0.1  # from the others' mean
REPEATS_AT_LEAST = 0.7
FAST = 1 / 3  # of the others' median time
READS_AT_LEAST = 0.1  # correlation of time with length
LATE_AT_MOST = 0.1
SESSIONS, PACE_AT_LEAST, DRIFT_AT_LEAST = 5, 0.6, -0.1


def marks(people: Sequence[PersonFigures]) -> dict[int, list[str]]:
    """The reasons to look at each person, by their id; a person without any isn't there."""
    found = {one.user_id: _reasons(one, [other for other in people if other is not one]) for one in people}
    return {person: reasons for person, reasons in found.items() if reasons}


def _reasons(one: PersonFigures, others: Sequence[PersonFigures]) -> list[str]:
    told = [
        _gold(one.gold),
        _with_rest(one, others),
        _left(one.left),
        _longer(one, others),
        _repeats(one.consistency),
        _fast(one, others),
        _hardly_reads(one),
        _late(one),
        *_drift(one),
    ]
    return [reason for reason in told if reason]


def _gold(share: Share) -> str:
    if share.interval is None or share.interval.high >= GOLD_AT_LEAST:
        return ""
    return f"right on {_percent(share)} of the gold items, clearly below {GOLD_AT_LEAST:.0%}"


def _with_rest(one: PersonFigures, others: Sequence[PersonFigures]) -> str:
    usual = _usual(others, lambda person: person.with_rest.value)
    if one.with_rest.interval is None or usual is None or one.with_rest.interval.high >= usual - REST_BELOW:
        return ""
    return f"agrees with the rest on {_percent(one.with_rest)}, where the others do on {usual:.0%}"


def _left(share: Share) -> str:
    if share.interval is None or share.interval.low <= 0.5 + LEFT_APART and share.interval.high >= 0.5 - LEFT_APART:
        return ""
    return f"takes the left response in {_percent(share)} of the decided comparisons; without a leaning it is half"


def _longer(one: PersonFigures, others: Sequence[PersonFigures]) -> str:
    usual = _usual(others, lambda person: person.longer.value)
    if one.longer.interval is None or usual is None:
        return ""
    if one.longer.interval.low > usual + LONGER_APART:
        return f"takes the longer response in {_percent(one.longer)}, where the others do in {usual:.0%}"
    if one.longer.interval.high < usual - LONGER_APART:
        return f"takes the longer response in {_percent(one.longer)} only, where the others do in {usual:.0%}"
    return ""


def _repeats(share: Share) -> str:
    if share.interval is None or share.interval.high >= REPEATS_AT_LEAST:
        return ""
    return f"says the same of {_percent(share)} of the repeats, with the sides swapped"


def _fast(one: PersonFigures, others: Sequence[PersonFigures]) -> str:
    usual = _usual(others, lambda person: person.median_seconds)
    if one.median_seconds is None or usual is None or one.labels < FEW or one.median_seconds >= FAST * usual:
        return ""
    return f"takes {one.median_seconds:.0f} s for a judgement, where the others take {usual:.0f} s"


def _hardly_reads(one: PersonFigures) -> str:
    found = one.speed_and_length
    if found is None or one.labels < FEW or found.high >= READS_AT_LEAST:
        return ""
    return "takes as long for short texts as for long ones"


def _late(one: PersonFigures) -> str:
    if one.labels < FEW or one.late <= LATE_AT_MOST * one.labels:
        return ""
    return f"{one.late:,} of {one.labels:,} judgements came after their lease had ended"


def _drift(one: PersonFigures) -> list[str]:
    if one.drift.sessions < SESSIONS:
        return []
    found = []
    if one.drift.pace is not None and one.drift.pace < PACE_AT_LEAST:
        found.append(f"takes {one.drift.pace:.0%} of the time at the end of a session that it takes at its beginning")
    if one.drift.agreement is not None and one.drift.agreement < DRIFT_AT_LEAST:
        found.append(f"agrees less at the end of a session: by {-one.drift.agreement:.0%}")
    return found


def _usual(others: Sequence[PersonFigures], figure: Callable[[PersonFigures], float | None]) -> float | None:
    """The median of the others' figures, of those with enough judgements; None where nobody has them."""
    known = [value for one in others if one.labels >= FEW and (value := figure(one)) is not None]
    return float(np.median(known)) if known else None


def _percent(share: Share) -> str:
    assert share.interval is not None
    return f"{share.interval.estimate:.0%} ({share.interval.low:.0%} to {share.interval.high:.0%})"
