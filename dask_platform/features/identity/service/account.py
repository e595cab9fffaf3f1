"""One's own account: what a person may change about themselves."""

from __future__ import annotations

from sqlalchemy import update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity.models import Person
from dask_platform.kernel.actor import Actor


def set_locale(uow: UnitOfWork, actor: Actor, locale: str) -> None:
    """Choose the language of the interface; the caller has checked that there is such a one."""
    uow.execute(update(Person).where(Person.id == actor.person_id).values(locale=locale))
    audit.record(
        uow,
        actor,
        EventKind.PERSON_CHANGED,
        thing=("person", actor.person_id),
        subject_id=actor.person_id,
        what="locale",
        locale=locale,
    )
