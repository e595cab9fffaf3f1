"""The modules of a course: groups of pages that belong together, in an order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.authoring import TITLE_MOST, course, note_change
from dask_platform.features.courses.models import Item, Module
from dask_platform.features.courses.queries import NOTHING_HERE
from dask_platform.features.courses.titles import one_line, slug_for
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotAllowed, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission


def add_module(uow: UnitOfWork, actor: Actor, course_id: UUID, title: str) -> UUID:
    """A module at the end of the course."""
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    present = _ordered(uow, _of_course(course_id))
    taken = set(uow.scalars(select(Module.slug).where(Module.course_id == course_id)))
    name = one_line(title, TITLE_MOST)
    made = Module(
        id=new_id(), course_id=course_id, title=name, position=len(present) + 1,
        slug=slug_for(name, taken, fallback="modul"),
    )  # fmt: skip
    uow.add(made)
    uow.flush()
    note_change(uow, actor, course_id, module=made.id)
    return made.id


def rename_module(
    uow: UnitOfWork, actor: Actor, course_id: UUID, module_id: UUID, title: str
) -> None:
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    module(uow, course_id, module_id).title = one_line(title, TITLE_MOST)
    uow.flush()
    note_change(uow, actor, course_id, module=module_id)


def move_module(
    uow: UnitOfWork, actor: Actor, course_id: UUID, module_id: UUID, *, up: bool
) -> None:
    """One place up or down; at the end of the line nothing happens."""
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    if shift(uow, Module.position, Module.id, _of_course(course_id), module_id, up=up):
        note_change(uow, actor, course_id, module=module_id)


def why_not_delete(
    uow: UnitOfWork, course_id: UUID, module_id: UUID
) -> tuple[str, dict[str, Any]] | None:
    """What stands in the way of deleting the module, with the next step; None where nothing does.

    The sentence is a translation key, and the dictionary fills its places.
    """
    found = uow.execute(
        select(Item.published, Item.removed, func.count())
        .where(Item.module_id == module_id)
        .group_by(Item.published, Item.removed)
    ).all()
    published = sum(row[2] for row in found if row[0] and not row[1])
    drafts = sum(row[2] for row in found if not row[0] and not row[1])
    if published:
        return (
            N_(
                "This module has published pages or assignments: %(num)s. Move them to another "
                "module, or take them out of the course, then delete the module."
            ),
            {"num": published},
        )
    if drafts:
        return (
            N_(
                "This module has drafts: %(num)s. Move them to another module, or take them out "
                "of the course, then delete the module."
            ),
            {"num": drafts},
        )
    others = uow.scalar(
        select(func.count()).where(Module.course_id == course_id, Module.id != module_id)
    )
    if found and not others:
        return (
            N_(
                "Pages that were taken out of the course lie in this module, and it is the only "
                "one. Add another module first. The pages then move there."
            ),
            {},
        )
    return None


def delete_module(uow: UnitOfWork, actor: Actor, course_id: UUID, module_id: UUID) -> None:
    """Delete a module with nothing in it. Raises ``NotAllowed`` where something is.

    Pages that were taken out hold what students did, and can be brought back: they move to the
    module before, or after where this is the first.
    """
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    gone = module(uow, course_id, module_id)
    refused = why_not_delete(uow, course_id, module_id)
    if refused is not None:
        message, places = refused
        raise NotAllowed(message, **places)
    order = [row[0] for row in _ordered(uow, _of_course(course_id))]
    at = order.index(module_id)
    neighbour = order[at - 1] if at else (order[1] if len(order) > 1 else None)
    if neighbour is not None:
        uow.execute(
            update(Item)
            .where(Item.module_id == module_id)
            .values(module_id=neighbour)
            .execution_options(synchronize_session=False)
        )
    uow.delete(gone)
    uow.flush()
    note_change(uow, actor, course_id, module=module_id, change="deleted")


def module(uow: UnitOfWork, course_id: UUID, module_id: UUID) -> Module:
    """A module of the course. Raises ``NotVisible``."""
    found = uow.scalars(
        select(Module).where(Module.id == module_id, Module.course_id == course_id)
    ).one_or_none()
    if found is None:
        raise NotVisible(NOTHING_HERE)
    return found


def shift(
    uow: UnitOfWork,
    position: InstrumentedAttribute[int],
    key: InstrumentedAttribute[UUID],
    line: Select[UUID, int],
    moved: UUID,
    *,
    up: bool,
) -> bool:
    """Swap ``moved`` with its neighbour in ``line`` and number the line anew; whether it moved.

    Places are written without a new version: to move a page is not to change what it says, and
    must not undo the work of whoever is writing it. Raises ``NotVisible`` for what is not in line.
    """
    places = _ordered(uow, line)
    order = [row[0] for row in places]
    if moved not in order:
        raise NotVisible(NOTHING_HERE)
    at = order.index(moved)
    to = at - 1 if up else at + 1
    if not 0 <= to < len(order):
        return False
    order[at], order[to] = order[to], order[at]
    before = {row[0]: row[1] for row in places}
    for number, one in enumerate(order, 1):
        if before[one] != number:
            uow.execute(
                update(position.class_)
                .where(key == one)
                .values({position: number})
                .execution_options(synchronize_session=False)
            )
    return True


def _of_course(course_id: UUID) -> Select[UUID, int]:
    return (
        select(Module.id, Module.position)
        .where(Module.course_id == course_id)
        .order_by(Module.position, Module.id)
    )


def _ordered(uow: UnitOfWork, line: Select[UUID, int]) -> list[Row[UUID, int]]:
    return list(uow.execute(line).all())
