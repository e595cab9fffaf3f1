"""The competence aims of a course that is written in the browser.

An aim is pinned: its code and its words as they were on the day somebody wrote them down. Pages and
assignments name aims by code, so a new code follows to them, and an aim that is removed is taken
from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.authoring import CHANGED, course, note_change
from dask_platform.features.courses.content import CODE
from dask_platform.features.courses.models import CompetenceAim, Item
from dask_platform.features.courses.queries import AIMS, NOTHING_HERE
from dask_platform.features.courses.shapes import AimView
from dask_platform.features.courses.titles import one_line
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.clock import to_oslo
from dask_platform.kernel.errors import Conflict, Invalid, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission

CODE_MOST = 20
TEXT_MOST = 4000


@dataclass(frozen=True, slots=True)
class AimText:
    """What a teacher has typed."""

    code: str
    curriculum: str
    text: str
    verified: bool


def list_aims(uow: UnitOfWork, actor: Actor, course_id: UUID) -> list[AimView]:
    """The course's aims by code, for those who may read the course. Raises ``NotVisible``."""
    course(uow, actor, course_id)
    return [AimView(*row) for row in uow.execute(AIMS.where(CompetenceAim.course_id == course_id))]


def aim(uow: UnitOfWork, actor: Actor, course_id: UUID, aim_id: UUID) -> AimView:
    """One aim, to change. Raises ``NotVisible``."""
    course(uow, actor, course_id, Permission.COURSE_EDIT)
    row = uow.execute(
        AIMS.where(CompetenceAim.course_id == course_id, CompetenceAim.id == aim_id)
    ).first()
    if row is None:
        raise NotVisible(NOTHING_HERE)
    return AimView(*row)


def uses(uow: UnitOfWork, course_id: UUID) -> dict[str, list[str]]:
    """By code: the titles of the pages and assignments that serve the aim."""
    found: dict[str, list[str]] = {}
    for title, codes in uow.execute(
        select(Item.title, Item.aims)
        .where(Item.course_id == course_id, Item.removed.is_(False))
        .order_by(Item.title, Item.id)
    ):
        for code in codes:
            found.setdefault(code, []).append(title)
    return found


def add_aim(uow: UnitOfWork, actor: Actor, course_id: UUID, typed: AimText, now: datetime) -> UUID:
    """A new aim of the course, pinned today.

    Raises ``Invalid`` for a code that is none, or that the course has already.
    """
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    made = CompetenceAim(
        id=new_id(), course_id=course_id, **_values(uow, course_id, typed, None, now)
    )
    uow.add(made)
    uow.flush()
    note_change(uow, actor, course_id, aim=made.id, change="added")
    return made.id


def save_aim(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    aim_id: UUID,
    typed: AimText,
    *,
    seen: str,
    now: datetime,
) -> None:
    """Change an aim. ``seen`` is the stamp of the aim as it was shown.

    Raises ``Conflict`` when somebody else has changed it since, ``Invalid`` as ``add_aim`` does.
    """
    held = _held(uow, actor, course_id, aim_id)
    if aim(uow, actor, course_id, aim_id).stamp() != seen:
        raise Conflict(CHANGED)
    old = held.code
    values = _values(uow, course_id, typed, aim_id, now)
    if all(getattr(held, name) == value for name, value in values.items() if name != "as_of"):
        return  # pinned as it was, on the day it was
    for name, value in values.items():
        setattr(held, name, value)
    uow.flush()
    if held.code != old:
        _rewrite(uow, course_id, old, func.array_replace(Item.aims, old, held.code))
    note_change(uow, actor, course_id, aim=aim_id, change="saved")


def remove_aim(uow: UnitOfWork, actor: Actor, course_id: UUID, aim_id: UUID) -> None:
    """Take the aim out of the course and off the pages and assignments that name it."""
    held = _held(uow, actor, course_id, aim_id)
    _rewrite(uow, course_id, held.code, func.array_remove(Item.aims, held.code))
    uow.delete(held)
    uow.flush()
    note_change(uow, actor, course_id, aim=aim_id, change="removed")


def _held(uow: UnitOfWork, actor: Actor, course_id: UUID, aim_id: UUID) -> CompetenceAim:
    """The aim, with the course locked: two teachers write one after the other."""
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    found = uow.scalars(
        select(CompetenceAim)
        .where(CompetenceAim.id == aim_id, CompetenceAim.course_id == course_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotVisible(NOTHING_HERE)
    return found


def _values(
    uow: UnitOfWork, course_id: UUID, typed: AimText, own: UUID | None, now: datetime
) -> dict[str, Any]:
    """The columns for what was typed. ``own`` is the aim that may keep its code."""
    code = _code(typed.code, "code")
    curriculum = _code(typed.curriculum, "curriculum")
    taken = uow.scalar(
        select(CompetenceAim.id).where(
            CompetenceAim.course_id == course_id, CompetenceAim.code == code
        )
    )
    if taken not in (None, own):
        raise Invalid(N_("The course has an aim with this code already."), field="code")
    return {
        "code": code,
        "curriculum": curriculum,
        "text": one_line(typed.text, TEXT_MOST),
        "as_of": to_oslo(now).date(),
        "verified": typed.verified,
    }


def _code(raw: str, field: str) -> str:
    code = "".join(raw.split()).upper()
    if len(code) > CODE_MOST or not CODE.fullmatch(code):
        raise Invalid(
            N_("Write a code such as KM1234 or NOR01-06: letters, then numbers."), field=field
        )
    return code


def _rewrite(uow: UnitOfWork, course_id: UUID, code: str, aims: Any) -> None:
    """New lists of aims for the items that name ``code``.

    Without a new version, for what a page says has not changed: whoever is writing it may save.
    """
    uow.execute(
        update(Item)
        .where(Item.course_id == course_id, Item.aims.contains([code]))
        .values(aims=aims)
        .execution_options(synchronize_session=False)
    )
