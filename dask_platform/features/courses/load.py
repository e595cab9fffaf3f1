"""Putting courses that were read from files into the database, as the owner of its tables.

A course is matched by its slug, an item by its slug in the course: what students have read and
handed in hangs on the item's id and stays. An item that is gone from the files is hidden, not
deleted. Loading the same files again changes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, select, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.content import read_courses
from dask_platform.features.courses.course_content import CourseContent, ItemContent
from dask_platform.features.courses.models import (
    CompetenceAim,
    Course,
    Item,
    ItemKind,
    Media,
    Module,
)
from dask_platform.features.courses.pictures import Picture
from dask_platform.features.courses.rendering import render_page
from dask_platform.kernel.errors import ConfigurationError, Conflict, FileMissing, Invalid
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.ports import FileStore

# Two loads at once would both insert; the second waits for the first.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('dask content load'))")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading did to one course."""

    slug: str
    changed: bool
    items: int


def load_courses(
    uow: UnitOfWork, files: FileStore, courses: Iterable[CourseContent], now: datetime
) -> list[Loaded]:
    """Bring the database to what the files say. The caller commits: all the courses or none.

    Raises ``Invalid`` where a slug belongs to a course that a school made in the browser, or an
    assignment would become a page; ``StorageUnavailable`` when the file store does not answer.
    """
    uow.execute(_LOCK)
    return [_load(uow, files, content, now) for content in courses]


def load_content(uow: UnitOfWork, files: FileStore, path: Path, *, now: datetime) -> list[Loaded]:
    """Read the course in ``path``, or those inside it, and load them.

    Raises ``ConfigurationError`` with every problem, and nothing is loaded.
    """
    courses, problems = read_courses(path)
    if courses is None:
        raise ConfigurationError([str(problem) for problem in problems if not problem.warning])
    return load_courses(uow, files, courses, now)


def keep_picture(files: FileStore, picture: Picture) -> None:
    """Put the picture in the store unless it is there. By content, so nothing is ever replaced."""
    try:
        files.stat(picture.storage_key)
    except FileMissing:
        with suppress(Conflict):  # somebody put the same bytes there a moment ago
            files.put(
                picture.storage_key,
                io.BytesIO(picture.data),
                size=len(picture.data),
                sha256=picture.sha256,
            )


def _load(uow: UnitOfWork, files: FileStore, content: CourseContent, now: datetime) -> Loaded:
    for picture in content.media.values():
        keep_picture(files, picture)
    course = uow.scalars(select(Course).where(Course.slug == content.slug)).one_or_none()
    if course is not None and course.school_id is not None:
        raise Invalid(
            "The slug %(slug)s belongs to a course that a school has made. Choose another.",
            slug=content.slug,
        )
    content_hash = content.hash()
    if course is not None and course.content_hash == content_hash:
        return Loaded(content.slug, False, len(content.items))
    if course is None:
        course = Course(id=new_id(), slug=content.slug)
        uow.add(course)
    course.language, course.title = content.language, content.title
    course.summary, course.content_hash = content.summary, content_hash
    course.published, course.withdrawn_at, course.updated_at = True, None, now
    uow.flush()
    _aims(uow, course.id, content)
    media = _media(uow, course.id, content)
    _items(uow, course.id, content, _modules(uow, course.id, content), media, now)
    record(
        uow,
        None,
        EventKind.CONTENT_LOADED,
        system="content load",
        thing=("course", course.id),
        slug=content.slug,
        content_hash=content_hash,
    )
    uow.flush()
    return Loaded(content.slug, True, len(content.items))


def _aims(uow: UnitOfWork, course_id: UUID, content: CourseContent) -> None:
    uow.execute(delete(CompetenceAim).where(CompetenceAim.course_id == course_id))
    uow.add_all(
        CompetenceAim(
            course_id=course_id,
            code=aim.code,
            curriculum=aim.curriculum,
            text=aim.text,
            as_of=aim.as_of,
            verified=aim.verified,
        )
        for aim in content.aims
    )


def _media(uow: UnitOfWork, course_id: UUID, content: CourseContent) -> dict[str, UUID]:
    """The ids of the course's pictures by name. One whose bytes are the same keeps its address."""
    known = {
        (media.name, media.sha256): media
        for media in uow.scalars(select(Media).where(Media.course_id == course_id))
    }
    ids: dict[str, UUID] = {}
    for name, picture in content.media.items():
        media = known.pop((name, picture.sha256), None)
        if media is None:
            media = Media(
                id=new_id(),
                course_id=course_id,
                name=name,
                storage_key=picture.storage_key,
                sha256=picture.sha256,
                size=len(picture.data),
                mime=picture.mime,
            )
            uow.add(media)
        ids[name] = media.id
    for gone in known.values():
        uow.delete(gone)
    return ids


def _modules(uow: UnitOfWork, course_id: UUID, content: CourseContent) -> dict[str, UUID]:
    """The ids of the course's modules by slug. One that is gone stays, empty, behind the others."""
    known = {
        module.slug: module
        for module in uow.scalars(select(Module).where(Module.course_id == course_id))
    }
    ids: dict[str, UUID] = {}
    for position, wanted in enumerate(content.modules, 1):
        module = known.pop(wanted.slug, None)
        if module is None:
            module = Module(id=new_id(), course_id=course_id, slug=wanted.slug)
            uow.add(module)
        module.title, module.position = wanted.title, position
        ids[wanted.slug] = module.id
    for position, gone in enumerate(known.values(), len(content.modules) + 1):
        gone.position = position
    uow.flush()
    return ids


def _items(
    uow: UnitOfWork,
    course_id: UUID,
    content: CourseContent,
    modules: dict[str, UUID],
    media: dict[str, UUID],
    now: datetime,
) -> None:
    known = {
        item.slug: item for item in uow.scalars(select(Item).where(Item.course_id == course_id))
    }
    slugs = {item.slug for item in content.items}
    for module in content.modules:
        for position, wanted in enumerate(module.items, 1):
            item = known.pop(wanted.slug, None)
            if item is None:
                item = Item(id=new_id(), course_id=course_id, slug=wanted.slug)
                uow.add(item)
            _refuse_change_of_kind(item, wanted)
            item.module_id, item.position = modules[module.slug], position
            item.body_html = render_page(wanted.source, slugs=slugs, media=media).html
            _fill(item, wanted)
            if uow.is_modified(item):
                item.updated_at = now
    for gone in known.values():
        if not gone.removed:
            gone.removed, gone.updated_at = True, now


def _refuse_change_of_kind(item: Item, wanted: ItemContent) -> None:
    if item.kind == ItemKind.ASSIGNMENT and wanted.grading is None:
        raise Invalid(
            "%(file)s: the assignment %(slug)s cannot become a page, for work may hang on it."
            " Give the page another slug.",
            file=wanted.file,
            slug=wanted.slug,
        )


def _fill(item: Item, wanted: ItemContent) -> None:
    item.kind = ItemKind.PAGE if wanted.grading is None else ItemKind.ASSIGNMENT
    item.title, item.body_source, item.aims = wanted.title, wanted.source, list(wanted.aims)
    item.published, item.removed = True, False
    item.grading, item.text_wanted = wanted.grading, wanted.text_wanted
    item.files_most, item.file_bytes_most = wanted.files_most, wanted.file_bytes_most
    item.file_types = list(wanted.file_types)
