"""The effort of a project, worked out by hand."""

import pytest

from labeling_app.lead.effort import estimate
from labeling_app.settings import ProjectSettings


def test_items_times_overlap_times_expected_time() -> None:
    found = estimate(1200, ProjectSettings(overlap=3, expected_seconds=20))
    assert (found.judgements, found.checks, found.hours) == (3600, 0, 20.0)
    assert found.hours_each == pytest.approx(20 / 3) and found.days_each == pytest.approx(20 / 18)


def test_checks_are_a_share_of_all_that_is_handed_out() -> None:
    # Of what people get 20% are checks: 800 judgements are the other 80% of 1,000.
    found = estimate(400, ProjectSettings(overlap=2, gold_share=0.1, repeat_share=0.1, expected_seconds=36), people=5)
    assert (found.judgements, found.checks, found.hours, found.hours_each) == (800, 200, 10.0, 2.0)


def test_fewer_people_than_the_overlap_can_not_do_it() -> None:
    with pytest.raises(ValueError, match="overlap of 3"):
        estimate(10, ProjectSettings(overlap=3), people=2)
