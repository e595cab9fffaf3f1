"""What both kinds of copies share."""

from __future__ import annotations

import html
import re
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Final

from dask_platform.kernel.errors import CopyBroken
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import CopyAnswer, CopyKind

CHUNK: Final = 64 * 1024
#: Redirects inside a copy that are followed before it is said to lead nowhere.
MOST_STEPS: Final = 10
#: Of a page, how much is looked at for its title, in bytes.
HEAD: Final = 64 * 1024
MOST_TITLE: Final = 200
#: How many pages are named in the facts.
FIRST: Final = 40
#: What a copy may unpack to: so many times its own size, and so much besides, in bytes. Pages pack
#: to a tenth; a file that unpacks to a hundred times its size was made to.
MOST_RATIO: Final = 100
ALWAYS: Final = 64 * 1024 * 1024
PAGES: Final = ("text/html", "application/xhtml+xml")
UNKNOWN: Final = "application/octet-stream"
BROKEN: Final = N_("The ZIM file is broken: its bytes are not what it says of them.")
WHOLE_SENTENCE: Final = N_("The copy unpacks to far more than it holds. It is not taken.")

_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
_CHARSET: Final = re.compile(r'charset\s*=\s*"?([A-Za-z0-9._:-]{1,40})', re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]{0,200}>(.{0,2000}?)</title", re.IGNORECASE | re.DOTALL)
_ZIM: Final = b"ZIM\x04"
_GZIP: Final = b"\x1f\x8b"


def kind_of(path: Path) -> CopyKind:
    """What a file is by its first bytes. Raises ``CopyBroken`` for what is neither."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(_ZIM):
        return "zim"
    if head.startswith((b"WARC/", _GZIP)):
        return "warc"
    raise CopyBroken(N_("This is neither a ZIM file nor a WARC file."))


def content_type(said: str) -> str:
    """A type as it may stand in a header: the plain type, and the charset where one is named."""
    mime = said.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(mime):
        return UNKNOWN
    charset = _CHARSET.search(said)
    return f"{mime}; charset={charset[1]}" if charset else mime


def is_page(said: str) -> bool:
    return said.partition(";")[0] in PAGES


def title_of(head: bytes) -> str:
    """The title of a page from its first bytes; empty where it has none."""
    found = _TITLE.search(head.decode("utf-8", "replace"))
    return one_line(html.unescape(found[1])) if found else ""


def one_line(text: str) -> str:
    """``text`` as a title can be shown."""
    line = " ".join(text.split())
    return "".join(one for one in line if one.isprintable())[:MOST_TITLE]


def most_unpacked(size: int) -> int:
    """How much a file of ``size`` bytes may unpack to."""
    return size * MOST_RATIO + ALWAYS


def reach(span: tuple[int, int | None] | None, size: int) -> tuple[int, int] | None:
    """The first and last byte of ``span`` within ``size`` bytes; None where it lies outside."""
    first, last = span or (0, None)
    end = size - 1 if last is None else min(last, size - 1)
    return (first, end) if first <= end else None


def answer_of(
    said: str,
    size: int,
    span: tuple[int, int | None] | None,
    read: Generator[bytes, None, None],
) -> CopyAnswer:
    """The answer with the part of a file that ``span`` names; ``read`` yields that part."""
    if span is None:
        return CopyAnswer(200, said, size, read)
    inside = reach(span, size)
    if inside is None:
        read.close()
        return CopyAnswer(416, said, size, nothing())
    return CopyAnswer(206, said, size, read, inside)


def nothing() -> Generator[bytes, None, None]:
    """No bytes."""
    yield from ()


def cut(chunks: Iterable[bytes], first: int, count: int) -> Generator[bytes, None, None]:
    """Of the bytes of ``chunks``, ``count`` from ``first`` on, in chunks of at most 64 KiB."""
    for chunk in chunks:
        if first >= len(chunk):
            first -= len(chunk)
            continue
        piece = chunk[first : first + count]
        first, count = 0, count - len(piece)
        for at in range(0, len(piece), CHUNK):
            yield piece[at : at + CHUNK]
        if count <= 0:
            return
