"""What teachers and students meet: the sites that are meant for them, and wishes for more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import String, Uuid, column, select, table

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.queries import my_classes
from dask_platform.features.identity.queries import person_names, unit_names
from dask_platform.features.whitelists.engine import Engine, Reason
from dask_platform.features.whitelists.models import RequestState, SiteRequest
from dask_platform.features.whitelists.queries import UNIT, InForce, Standing, in_force, standing
from dask_platform.features.whitelists.queries.listings import MOST, NOTHING_HERE, SHOWN_FOR
from dask_platform.features.whitelists.rules import Effect, Rule
from dask_platform.kernel.actor import STAFF_ROLES, Actor
from dask_platform.kernel.errors import NotVisible
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, rows

_CLASS = table("course_class", column("id", Uuid), column("name", String))
# What tells somebody for whom a site is meant that it is not open this minute.
_MEANT: Final = (Reason.ALLOWED, Reason.HOURS, Reason.SUPERVISED, Reason.STOPPED)


@dataclass(frozen=True, slots=True)
class WishLine:
    """A wish. ``asker`` and ``class_name`` as far as the reader may know them."""

    wish: SiteRequest
    asker: str
    class_name: str | None
    unit_name: str

    @property
    def waiting(self) -> bool:
        return self.wish.state in (RequestState.OPEN, RequestState.PROPOSED)


@dataclass(frozen=True, slots=True)
class SiteLine:
    """A site that is meant for the reader. ``now`` says whether it is open this minute."""

    rule: Rule
    address: str
    now: Reason


def wishes(uow: UnitOfWork, actor: Actor, permission: Permission, now: datetime) -> list[WishLine]:
    """The wishes over which the actor holds ``permission``: those that wait first, then the newest.
    Those that were answered long ago, or taken back, are left out."""
    found = list(
        uow.scalars(
            select(SiteRequest)
            .where(
                rows(actor, permission, SiteRequest),
                SiteRequest.state != RequestState.WITHDRAWN,
                SiteRequest.answered_at.is_(None) | (SiteRequest.answered_at > now - SHOWN_FOR),
            )
            .order_by(
                SiteRequest.state.not_in((RequestState.OPEN, RequestState.PROPOSED)),
                SiteRequest.asked_at.desc(),
                SiteRequest.id,
            )
            .limit(MOST)
        ).unique()
    )
    return _wish_lines(uow, actor, found)


def wish(uow: UnitOfWork, actor: Actor, request_id: UUID) -> WishLine:
    """A wish that the actor answers for. Raises ``NotVisible``."""
    found = uow.get(SiteRequest, request_id)
    if found is None:
        raise NotVisible(NOTHING_HERE)
    authorise(actor, Permission.SITE_REQUEST_ANSWER, found)
    return _wish_lines(uow, actor, [found])[0]


def my_sites(uow: UnitOfWork, actor: Actor, now: datetime) -> list[SiteLine]:
    """The sites that are meant for the actor, by title. For staff: those of any of their units, as
    a student there would meet them, whatever class the student is in."""
    authorise(actor, Permission.SITES_READ)
    stands = standing(uow, actor)
    kept = in_force(uow, stands)
    if actor.is_student:
        found = _meant_for(kept, stands, now)
    else:
        found = {}
        for slug, level in _own_units(uow, actor):
            here = Standing(
                None, 0, slug, level, _every_course(kept), stands.everything_stopped, stands.stopped
            )
            found = {**_meant_for(kept, here, now), **found}
    return sorted(found.values(), key=lambda one: (one.rule.title.nb.casefold(), one.rule.id))


def _wish_lines(uow: UnitOfWork, actor: Actor, found: Iterable[SiteRequest]) -> list[WishLine]:
    listed = list(found)
    people = person_names(uow, {one.person_id for one in listed})
    units = unit_names(uow)
    # Only a teacher asks for a class. Security reads the class's name with its unit's.
    classes = {one.id: one.name for one in my_classes(uow, actor)} if actor.teaches else {}
    wanted = {one.class_id for one in listed if one.class_id} - set(classes)
    if wanted:
        classes |= _class_names(uow, wanted)
    return [
        WishLine(
            one,
            people.get(one.person_id, ""),
            classes.get(one.class_id) if one.class_id else None,
            units.get(one.unit_id, ""),
        )
        for one in listed
    ]


def _class_names(uow: UnitOfWork, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Names of classes; row security shows those of the actor's own units."""
    found = uow.execute(select(_CLASS.c.id, _CLASS.c.name).where(_CLASS.c.id.in_(set(ids))))
    return {row[0]: row[1] for row in found}


def _meant_for(kept: InForce, stands: Standing, now: datetime) -> dict[str, SiteLine]:
    """The rules that by themselves open their first example to this person, now or at another hour.
    What another rule keeps closed is left out."""
    asked = stands.asked(now)
    found = {}
    for one in kept.rules.values():
        if one.rule.effect is Effect.DENY:
            continue
        address = one.rule.examples.allowed[0]
        alone = Engine.of([one.rule]).decide(address, asked)
        got = kept.engine.decide(address, asked)
        if alone.reason in _MEANT and got.reason in _MEANT:
            found[one.rule.id] = SiteLine(one.rule, address, got.reason)
    return found


def _every_course(kept: InForce) -> frozenset[str]:
    return frozenset(slug for one in kept.rules.values() for slug in one.rule.scope.courses)


def _own_units(uow: UnitOfWork, actor: Actor) -> list[Any]:
    return list(
        uow.execute(
            select(UNIT.c.slug, UNIT.c.security_level)
            .where(UNIT.c.id.in_(actor.units(*STAFF_ROLES)))
            .order_by(UNIT.c.slug)
        )
    )
