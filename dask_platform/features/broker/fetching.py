"""Fetching what was allowed, and what may be shown of it.

Nothing that a student chose goes out but the address that was decided on: headers are the
installation's, cookies come from the student's own jar in the database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dask_platform.features.whitelists.rules import MIB, Profile, Rule
from dask_platform.kernel.ports import UpstreamResponse

#: For all of an answer, from the name to the last byte, in seconds: a film is looked at for long.
FILE_SECONDS: Final = 1800.0
#: For a page or a style sheet. Each holds one of few threads; one that drips must not hold it long.
PAGE_SECONDS: Final = 30.0
#: A page and a style sheet are held in memory while they are cleaned; files are not.
LARGEST_PAGE: Final = 4 * MIB
LARGEST_STYLE: Final = 1 * MIB

_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_PICTURES: Final = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/svg+xml",
        "image/x-icon",
    }
)
_FONTS: Final = frozenset({"font/woff", "font/woff2", "font/ttf", "font/otf"})
_SOUND: Final = frozenset(
    {"audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav", "audio/webm", "video/mp4", "video/webm",
     "video/ogg", "text/vtt"}
)  # fmt: skip
_PAPERS: Final = frozenset({"application/pdf", "text/plain"})
#: What the profile shows where the rule says nothing of types.
SHOWN: Final = _PAGES | _PICTURES | _FONTS | _SOUND | _PAPERS | {"text/css"}
#: What runs, and what script reads: shown under ``scripted`` alone.
SCRIPT: Final = frozenset(
    {"text/javascript", "application/javascript", "application/x-javascript", "text/ecmascript",
     "application/ecmascript"}
)  # fmt: skip
_DATA: Final = frozenset(
    {"application/json", "application/geo+json", "application/ld+json", "application/wasm",
     "text/csv"}
)  # fmt: skip
PROGRAMS: Final = SCRIPT | _DATA
_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_CHARSET: Final = re.compile(r'charset\s*=\s*"?([A-Za-z0-9._:-]{1,40})', re.IGNORECASE)


class Shape(StrEnum):
    """How an answer is handed on."""

    PAGE = "page"  # read, cleaned, put in our frame
    STYLE = "style"  # read, cleaned
    INLINE = "inline"  # as it is, shown in a page
    FILE = "file"  # as it is, to be saved


@dataclass(frozen=True, slots=True)
class Kind:
    """What an answer says it is. ``mime`` is without parameters."""

    mime: str
    charset: str | None

    @classmethod
    def of(cls, answer: UpstreamResponse) -> Kind:
        header = answer.headers.get("content-type", "")
        charset = _CHARSET.search(header)
        return cls(header.partition(";")[0].strip().lower(), charset[1] if charset else None)

    def shape(self) -> Shape:
        if self.mime in _PAGES:
            return Shape.PAGE
        if self.mime == "text/css":
            return Shape.STYLE
        if self.mime in _PICTURES | _FONTS | _SOUND:
            return Shape.INLINE
        return Shape.FILE


def may_show(rule: Rule, host: str, kind: Kind) -> bool:
    """Whether an answer of this type is shown under the rule. The types are ours, or the rule's; a
    helper's host gives what the rule says of it, and never a page."""
    shown = SHOWN | PROGRAMS if rule.profile is Profile.SCRIPTED else SHOWN
    if host != rule.host:
        helper = next((one for one in rule.helpers if one.host == host), None)
        if helper is not None:
            return _listed(kind, helper.types) and kind.mime in shown
    return kind.mime in shown and (not rule.types or _listed(kind, rule.types))


def _listed(kind: Kind, types: tuple[str, ...]) -> bool:
    """Script has many names for one thing."""
    return kind.mime in types or (kind.mime in SCRIPT and not SCRIPT.isdisjoint(types))


def largest(rule: Rule, shape: Shape) -> int:
    """The most bytes of an answer of this shape."""
    limits = {Shape.PAGE: LARGEST_PAGE, Shape.STYLE: LARGEST_STYLE}
    return min(rule.largest, limits.get(shape, rule.largest))


def span(header: str | None) -> tuple[int, int | None] | None:
    """One range of bytes, as players ask for it; None for none, and for what is not one."""
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return None
    first, last = int(found[1]), int(found[2]) if found[2] else None
    return None if last is not None and last < first else (first, last)


def can_be_read(rule: Rule) -> bool:
    """Whether there is anything to show: a frozen rule comes from its copy, and no upstream."""
    return rule.profile is not Profile.FROZEN or rule.frozen_copy is not None
