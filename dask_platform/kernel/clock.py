"""Time as an argument.

Everything is kept in UTC with a zone attached; people read Europe/Oslo.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")


class SystemClock:
    """The machine's clock. See :class:`dask_platform.kernel.ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands where it is put; tests and the demo's history use it."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs a time with a zone")
        self._at = at

    def now(self) -> datetime:
        return self._at

    def move(self, by: timedelta) -> None:
        """Step forward (or back)."""
        self._at += by


def to_oslo(at: datetime) -> datetime:
    """The same instant as a Norwegian wall clock shows it."""
    return at.astimezone(OSLO)


def from_oslo(local: datetime) -> datetime:
    """A naive wall-clock time in Norway as an instant in UTC.

    Two nights a year a wall-clock time is not one instant: in autumn 02:30 comes twice, in spring
    it does not come at all. Of the two readings the *later* is taken, so that a deadline never
    falls earlier than a student could have read it.
    """
    if local.tzinfo is not None:
        raise ValueError("give the wall-clock time without a zone")
    return max(local.replace(tzinfo=OSLO, fold=fold).astimezone(UTC) for fold in (0, 1))
