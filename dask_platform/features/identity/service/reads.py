"""Staff reading about people is an event too."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.kernel.actor import Actor


def note_list_read(uow: UnitOfWork, actor: Actor, unit_ids: Iterable[UUID]) -> None:
    """The actor saw the people of these units: one event a unit, so that its security sees it."""
    for unit_id in unit_ids:
        audit.record(
            uow, actor, EventKind.PERSON_LIST_READ, unit_id=unit_id, thing=("unit", unit_id)
        )


def note_person_read(uow: UnitOfWork, actor: Actor, person_id: UUID, unit_id: UUID | None) -> None:
    """The actor opened one person's page."""
    audit.record(
        uow,
        actor,
        EventKind.PERSON_LIST_READ,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
    )
