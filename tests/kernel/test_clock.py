"""Norway's clock, and the two nights on which it is not one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.kernel.clock import FixedClock, from_oslo, to_oslo

WALL = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2037, 1, 1))


@given(WALL)
def test_a_deadline_never_falls_before_the_clock_on_the_wall_shows_it(wall: datetime) -> None:
    shown = to_oslo(from_oslo(wall)).replace(tzinfo=None)
    assert shown >= wall
    assert (shown - wall).total_seconds() in (0, 3600)


def test_the_night_the_hour_comes_twice_takes_the_later() -> None:
    assert from_oslo(datetime(2026, 10, 25, 2, 30)) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_the_night_the_hour_is_missing_takes_the_later() -> None:
    assert from_oslo(datetime(2026, 3, 29, 2, 30)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_time_with_a_zone_is_no_wall_clock() -> None:
    with pytest.raises(ValueError, match="zone"):
        from_oslo(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="zone"):
        FixedClock(datetime(2026, 1, 1))
