"""What a project will cost, before it starts."""

from dataclasses import dataclass

from labeling_app.settings import ProjectSettings

HOURS_A_DAY = 6.0  # of judging; the rest of a working day is no judging


@dataclass(frozen=True)
class Effort:
    """An estimate.

    Attributes:
        judgements: those that are wanted, items times overlap.
        checks: gold items and hidden repeats on top of them.
        hours: of all people together, for both.
        hours_each: of each of the people.
        days_each: the same in days of six hours of judging.
    """

    judgements: int
    checks: int
    hours: float
    hours_each: float
    days_each: float


def estimate(items: int, settings: ProjectSettings, people: int | None = None) -> Effort:
    """The effort of judging so many items.

    Args:
        people: who share it; the overlap, if not given, as fewer can't do it.

    Raises:
        ValueError: fewer people than the overlap, or a negative number of items.
    """
    among = people if people is not None else settings.overlap
    if items < 0 or among < settings.overlap:
        raise ValueError(
            f"{items} items for {among} people: expected items, and people for an overlap of {settings.overlap}"
        )
    judgements = items * settings.overlap
    share = settings.gold_share + settings.repeat_share  # of all that a person gets
    checks = round(judgements * share / (1 - share))
    hours = (judgements + checks) * settings.expected_seconds / 3600
    return Effort(judgements, checks, hours, hours / among, hours / among / HOURS_A_DAY)
