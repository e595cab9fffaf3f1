"""The addresses of a style sheet, and nothing else of it, mapped to where they lie.

For sites whose own script runs. There the sheet must stay what the script expects, so it is not
cleaned as the reader cleans it: selectors, properties and order stand. What a sheet can *fetch* is
decided by the page's policy and by the broker; the mapping is what makes a listed picture, font or
sheet be found. So the sheet is cut into its comments, texts and functions alone, which is some
fifty times faster than to grow a tree of it.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from dask_platform.security.reader.addresses import checked, resolve
from dask_platform.security.reader.parts import Kind, Place

#: Stands for an address that has no place: the standard's name for one that is never fetched.
NOWHERE: Final = "about:invalid"

_ESCAPE: Final = r"\\(?:[0-9A-Fa-f]{1,6}(?:\r\n|[ \t\r\n\f])?|[^\n\r\f0-9A-Fa-f])"
_TEXT: Final = r"\"(?:[^\"\\\n\r\f]|\\(?:\r\n|[\s\S]))*+\"?|'(?:[^'\\\n\r\f]|\\(?:\r\n|[\s\S]))*+'?"
_NAME: Final = rf"(?:[A-Za-z0-9_\u0080-\U0010ffff-]|{_ESCAPE})++"
_TOKEN: Final = re.compile(
    rf"(?P<comment>/\*.*?(?:\*/|\Z))|(?P<text>{_TEXT})|(?P<at>@{_NAME})"
    rf"|(?P<function>{_NAME})\(|(?P<name>{_NAME})|(?P<mark>[(){{}};])",
    re.DOTALL,
)
# What stands in url( ) without quotes; anything that does not belong there makes all of it invalid.
_BARE: Final = re.compile(
    rf"[ \t\r\n\f]*+((?:[^\"'()\\ \t\r\n\f\x00-\x08]|{_ESCAPE})*+)[ \t\r\n\f]*+\)"
)
_BAD: Final = re.compile(rf"(?:[^)\\]|{_ESCAPE}|\\)*+\)?")
_QUOTED_NEXT: Final = re.compile(r"[ \t\r\n\f]*+[\"']")
_ESCAPED: Final = re.compile(
    r"\\(?:([0-9A-Fa-f]{1,6})(?:\r\n|[ \t\r\n\f])?|(\r\n|[\n\r\f])|([\s\S]))"
)
_MAY_FETCH: Final = re.compile(r"[\\(]|@import", re.IGNORECASE)
_ADDRESSES: Final = frozenset(("url", "src"))
_IMAGE_SETS: Final = frozenset(("image-set", "-webkit-image-set", "image"))
_FONT: Final = re.compile(r"\.(?:woff2?|ttf|otf|eot)\Z", re.IGNORECASE)
_DATA: Final = re.compile(r"data:(?:image|font|application/(?:font|x-font))[^\x00-\x1f]*", re.I)


def map_css(text: str, *, base: str, place: Place, ours: Container[str] = ()) -> str:
    """``text`` with each address in ``url()``, ``src()``, ``image-set()`` and ``@import`` as
    ``place`` has it. One that has no place becomes ``about:invalid``; pictures and fonts that stand
    in the sheet itself (``data:``) and parts of the same document (``#id``) stay, and so does what
    is among ``ours`` already."""
    if not _MAY_FETCH.search(text):
        return text
    out: list[str] = []
    #: The function of each open parenthesis, lower case; empty for one without a name.
    inside: list[str] = []
    importing = False
    at = 0
    for_address = _Mapped(base, place, ours)
    while (found := _TOKEN.search(text, at)) is not None:
        out.append(text[at : found.start()])
        at = found.end()
        written = found[0]
        if found["text"] is not None:
            if importing or (inside and inside[-1] in _IMAGE_SETS | _ADDRESSES):
                written = for_address(_unquoted(written), "style" if importing else None)
                importing = False
        elif found["at"] is not None:
            importing = _plain(written).lower() == "@import"
        elif found["function"] is not None:
            name = _plain(found["function"]).lower()
            if name == "url" and not _QUOTED_NEXT.match(text, at):
                bare = _BARE.match(text, at)
                at = bare.end() if bare else _end_of_bad(text, at)
                raw = _plain(bare[1]) if bare else ""
                written = f"url({for_address(raw, 'style' if importing else None)})"
                importing = False
            else:
                inside.append(name)
                written = f"{name}(" if name in _ADDRESSES | _IMAGE_SETS else written
        elif written == "(":
            inside.append("")
        elif written == ")":
            if inside:
                inside.pop()
        elif written in "{};":
            importing = False
            if written != ";":
                inside.clear()
        out.append(written)
    out.append(text[at:])
    return "".join(out)


class _Mapped:
    """An address as it is written in a sheet, for its place, in quotes."""

    def __init__(self, base: str, place: Place, ours: Container[str]) -> None:
        self._base, self._place, self._ours = base, place, ours

    def __call__(self, raw: str, kind: Kind | None) -> str:
        raw = raw.strip(" \t\r\n\f")
        if raw.startswith("#") or raw == NOWHERE or (kind is None and _DATA.fullmatch(raw)):
            return _quoted(raw)
        if raw.partition("#")[0] in self._ours:
            return _quoted(raw)
        found = resolve(raw, self._base) if raw else None
        if found is None:
            return _quoted(NOWHERE)
        address, fragment = found
        if kind is None:
            kind = "font" if _FONT.search(address.partition("?")[0]) else "image"
        placed = self._place(address, kind)
        if placed is None:
            return _quoted(NOWHERE)
        return _quoted(f"{checked(placed)}{'#' if fragment else ''}{fragment}")


def _end_of_bad(text: str, at: int) -> int:
    """Where an address ends that is none: a browser skips to the closing parenthesis."""
    found = _BAD.match(text, at)
    return found.end() if found else len(text)


def _unquoted(text: str) -> str:
    closed = len(text) > 1 and text[-1] == text[0]
    return _plain(text[1:-1] if closed else text[1:])


def _plain(text: str) -> str:
    """``text`` without its escapes."""
    return _ESCAPED.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    if found[1]:
        code = int(found[1], 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return "" if found[2] else found[3]


def _quoted(url: str) -> str:
    escaped = re.sub(r"[\"\\<\x00-\x1f]", lambda mark: f"\\{ord(mark[0]):x} ", url)
    return f'"{escaped}"'
