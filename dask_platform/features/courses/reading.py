"""That a student has read a page: noted at the first opening, in the class it was opened in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.models import CourseClass, Reading
from dask_platform.features.courses.shapes import PageView
from dask_platform.kernel.actor import Actor
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import permits


def mark_read(uow: UnitOfWork, actor: Actor, page: PageView, now: datetime) -> None:
    """Note the first opening by a student of the class; anybody else's opening is not noted.

    A page that was open before costs no statement; two openings at once leave one row.
    """
    if not permits(actor, Permission.CLASS_ATTEND, CourseClass(id=page.in_class.id)):
        return
    if any(one.item_id == page.item_id and one.read for one in page.contents):
        return
    uow.execute(
        insert(Reading)
        .values(
            person_id=actor.person_id,
            class_id=page.in_class.id,
            item_id=page.item_id,
            first_at=now,
        )
        .on_conflict_do_nothing()
    )
