"""What the reads of courses and classes answer with: plain frozen data, nothing loaded later."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from dask_platform.features.courses.models import ItemKind


def _time(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


@dataclass(frozen=True, slots=True)
class ClassView:
    """A class. ``ended_at`` None: it is going on."""

    id: UUID
    name: str
    unit_id: UUID
    course_id: UUID
    course_title: str
    course_language: str
    unit_name: str
    ended_at: datetime | None


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

    @classmethod
    def from_json(cls, item_id: str, *middle: Any) -> ItemView:
        """From the columns as PostgreSQL writes them in JSON, in this order."""
        slug, title, kind, published, module_id, module_title, read, due_at, cutoff_at = middle
        return cls(
            UUID(item_id),
            slug,
            title,
            kind,
            published,
            UUID(module_id),
            module_title,
            read,
            _time(due_at),
            _time(cutoff_at),
        )


@dataclass(frozen=True, slots=True)
class AssignmentView:
    """An assignment in a class. ``body_html`` is clean and its links are stored ones (see
    ``rendering.place_links``); it is empty in lists. A class that has ended has closed all of its
    assignments, so then ``cutoff_at`` is no later than the end."""

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
    """A competence aim. ``verified``: code and text were compared with Grep."""

    id: UUID
    code: str
    curriculum: str
    text: str
    as_of: date
    verified: bool

    @classmethod
    def from_json(
        cls, aim_id: str, code: str, curriculum: str, text: str, as_of: str, verified: bool
    ) -> AimView:
        """From the columns as PostgreSQL writes them in JSON, in this order."""
        return cls(UUID(aim_id), code, curriculum, text, date.fromisoformat(as_of), verified)

    def stamp(self) -> str:
        """Another one for any other wording, so that a change by somebody else is noticed."""
        told = "\0".join((self.code, self.curriculum, self.text, str(self.verified)))
        return hashlib.sha256(told.encode()).hexdigest()


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
class OverviewView:
    """A class as its first page has it."""

    in_class: ClassView
    teachers: list[StudentView]
    contents: list[ItemView]


@dataclass(frozen=True, slots=True)
class MediaView:
    storage_key: str
    mime: str
    size: int
    sha256: str
