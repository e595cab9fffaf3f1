"""What a change would have changed: the last weeks' real visits, decided before and after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Row, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.whitelists.checking import becoming
from dask_platform.features.whitelists.diff import Consequences, Request, consequences
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.queries import levels
from dask_platform.features.whitelists.rules import Level, Rule
from dask_platform.kernel.actor import Actor
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

#: How far a proposal looks back.
LOOK_BACK: Final = timedelta(weeks=4)

_ASKED = text("SELECT * FROM dask_visits_asked(:since, :hosts, :domains)")
_ALL = text(
    "SELECT max(at) AS at, unit, url, method, allowed, rule_id, courses, count(*) AS times"
    " FROM asked_visit WHERE at > :since"
    " GROUP BY unit, url, method, allowed, rule_id, courses, date_trunc('hour', at)"
)


def would_change(
    uow: UnitOfWork, actor: Actor, others: Iterable[Rule], old: Rule | None, new: Rule | None,
    now: datetime,
) -> tuple[Consequences, int]:  # fmt: skip
    """What would come out otherwise with ``new`` in the place of ``old``, and of how many visits.

    Looked at are the visits to the hosts of either, at the units where the actor is a security
    officer; who made them is not told.
    """
    authorise(actor, Permission.WHITELIST_READ)
    touched = [one for one in (old, new) if one is not None]
    before = [*others, *([old] if old else [])]
    hosts = {one.host for one in touched} | {h.host for one in touched for h in one.helpers}
    found = uow.execute(
        _ASKED,
        {
            "since": now - LOOK_BACK,
            "hosts": sorted(hosts),
            "domains": sorted(one.host for one in touched if one.subdomains),
        },
    )
    asked = list(_requests(found, before, levels(uow)))
    rule_id = touched[0].id if touched else ""
    after = becoming(before, rule_id, new)
    return (
        consequences(Engine.of(before), Engine.of(after), asked),
        sum(one.times for one in asked),
    )


def visits_of_all(
    uow: UnitOfWork, before: Iterable[Rule], known: Mapping[str, Level], since: datetime
) -> list[Request]:
    """Every visit after ``since``, at every unit; for the owner of the tables alone."""
    return list(_requests(uow.execute(_ALL, {"since": since}), list(before), known))


def _requests(
    rows: Iterable[Row[tuple[object, ...]]], before: list[Rule], known: Mapping[str, Level]
) -> Iterator[Request]:
    """The visits as questions to an engine. One that a supervised rule allowed was watched: it was
    not the watching that the change is about."""
    supervised = {one.id for one in before if one.supervised}
    for row in rows:
        watched = row.allowed and row.rule_id in supervised
        yield Request(
            row.url,
            Asked(
                at=row.at,
                unit=row.unit,
                level=known.get(row.unit),
                courses=frozenset(row.courses),
                opened=frozenset({row.rule_id}) if watched else frozenset(),
            ),
            row.method,
            row.times,
        )
