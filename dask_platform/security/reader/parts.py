"""What goes into the reader and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["link", "image", "media", "track", "style", "font", "form", "icon", "script"]
"""What an address is for. ``script`` is asked for by ``security.scripted`` alone."""

Place = Callable[[str, Kind], "str | None"]
"""``(url, kind) -> our address, or None``. Asked for an absolute ``http`` or ``https`` address
without a fragment, as a browser would write it. The answer is an absolute ``http(s)`` address or a
path of ours; an address that is ours already is answered with itself."""

Ask = Callable[[str], "str | None"]
"""``url -> the address of «ask for this page»``, or None where nothing can be asked for."""

CleanStyle = Callable[[str], str]
"""The text of a ``<style>``, cleaned: ``clean_css``, behind a cache of the caller's."""

PREFIX: Final = "r-"
"""Stands before every id of the site, so that no name of theirs is one of ours."""

RESERVED_CLASSES: Final = ("dask-", "ds-")
"""Classes of the platform's own look, which no site may put on."""

CONTAINER: Final = "dask-site"
"""The id of the element that a page's article stands in, and that stands for its ``<body>``."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field that may be sent. ``length`` is in characters; ``choices`` are for a choice."""

    name: str
    kind: Literal["integer", "word", "date", "choice", "text"]
    length: int = 60
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AllowedForm:
    """A form that stays on the page. ``action`` is an https address without query.

    ``hidden`` is a name and a value of the caller's own, which the form carries beside its fields;
    a field of that name on the page is not the site's to fill.
    """

    action: str
    method: Literal["GET", "POST"]
    fields: tuple[Field, ...]
    hidden: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the caller allows on a page beyond reading it."""

    forms: tuple[AllowedForm, ...] = ()
    styles: bool = True
    """Style sheets, ``<style>`` and ``style=""``. Without them a page is text and pictures."""
    ask_words: str = "Ask for this page"
    """What the link after a refused link says, in the reader's language."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A style sheet of the page, by our address. ``media`` is a media query or empty."""

    url: str
    media: str


@dataclass(frozen=True, slots=True)
class Style:
    """A ``<style>`` of the page, cleaned."""

    text: str
    media: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """``html`` is what stands inside the container; the rest is for the page around it."""

    html: str
    title: str
    language: str
    """As the page says it (``nb``, ``en-GB``), or empty."""
    direction: Literal["ltr", "rtl", ""]
    classes: tuple[str, ...]
    """Classes of ``<html>`` and ``<body>``; they go on the container."""
    sheets: tuple[Sheet | Style, ...]
    """In their order on the page."""
    icon: str | None
    encoding: str
    refused: tuple[tuple[Kind, str], ...]
    """Addresses that had no place, each once, the first 200."""
