"""A course as it was read from files, whole and without a mistake."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import date

from dask_platform.features.courses.pictures import Picture

_HASH_FORM = 1
"""Part of every course's hash: raise it when loading makes something else of the same files."""


@dataclass(frozen=True, slots=True)
class Aim:
    code: str
    curriculum: str
    text: str
    as_of: date
    verified: bool = False


@dataclass(frozen=True, slots=True)
class ItemContent:
    """A page, or an assignment where ``grading`` is set. ``source`` names slugs, not files."""

    file: str
    slug: str
    title: str
    aims: tuple[str, ...] = ()
    grading: str | None = None
    text_wanted: bool = True
    files_most: int = 0
    file_bytes_most: int = 20 * 1024 * 1024
    file_types: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class ModuleContent:
    slug: str
    title: str
    items: tuple[ItemContent, ...]


@dataclass(frozen=True, slots=True)
class CourseContent:
    """A course that may be loaded. ``media``: pictures by name."""

    slug: str
    language: str
    title: str
    summary: str
    aims: tuple[Aim, ...]
    modules: tuple[ModuleContent, ...]
    media: dict[str, Picture] = field(repr=False)

    @property
    def items(self) -> list[ItemContent]:
        return [item for module in self.modules for item in module.items]

    def hash(self) -> str:
        """SHA-256 over all that loading would store."""
        told = {
            "form": _HASH_FORM,
            "course": asdict(replace(self, media={})),
            "media": {name: picture.sha256 for name, picture in self.media.items()},
        }
        text = json.dumps(told, sort_keys=True, default=str, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
