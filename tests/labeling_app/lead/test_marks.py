"""Who is marked, and for which reason."""

from dataclasses import replace

import pytest

from labeling_app.lead.marks import marks
from labeling_app.lead.people_figures import Drift, PersonFigures, Share
from rlhf.stats.intervals import Interval, wilson


def share(right: int, of: int = 400) -> Share:
    return Share(of, wilson(right, of), None)


def somebody(user_id: int, **figures: object) -> PersonFigures:
    """A person about whom there is nothing to say, but for these figures."""
    usual = PersonFigures(
        user_id=user_id,
        name=f"annotator-{user_id}",
        labels=400,
        late=0,
        gold=share(360),
        with_rest=share(320),
        left=share(200),
        longer=share(220),
        ties=share(40),
        median_seconds=20.0,
        speed_and_length=Interval(0.4, 0.3, 0.5),
        consistency=share(360),
        drift=Drift(10, 0.95, 0.0, None),
        withheld=False,
    )
    return replace(usual, **figures)


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"gold": share(240)}, "right on 60% (55% to 65%) of the gold items, clearly below 75%"),
        ({"with_rest": share(240)}, "agrees with the rest on 60% (55% to 65%), where the others do on 80%"),
        ({"left": share(280)}, "takes the left response in 70% (65% to 74%) of the decided comparisons"),
        ({"left": share(120)}, "takes the left response in 30%"),
        ({"longer": share(320)}, "takes the longer response in 80% (76% to 84%), where the others do in 55%"),
        ({"longer": share(120)}, "takes the longer response in 30% (26% to 35%) only"),
        ({"consistency": share(200)}, "says the same of 50% (45% to 55%) of the repeats"),
        ({"median_seconds": 5.0}, "takes 5 s for a judgement, where the others take 20 s"),
        ({"speed_and_length": Interval(0.0, -0.05, 0.05)}, "takes as long for short texts as for long ones"),
        ({"late": 50}, "50 of 400 judgements came after their lease had ended"),
        ({"drift": Drift(6, 0.5, 0.0, None)}, "takes 50% of the time at the end of a session"),
        ({"drift": Drift(6, 1.0, -0.2, None)}, "agrees less at the end of a session: by 20%"),
    ],
)
def test_each_reason_is_said_in_words(figures: dict[str, object], reason: str) -> None:
    found = marks([somebody(1), somebody(2, **figures), somebody(3)])
    assert list(found) == [2]
    (said,) = found[2]
    assert said.startswith(reason)


@pytest.mark.parametrize(
    "figures",
    [
        {"gold": share(7, 10)},  # below the bound, and may be above it
        {"left": share(212)},  # a leaning, but a small one
        {"left": share(7, 10)},
        {"with_rest": share(308)},
        {"median_seconds": 5.0, "labels": 20},
        {"drift": Drift(3, 0.3, -0.4, "few")},
        {"gold": Share(0, None, "none yet"), "speed_and_length": None, "median_seconds": None},
    ],
)
def test_chance_and_little_data_are_no_reason(figures: dict[str, object]) -> None:
    assert marks([somebody(1), somebody(2, **figures), somebody(3)]) == {}


def test_somebody_alone_is_compared_with_nobody() -> None:
    assert marks([somebody(1, with_rest=share(100), longer=share(390), median_seconds=1.0)]) == {}
    assert marks([]) == {}
