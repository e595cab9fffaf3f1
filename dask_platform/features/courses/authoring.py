"""Writing a course in the browser: the course itself.

Its modules are in ``modules.py``, pages and assignments in ``item_authoring.py``, competence aims
in ``aims.py``. A national course is edited in its files alone; a school makes a copy of it to have
one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import inspect, select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.models import CompetenceAim, Course, Item, Media, Module
from dask_platform.features.courses.queries import NOTHING_HERE, SCHOOL, UNIT
from dask_platform.features.courses.rendering import render_page
from dask_platform.features.courses.titles import one_line, slug_for
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import Conflict, Invalid, NotVisible
from dask_platform.kernel.ids import new_code, new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.names import clean_text
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, permits, rows

TITLE_MOST = 200
SUMMARY_MOST = 2000
LANGUAGES = ("nb", "nn", "en")
Copied = TypeVar("Copied", CompetenceAim, Item, Media, Module)
CHANGED = N_("Somebody else has changed this since you opened it. Nothing was overwritten.")


@dataclass(frozen=True, slots=True)
class CourseLine:
    """A course in the list. ``school`` None: a national one."""

    id: UUID
    title: str
    summary: str
    language: str
    published: bool
    own: bool


@dataclass(frozen=True, slots=True)
class SchoolLine:
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class CourseItem:
    id: UUID
    slug: str
    title: str
    kind: str
    published: bool
    removed: bool
    module_id: UUID


@dataclass(frozen=True, slots=True)
class CourseModule:
    id: UUID
    title: str
    items: list[CourseItem]


def list_courses(uow: UnitOfWork, actor: Actor) -> list[CourseLine]:
    """National courses and those of own schools; own first, then by title."""
    found = uow.scalars(
        select(Course)
        .where(rows(actor, Permission.COURSE_READ, Course), Course.withdrawn_at.is_(None))
        .order_by(Course.school_id.is_(None), Course.title, Course.id)
    )
    return [
        CourseLine(
            one.id, one.title, one.summary, one.language, one.published,
            permits(actor, Permission.COURSE_EDIT, one),
        )
        for one in found
    ]  # fmt: skip


def course(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    permission: Permission = Permission.COURSE_READ,
    *,
    lock: bool = False,
) -> Course:
    """The course, where the actor holds ``permission`` over it. Raises ``NotVisible``.

    ``lock`` holds other writers of this course off until the transaction ends.
    """
    wanted = select(Course).where(Course.id == course_id)
    if lock:
        wanted = wanted.with_for_update(of=Course).execution_options(populate_existing=True)
    found = uow.scalars(wanted).one_or_none()
    if found is None:
        raise NotVisible(NOTHING_HERE)
    authorise(actor, permission, found)
    return found


def outline(uow: UnitOfWork, course_id: UUID) -> list[CourseModule]:
    """The course's modules with all their items, drafts and withdrawn ones too."""
    modules = uow.execute(
        select(Module.id, Module.title)
        .where(Module.course_id == course_id)
        .order_by(Module.position, Module.id)
    ).all()
    found = uow.execute(
        select(
            Item.id, Item.slug, Item.title, Item.kind, Item.published, Item.removed, Item.module_id
        )
        .where(Item.course_id == course_id)
        .order_by(Item.position, Item.id)
    )
    items: dict[UUID, list[CourseItem]] = {}
    for row in found:
        items.setdefault(row.module_id, []).append(CourseItem(*row))
    return [CourseModule(row.id, row.title, items.get(row.id, [])) for row in modules]


def own_schools(uow: UnitOfWork, actor: Actor) -> list[UUID]:
    """The schools that answer for the units where the actor teaches."""
    found = uow.scalars(
        select(UNIT.c.school_id)
        .where(UNIT.c.id.in_(actor.units(Role.TEACHER)))
        .distinct()
        .order_by(UNIT.c.school_id)
    )
    return list(found)


def school_names(uow: UnitOfWork, actor: Actor) -> list[SchoolLine]:
    """The same schools with their names, by name."""
    found = uow.execute(
        select(SCHOOL.c.id, SCHOOL.c.name)
        .where(SCHOOL.c.id.in_(own_schools(uow, actor)))
        .order_by(SCHOOL.c.name)
    )
    return [SchoolLine(*row) for row in found]


def create_course(
    uow: UnitOfWork,
    actor: Actor,
    *,
    school_id: UUID,
    title: str,
    summary: str,
    language: str,
    now: datetime,
) -> UUID:
    """An empty course of an own school, not yet published."""
    authorise(actor, Permission.COURSE_CREATE)
    if school_id not in own_schools(uow, actor):
        raise NotVisible(NOTHING_HERE)
    made = _new_course(school_id, title, summary, language, now)
    uow.add(made)
    uow.flush()
    note_change(uow, actor, made.id, EventKind.COURSE_CREATED)
    return made.id


def copy_course(
    uow: UnitOfWork, actor: Actor, course_id: UUID, *, school_id: UUID, now: datetime
) -> UUID:
    """A copy for an own school to edit: pages, assignments, aims and pictures, not yet published.

    The pictures get addresses of their own, for they are seen by those who see their course.
    """
    authorise(actor, Permission.COURSE_CREATE)
    original = course(uow, actor, course_id)
    if school_id not in own_schools(uow, actor):
        raise NotVisible(NOTHING_HERE)
    made = _new_course(school_id, original.title, original.summary, original.language, now)
    uow.add(made)
    uow.flush()
    media: dict[str, UUID] = {}
    for one in uow.scalars(select(Media).where(Media.course_id == course_id)):
        copy = _copied(one, course_id=made.id)
        media[copy.name] = copy.id
        uow.add(copy)
    for aim in uow.scalars(select(CompetenceAim).where(CompetenceAim.course_id == course_id)):
        uow.add(_copied(aim, course_id=made.id))
    modules: dict[UUID, UUID] = {}
    for module in uow.scalars(select(Module).where(Module.course_id == course_id)):
        twin = _copied(module, course_id=made.id)
        modules[module.id] = twin.id
        uow.add(twin)
    uow.flush()
    items = uow.scalars(
        select(Item).where(Item.course_id == course_id, Item.removed.is_(False))
    ).all()
    slugs = {item.slug for item in items}
    for item in items:
        page = _copied(item, course_id=made.id, module_id=modules[item.module_id])
        page.body_html = render_page(item.body_source, slugs=slugs, media=media).html
        page.version, page.updated_at = 1, now
        uow.add(page)
    uow.flush()
    note_change(uow, actor, made.id, EventKind.COURSE_CREATED, copy_of=course_id)
    return made.id


def edit_course(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    *,
    version: int,
    title: str,
    summary: str,
    language: str,
    published: bool,
    now: datetime,
) -> None:
    """Change what the course is called and whether classes may be started with it.

    ``version`` is that of the course as it was shown; raises ``Conflict`` when it is another now.
    """
    held = course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    if held.version != version:
        raise Conflict(CHANGED)
    # All that may be refused comes first: a caller who shows the refusal commits nothing by it.
    title, language = one_line(title, TITLE_MOST), _language(language)
    summary = clean_text(summary, SUMMARY_MOST).strip()
    held.title, held.summary, held.language = title, summary, language
    held.published = published
    if uow.is_modified(held):
        held.updated_at = now
        uow.flush()
        note_change(uow, actor, course_id, published=published)


def _new_course(school_id: UUID, title: str, summary: str, language: str, now: datetime) -> Course:
    name = one_line(title, TITLE_MOST)
    # Part of it is chance: courses of other schools, which are not to be seen, share the list.
    slug = f"{slug_for(name, (), fallback='kurs')}-{new_code(1, 6).lower()}"
    return Course(
        id=new_id(), slug=slug, school_id=school_id, title=name, language=_language(language),
        summary=clean_text(summary, SUMMARY_MOST).strip(), published=False, updated_at=now,
    )  # fmt: skip


def _language(language: str) -> str:
    if language not in LANGUAGES:
        raise Invalid(N_("Choose one of the languages in the list."), field="language")
    return language


def _copied(row: Copied, **changed: object) -> Copied:
    """A new, unsaved row like ``row``, with an id of its own."""
    mapper = inspect(type(row))
    keys = [mapper.get_property_by_column(column).key for column in mapper.local_table.columns]
    values = {key: getattr(row, key) for key in keys}
    return type(row)(**{**values, "id": new_id(), **changed})


def note_change(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    kind: EventKind = EventKind.COURSE_CHANGED,
    **details: Any,
) -> None:
    """Note in the log what was done to the course."""
    record(uow, actor, kind, thing=("course", course_id), **details)
