"""What the reads of courses and classes answer with: plain frozen data, nothing loaded later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dask_platform.features.courses.models import ItemKind


@dataclass(frozen=True, slots=True)
class ClassView:
    id: UUID
    name: str
    unit_id: UUID
    course_id: UUID
    course_title: str
    course_language: str
    unit_name: str


@dataclass(frozen=True, slots=True)
class ItemView:
    """A line in a class's table of contents. ``read``: by the actor."""

    item_id: UUID
    slug: str
    title: str
    kind: str
    published: bool
    module_id: UUID
    module_title: str
    read: bool
    due_at: datetime | None
    cutoff_at: datetime | None

    @property
    def is_page(self) -> bool:
        return self.kind == ItemKind.PAGE


@dataclass(frozen=True, slots=True)
class AssignmentView:
    """An assignment in a class. ``body_html`` is clean and its links are stored ones (see
    ``rendering.place_links``); it is empty in lists."""

    class_id: UUID
    class_name: str
    unit_id: UUID
    course_title: str
    course_language: str
    item_id: UUID
    slug: str
    title: str
    body_html: str
    grading: str
    text_wanted: bool
    files_most: int
    file_bytes_most: int
    file_types: tuple[str, ...]
    due_at: datetime | None
    cutoff_at: datetime | None
    published: bool
    removed: bool


@dataclass(frozen=True, slots=True)
class AimView:
    code: str
    curriculum: str
    text: str


@dataclass(frozen=True, slots=True)
class PageView:
    """One page as it is stored, with what stands around it."""

    in_class: ClassView
    item_id: UUID
    slug: str
    title: str
    kind: str
    published: bool
    body_html: str
    aims: list[AimView]
    contents: list[ItemView]

    def neighbours(self) -> tuple[ItemView | None, ItemView | None]:
        """What comes before and after in the table of contents."""
        at = [one.item_id for one in self.contents].index(self.item_id)
        before = self.contents[at - 1] if at else None
        after = self.contents[at + 1] if at + 1 < len(self.contents) else None
        return before, after


@dataclass(frozen=True, slots=True)
class StudentView:
    person_id: UUID
    display_name: str
    username: str


@dataclass(frozen=True, slots=True)
class MediaView:
    storage_key: str
    mime: str
    size: int
    sha256: str
