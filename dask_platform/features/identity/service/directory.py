"""Keeping people in step with the county's directory.

A person of the directory is read anew at each log-in; ``people sync`` does the same for everybody
and closes the accounts of those who are gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import func, select, text, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity.models import Person, Placement, StaffRole
from dask_platform.features.identity.service import sessions
from dask_platform.features.identity.service.names import USERNAME_MOST, normal_username
from dask_platform.kernel.errors import AccountRefused, DaskError, NotAllowed
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import DirectoryPerson
from dask_platform.security.names import clean_display_name

SYNC_PERSON = text(
    "SELECT dask_directory_person(:key, :username, :name, CAST(:grants AS jsonb),"
    " CAST(:address AS inet), :request)"
)
SYSTEM = "people sync"
log = structlog.get_logger("dask.people")


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """What ``people sync`` did. ``refused`` are (user name, reason) of those of whom it could make
    no account."""

    present: int
    created: int
    deactivated: int
    refused: tuple[tuple[str, str], ...]
    sessions_ended: int


def sync_person(uow: UnitOfWork, person: DirectoryPerson) -> UUID:
    """Make our person match what the directory says of them now; their id.

    Call it before anybody is the actor. Raises ``AccountRefused`` with a reason for the operator:
    the name belongs to somebody else (a local account never gives way), no group gives a role, the
    account is closed here, or a student would become staff.
    """
    username = normal_username(person.username)
    if not username or len(username) > USERNAME_MOST:
        raise AccountRefused("user name empty or too long")
    try:
        name = clean_display_name(person.display_name)
    except DaskError:
        name = username
    grants = [{"role": role, "unit": unit} for role, unit in sorted(person.grants)]
    answer = uow.execute(
        SYNC_PERSON,
        {
            "key": person.key,
            "username": username,
            "name": name,
            "grants": json.dumps(grants),
            "address": uow.origin.address,
            "request": uow.origin.request_id,
        },
    ).scalar_one()
    if "refused" in answer:
        log.warning("directory_person_refused", reason=answer["refused"])
        raise AccountRefused(answer["refused"])
    return UUID(answer["person"])


def sync_people(
    uow: UnitOfWork, people: Iterable[DirectoryPerson], now: datetime, *, force: bool = False
) -> SyncCounts:
    """Bring everybody in step. ``uow`` belongs to the owner of the tables.

    Whoever is no longer in the directory, or not active there, is deactivated, and their sessions
    end. Who is only locked out by wrong passwords stays: a student could type those under a
    teacher's name, and nobody but an operator opens a closed account again.

    Raises ``NotAllowed`` when that would be more than half of all, unless ``force``: an empty
    answer from a directory in trouble must not close the school.
    """
    present = {person.key: person for person in people if person.active or person.locked_out}
    known: dict[str, UUID] = {
        row.directory_key: row.id
        for row in uow.execute(
            select(Person.directory_key, Person.id).where(
                Person.directory_key.is_not(None), Person.active
            )
        )
    }
    gone = [person_id for key, person_id in known.items() if key not in present]
    if len(gone) * 2 > len(known) and not force:
        raise NotAllowed(
            N_(
                "The directory no longer has %(gone)s of %(all)s people. Nothing was changed. Use"
                " --force if this is right."
            ),
            gone=len(gone),
            all=len(known),
        )
    ended = sum(_deactivate(uow, person_id, now) for person_id in gone)
    refused = []
    for person in present.values():
        try:
            sync_person(uow, person)
        except AccountRefused as error:
            refused.append((person.username, error.reason))
    ended += _end_sessions_without_role(uow, now)
    return SyncCounts(
        present=len(present),
        created=len(present) - len(refused) - len(known.keys() & present.keys()),
        deactivated=len(gone),
        refused=tuple(refused),
        sessions_ended=ended,
    )


def _deactivate(uow: UnitOfWork, person_id: UUID, now: datetime) -> int:
    uow.execute(
        update(Person).where(Person.id == person_id).values(active=False, deactivated_at=now)
    )
    uow.execute(
        update(StaffRole)
        .where(
            StaffRole.person_id == person_id,
            StaffRole.source == "directory",
            StaffRole.ends_at.is_(None),
        )
        .values(ends_at=func.greatest(func.now(), StaffRole.starts_at))
    )
    ended = sessions.end_of_person(uow, person_id, now, sessions.EndReason.ACCOUNT_CLOSED)
    unit_id = uow.scalar(
        select(Placement.unit_id).where(
            Placement.person_id == person_id, Placement.ends_at.is_(None)
        )
    )
    audit.record(
        uow,
        None,
        EventKind.PERSON_DEACTIVATED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        system=SYSTEM,
    )
    return ended


def _end_sessions_without_role(uow: UnitOfWork, now: datetime) -> int:
    """Staff of the directory who kept their account and lost every role."""
    roles = select(StaffRole.person_id).where(StaffRole.ends_at.is_(None))
    people = uow.scalars(
        select(Person.id).where(
            Person.directory_key.is_not(None), Person.kind == "staff", Person.id.not_in(roles)
        )
    ).all()
    return sum(
        sessions.end_of_person(uow, person_id, now, sessions.EndReason.ROLE) for person_id in people
    )
