"""A clock for tests of what time does."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **amount: float) -> None:
        """Move on by days, hours, minutes or seconds."""
        self.moment += timedelta(**amount)
