"""Writing pages and assignments in the browser, and putting pictures into a course.

What is a draft may have mistakes in it: they are named, and left out of what is shown. What is
published has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy import Select, func, select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.authoring import (
    CHANGED,
    TITLE_MOST,
    course,
    note_change,
)
from dask_platform.features.courses.load import keep_picture
from dask_platform.features.courses.models import CompetenceAim, Item, ItemKind, Media, Module
from dask_platform.features.courses.modules import module, shift
from dask_platform.features.courses.pictures import EXTENSIONS, check_picture
from dask_platform.features.courses.queries import NOTHING_HERE, AimView, course_aims
from dask_platform.features.courses.rendering import link_to, render_page
from dask_platform.features.courses.titles import one_line, slug_for
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Conflict, Invalid, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import FileStore, Scanner
from dask_platform.security.markdown import MAX_CHARS, Rendered
from dask_platform.security.names import clean_text
from dask_platform.security.permissions import Permission
from dask_platform.security.problems import Problem

MEGABYTE = 1024 * 1024


class NotPublishable(Invalid):
    """The page has mistakes in it, so it stays a draft. ``problems`` has each, with its line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(N_("The page has mistakes in it, so it cannot be published yet."))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ItemText:
    """What a teacher has typed. ``grading`` None on a page; sizes in bytes; ``aims``: codes."""

    title: str
    source: str
    module_id: UUID
    published: bool
    grading: str | None = None
    text_wanted: bool = True
    files_most: int = 0
    file_bytes_most: int = 20 * MEGABYTE
    file_types: tuple[str, ...] = ()
    aims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkingPage:
    """A page or assignment that has a link to another one."""

    id: UUID
    slug: str
    title: str
    published: bool


@dataclass(frozen=True, slots=True)
class CoursePage:
    """A page as the course's teachers see it, outside any class."""

    title: str
    kind: str
    published: bool
    body_html: str
    aims: list[AimView]
    slugs: frozenset[str]


def add_item(
    uow: UnitOfWork, actor: Actor, course_id: UUID, kind: ItemKind, typed: ItemText, now: datetime
) -> UUID:
    """A page or assignment at the end of a module.

    Raises ``NotPublishable`` when it is to be published and has mistakes, ``Invalid`` otherwise.
    """
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    module(uow, course_id, typed.module_id)
    taken = set(uow.scalars(select(Item.slug).where(Item.course_id == course_id)))
    title = one_line(typed.title, TITLE_MOST)
    fallback = "oppgave" if kind is ItemKind.ASSIGNMENT else "side"
    made = Item(
        id=new_id(), course_id=course_id, kind=kind, removed=False,
        slug=slug_for(title, taken, fallback=fallback),
        position=_last_place(uow, typed.module_id) + 1,
    )  # fmt: skip
    _fill(uow, made, typed, now)
    uow.add(made)
    uow.flush()
    _note(uow, actor, made, "added")
    return made.id


def save_item(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    item_id: UUID,
    typed: ItemText,
    *,
    version: int,
    now: datetime,
) -> None:
    """Keep what was typed. ``version`` is that of the page it was typed upon.

    Raises ``Conflict`` when somebody else has saved another text since, and keeps theirs.
    """
    held = item(uow, actor, course_id, item_id, lock=True)
    module(uow, course_id, typed.module_id)
    if held.version != version:
        raise Conflict(CHANGED)
    moved = held.module_id != typed.module_id
    place = _last_place(uow, typed.module_id) + 1 if moved else held.position
    _fill(uow, held, typed, now)
    held.position = place
    uow.flush()
    _note(uow, actor, held, "saved")


def preview(uow: UnitOfWork, actor: Actor, course_id: UUID, source: str) -> Rendered:
    """The page as it would be stored, and its mistakes. Nothing is kept."""
    course(uow, actor, course_id, Permission.COURSE_EDIT)
    return _render(uow, course_id, clean_text(source, MAX_CHARS))


def set_published(
    uow: UnitOfWork, actor: Actor, course_id: UUID, item_id: UUID, published: bool, now: datetime
) -> None:
    """Show the page to the classes, or hide it. Raises ``NotPublishable``."""
    held = item(uow, actor, course_id, item_id, lock=True)
    if held.published == published:
        return
    if published:
        rendered = _render(uow, course_id, held.body_source)
        if rendered.problems:
            raise NotPublishable(rendered.problems)
        held.body_html = rendered.html
    held.published, held.updated_at = published, now
    uow.flush()
    _note(uow, actor, held, "published" if published else "unpublished")


def withdraw(
    uow: UnitOfWork, actor: Actor, course_id: UUID, item_id: UUID, withdrawn: bool, now: datetime
) -> None:
    """Take the page out of the course, or back in as a draft. What students did with it is kept."""
    held = item(uow, actor, course_id, item_id, lock=True, withdrawn=True)
    if held.removed == withdrawn:
        return
    held.removed, held.updated_at = withdrawn, now
    if not withdrawn:
        held.published = False
        held.position = _last_place(uow, held.module_id) + 1
    uow.flush()
    _note(uow, actor, held, "withdrawn" if withdrawn else "restored")


def move_item(uow: UnitOfWork, actor: Actor, course_id: UUID, item_id: UUID, *, up: bool) -> None:
    """One place up or down in its module; at the end of the line nothing happens."""
    held = item(uow, actor, course_id, item_id, lock=True)
    line: Select[UUID, int] = (
        select(Item.id, Item.position)
        .where(Item.module_id == held.module_id, Item.removed.is_(False))
        .order_by(Item.position, Item.id)
    )
    if shift(uow, Item.position, Item.id, line, item_id, up=up):
        _note(uow, actor, held, "moved")


def add_picture(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    data: bytes,
    *,
    name: str,
    files: FileStore,
    scanner: Scanner,
) -> str:
    """Put a picture into the course; the name to write in a page.

    ``name`` is what the sender's machine calls it. The bytes go to the store first and the row
    after; a picture whose row did not come is removed by the reconciliation. Raises ``TooLarge``
    and ``Invalid`` for what is no picture, ``ScannerUnavailable``, ``StorageUnavailable``.
    """
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=True)
    picture = check_picture(data)
    if not scanner.scan(iter([data])).clean:
        raise Invalid(N_("The virus scanner stopped this picture. It was not kept."))
    present = uow.execute(select(Media.name, Media.sha256).where(Media.course_id == course_id))
    known: dict[str, str] = {row.name: row.sha256 for row in present}
    same = next((one for one, sha256 in known.items() if sha256 == picture.sha256), None)
    if same is not None:
        return same
    extension = EXTENSIONS[picture.mime][0]
    stems = {one.rpartition(".")[0] for one in known}
    stem = slug_for(PurePosixPath(name.replace("\\", "/")).stem, stems, fallback="bilde")
    keep_picture(files, picture)
    made = Media(
        id=new_id(), course_id=course_id, name=f"{stem}.{extension}", mime=picture.mime,
        storage_key=picture.storage_key, sha256=picture.sha256, size=len(picture.data),
    )  # fmt: skip
    uow.add(made)
    uow.flush()
    note_change(uow, actor, course_id, picture=made.id, sha256=made.sha256)
    return str(made.name)


def picture_markdown(name: str, description: str) -> str:
    """How a page names the picture. ``description`` is what those hear who do not see it."""
    words = one_line(description, 500)
    for mark, instead in (("\\", ""), ("[", "("), ("]", ")"), ("`", "'"), ("<", "‹")):
        words = words.replace(mark, instead)
    return f"![{words}]({name})"


def picture_names(uow: UnitOfWork, course_id: UUID) -> dict[str, UUID]:
    """The course's pictures, by name."""
    found = uow.execute(
        select(Media.name, Media.id).where(Media.course_id == course_id).order_by(Media.name)
    )
    return {row.name: row.id for row in found}


def item(
    uow: UnitOfWork,
    actor: Actor,
    course_id: UUID,
    item_id: UUID,
    *,
    lock: bool = False,
    withdrawn: bool = False,
) -> Item:
    """An item to edit. ``lock`` holds other writers off. Raises ``NotVisible``."""
    course(uow, actor, course_id, Permission.COURSE_EDIT, lock=lock)
    wanted = select(Item).where(Item.id == item_id, Item.course_id == course_id)
    if not withdrawn:
        wanted = wanted.where(Item.removed.is_(False))
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    found = uow.scalars(wanted).one_or_none()
    if found is None:
        raise NotVisible(NOTHING_HERE)
    return found


def linking_pages(
    uow: UnitOfWork, actor: Actor, course_id: UUID, item_id: UUID
) -> list[LinkingPage]:
    """What in the course links to this page, in the course's order. Raises ``NotVisible``.

    Where the page is hidden, those links are shown as plain words.
    """
    held = item(uow, actor, course_id, item_id)
    found = uow.execute(
        select(Item.id, Item.slug, Item.title, Item.published)
        .join(Module, Module.id == Item.module_id)
        .where(
            Item.course_id == course_id,
            Item.id != item_id,
            Item.removed.is_(False),
            Item.body_html.contains(link_to(held.slug), autoescape=True),
        )
        .order_by(Module.position, Item.position, Item.id)
    )
    return [LinkingPage(*row) for row in found]


def course_page(uow: UnitOfWork, actor: Actor, course_id: UUID, slug: str) -> CoursePage:
    """A page of a course that the actor may read, also a draft. Raises ``NotVisible``."""
    course(uow, actor, course_id, Permission.COURSE_READ)
    found = uow.scalars(
        select(Item).where(Item.course_id == course_id, Item.slug == slug, Item.removed.is_(False))
    ).one_or_none()
    if found is None:
        raise NotVisible(NOTHING_HERE)
    return CoursePage(
        found.title, found.kind, found.published, found.body_html,
        course_aims(uow, course_id, found.aims), frozenset(_slugs(uow, course_id)),
    )  # fmt: skip


def _fill(uow: UnitOfWork, held: Item, typed: ItemText, now: datetime) -> None:
    source = clean_text(typed.source, MAX_CHARS).strip() + "\n"
    with uow.no_autoflush:
        rendered = _render(uow, held.course_id, source)
    # All that may be refused comes first: a caller who shows the refusal commits nothing by it.
    title = one_line(typed.title, TITLE_MOST)
    if typed.published and rendered.problems:
        raise NotPublishable(rendered.problems)
    aims = sorted(set(typed.aims))
    with uow.no_autoflush:
        _check_aims(uow, held.course_id, aims)
    if held.kind == ItemKind.ASSIGNMENT:
        if not typed.text_wanted and not typed.files_most:
            raise Invalid(
                N_("An assignment asks for a text, for files, or for both."), field="text_wanted"
            )
        if typed.files_most and not typed.file_types:
            raise Invalid(N_("Choose which kinds of file are taken."), field="file_types")
        held.grading, held.text_wanted = typed.grading, typed.text_wanted
        held.files_most, held.file_bytes_most = typed.files_most, typed.file_bytes_most
        held.file_types = list(typed.file_types)
    held.title, held.aims = title, aims
    held.module_id = typed.module_id
    held.body_source, held.body_html = source, rendered.html
    held.published, held.updated_at = typed.published, now


def _check_aims(uow: UnitOfWork, course_id: UUID, codes: list[str]) -> None:
    if not codes:
        return
    known = uow.scalars(select(CompetenceAim.code).where(CompetenceAim.course_id == course_id))
    if not set(codes) <= set(known):
        raise Invalid(N_("Choose among the competence aims of the course."), field="aims")


def _render(uow: UnitOfWork, course_id: UUID, source: str) -> Rendered:
    return render_page(source, slugs=_slugs(uow, course_id), media=picture_names(uow, course_id))


def _slugs(uow: UnitOfWork, course_id: UUID) -> set[str]:
    return set(
        uow.scalars(select(Item.slug).where(Item.course_id == course_id, Item.removed.is_(False)))
    )


def _last_place(uow: UnitOfWork, module_id: UUID) -> int:
    last = uow.scalar(select(func.max(Item.position)).where(Item.module_id == module_id))
    return int(last or 0)


def _note(uow: UnitOfWork, actor: Actor, held: Item, change: str) -> None:
    note_change(uow, actor, held.course_id, item=held.id, change=change)
