"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
"""A Monday noon, far from any change of daylight saving."""


class Clock:
    """Tells the time it was moved to."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **span: float) -> datetime:
        """Move on by a span, such as ``minutes=5``; returns the time that it is then."""
        self.moment += timedelta(**span)
        return self.moment

    def move_to(self, moment: datetime) -> None:
        """Move on to a moment."""
        assert moment >= self.moment, "time does not go back"
        self.moment = moment
