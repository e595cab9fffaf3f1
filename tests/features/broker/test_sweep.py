"""Nothing is kept longer than the installation says."""

from __future__ import annotations

from sqlalchemy import text

from dask_platform.features.broker.jobs import sweep_now
from tests.features.broker.conftest import Outside


def test_the_worker_sweeps_what_is_past_its_time(outside: Outside) -> None:
    client = outside.visitor("anna")
    outside.get(client, "/norge")
    outside.get(client, "/")
    outside.world.client("bo").get("/sites/leksikon/open")  # a ticket that is never used
    with outside.world.owner() as uow:
        uow.execute(
            text("UPDATE site_visit SET at = at - interval '91 days' WHERE url LIKE '%/norge'")
        )
        uow.execute(text("UPDATE broker_session SET ticket_until = now() - interval '1 hour'"))
        uow.execute(
            text(
                "INSERT INTO site_cookie (person_id, host, name, path, value, expires_at)"
                " SELECT id, 'a.no', n, '/', 'x', now() + s * interval '1 hour'"
                " FROM person, (VALUES ('old', -1), ('new', 1)) v(n, s) WHERE username = 'anna'"
            )
        )
    with outside.world.worker() as platform:
        sweep_now(platform)
    assert [visit["url"] for visit in outside.visits()] == ["https://leksikon.no/"]
    with outside.world.owner() as uow:
        assert uow.scalars(text("SELECT name FROM site_cookie")).all() == ["new"]
        # The one in use stays with its session.
        assert uow.scalar(text("SELECT count(*) FROM broker_session")) == 1
    assert outside.get(client, "/").status_code == 200
