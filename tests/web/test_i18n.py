"""Times as people in Norway read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dask_platform.web.i18n import oslo_date, oslo_datetime
from tests.world import World


@pytest.mark.parametrize(
    ("at", "day", "clock"),
    [
        (datetime(2026, 11, 22, 22, 59, tzinfo=UTC), "22. november 2026", "23.59"),
        (datetime(2026, 11, 22, 23, 0, tzinfo=UTC), "23. november 2026", "00.00"),
        (datetime(2026, 7, 1, 21, 59, tzinfo=UTC), "1. juli 2026", "23.59"),
        (datetime(2026, 7, 1, 22, 0, tzinfo=UTC), "2. juli 2026", "00.00"),
        (datetime(9999, 12, 31, 22, 59, tzinfo=UTC), "31. desember 9999", "23.59"),
    ],
)
def test_the_day_is_the_one_on_the_wall(
    shared_world: World, at: datetime, day: str, clock: str
) -> None:
    """A deadline at a minute to midnight is not shown as the day after."""
    with shared_world.app.test_request_context():
        assert day in oslo_datetime(at)
        assert oslo_datetime(at).endswith(clock)
        assert oslo_date(at) == day
