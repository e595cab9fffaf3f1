"""What the operator does at the command line, as the owner of the tables.

Nobody is logged in there: who may run the command is the operating system's business. The log
says ``command line``.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity.models import Person, School, SecurityLevel, Unit
from dask_platform.features.identity.service import people, rooms
from dask_platform.features.identity.service.names import normal_username
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import Invalid, NotAllowed
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.passwords import PasswordHasher

SYSTEM: Final = "command line"
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def add_unit(
    uow: UnitOfWork,
    slug: str,
    name: str,
    level: SecurityLevel,
    school_slug: str,
    school_name: str | None,
) -> UUID:
    """A unit, and its school if ``school_name`` is given for one that is not there yet."""
    for text in (slug, school_slug):
        if len(text) > 60 or _SLUG.fullmatch(text) is None:
            raise Invalid(N_("A short name has letters a to z, numbers and lines, such as oslo-a."))
    if uow.scalar(select(Unit.id).where(Unit.slug == slug)) is not None:
        raise Invalid(N_("There is a unit with this short name already."))
    school_id = uow.scalar(select(School.id).where(School.slug == school_slug))
    if school_id is None:
        if not school_name:
            raise Invalid(N_("There is no such school. Give its name too, with --school-name."))
        school_id = new_id()
        uow.execute(insert(School).values(id=school_id, slug=school_slug, name=school_name[:200]))
    unit_id = new_id()
    uow.execute(
        insert(Unit).values(
            id=unit_id, slug=slug, name=name[:200], security_level=str(level), school_id=school_id
        )
    )
    audit.record(
        uow, None, EventKind.UNIT_ADDED, unit_id=unit_id, thing=("unit", unit_id), system=SYSTEM
    )
    return unit_id


def add_room(uow: UnitOfWork, unit_slug: str, name: str, network: str) -> UUID:
    """A room of a unit; see ``rooms.make_room``."""
    unit_id = unit_named(uow, unit_slug)
    room_id = rooms.make_room(uow, unit_id, name, network)
    audit.record(
        uow,
        None,
        EventKind.ROOM_CHANGED,
        unit_id=unit_id,
        thing=("room", room_id),
        system=SYSTEM,
        what="room_added",
        network=network.strip(),
    )
    return room_id


def add_person(
    uow: UnitOfWork,
    hasher: PasswordHasher,
    username: str,
    display_name: str,
    role: Role,
    unit_slug: str,
    now: datetime,
) -> str:
    """A local account with one role; the one-time password. The first operator comes this way."""
    unit_id = unit_named(uow, unit_slug)
    person_id, password = people.make_person(
        uow,
        hasher,
        username=username,
        display_name=display_name,
        role=role,
        unit_id=unit_id,
        now=now,
    )
    audit.record(
        uow,
        None,
        EventKind.PERSON_CREATED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        system=SYSTEM,
        role=str(role),
    )
    return password


def reset_password(uow: UnitOfWork, hasher: PasswordHasher, username: str, now: datetime) -> str:
    """A new one-time password for a local account."""
    person = uow.scalar(select(Person).where(Person.username == normal_username(username)))
    if person is None:
        raise Invalid(N_("There is no account with this user name."))
    if person.directory_key is not None:
        raise NotAllowed(N_("The password of this person is kept by the county. Change it there."))
    password = people.replace_password(uow, hasher, person.id, now)
    audit.record(
        uow,
        None,
        EventKind.PASSWORD_RESET,
        thing=("person", person.id),
        subject_id=person.id,
        system=SYSTEM,
    )
    return password


def unit_named(uow: UnitOfWork, slug: str) -> UUID:
    """The unit with this short name. Raises ``Invalid``."""
    found = uow.scalar(select(Unit.id).where(Unit.slug == slug))
    if found is None:
        raise Invalid(N_("There is no unit with the short name %(slug)s."), slug=slug)
    return found
