"""Pictures of a course: judged by their bytes, never by their name, and rid of what they tell.

A photograph carries where and when it was taken, and a comment of any length: a place for a message
and for a secret. So JPEG and PNG are written anew without such parts. A drawing (SVG) is a program
in disguise and is checked by ``security/svg.py``.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from dataclasses import dataclass
from typing import Final

from dask_platform.kernel.errors import Invalid, TooLarge
from dask_platform.kernel.messages import N_
from dask_platform.security.filetypes import sniff
from dask_platform.security.problems import Problem
from dask_platform.security.svg import check_svg

MAX_BYTES: Final = 5 * 1024 * 1024

SVG: Final = "image/svg+xml"
EXTENSIONS: Final = {
    "image/gif": ("gif",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    SVG: ("svg",),
    "image/webp": ("webp",),
}
"""The types there are, and the endings each may have; the first is ours."""

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]|\.(?=[a-z0-9])){0,100}")
"""A picture's name is part of an address: small letters, digits, marks between them."""

_PNG = b"\x89PNG\r\n\x1a\n"
# What is needed to draw the picture, and nothing that is only told about it.
_PNG_KEPT: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"sBIT", b"sRGB", b"bKGD",
     b"pHYs", b"acTL", b"fcTL", b"fdAT"}
)  # fmt: skip
_DAMAGED = N_("The picture is damaged. Save it anew and try again.")


class BadDrawing(Invalid):
    """A drawing (SVG) with something in it that may not be shown. ``problems`` has each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(N_("The drawing cannot be used. Correct it, then add it again."))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture fit to be kept. ``sha256`` in hex digits."""

    data: bytes
    mime: str
    sha256: str

    @property
    def storage_key(self) -> str:
        """By content: the same picture in two courses is kept once."""
        return f"media/{self.sha256}"


def check_picture(data: bytes) -> Picture:
    """``data`` as a picture of ours.

    Raises ``TooLarge`` over 5 MiB, ``Invalid`` for what is no picture or is damaged,
    ``BadDrawing``.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(
            N_("The picture is too large. The limit is %(limit)s MB."),
            limit=MAX_BYTES // 1024 // 1024,
        )
    mime = picture_type(data)
    if mime is None:
        raise Invalid(N_("This is not a picture we can show. Use PNG, JPEG, GIF, WebP or SVG."))
    if mime == SVG:
        problems = check_svg(data)
        if problems:
            raise BadDrawing(problems)
    elif mime == "image/png":
        data = _bare_png(data)
    elif mime == "image/jpeg":
        data = _bare_jpeg(data)
    elif mime == "image/webp":
        data = _bare_webp(data)
    return Picture(data, mime, hashlib.sha256(data).hexdigest())


def picture_type(data: bytes) -> str | None:
    """The media type by content, or None for anything but a whole picture of a kind we show."""
    mime = sniff(io.BytesIO(data)).mime
    if mime in EXTENSIONS and mime != SVG:
        return mime
    start = data[:2000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in data[:20_000]:
        return SVG
    return None


def _bare_png(data: bytes) -> bytes:
    kept = bytearray(_PNG)
    at, first = len(_PNG), True
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        checksum = zlib.crc32(data[at + 4 : end - 4]).to_bytes(4, "big")
        if end > len(data) or (kind == b"IHDR") != first or checksum != data[end - 4 : end]:
            raise Invalid(_DAMAGED)
        if kind in _PNG_KEPT:
            kept += data[at:end]
        if kind == b"IEND":
            return bytes(kept)  # and nothing of what may stand behind it
        at, first = end, False
    raise Invalid(_DAMAGED)


def _bare_jpeg(data: bytes) -> bytes:
    """Without APP1–APP15 (EXIF, XMP, IPTC, maker's notes) and comments.

    APP14 stays: without it some colours come out wrong. Its length is fixed, so it carries nothing.
    """
    kept = bytearray(b"\xff\xd8")
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling before a marker
            at += 1
            continue
        if marker == 0xDA:
            end = data.rfind(b"\xff\xd9")
            if end < at:
                raise Invalid(_DAMAGED)
            return bytes(kept + data[at : end + 2])
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if length < 2 or end > len(data) or not 0xC0 <= marker <= 0xFE:
            raise Invalid(_DAMAGED)
        about = (0xE0 <= marker <= 0xEF or marker == 0xFE) and not (
            (marker == 0xE0 and length == 16) or (marker == 0xEE and length == 14)
        )
        if not about:
            kept += data[at:end]
        at = end
    raise Invalid(_DAMAGED)


def _bare_webp(data: bytes) -> bytes:
    """Without EXIF, XMP and whatever else is unknown; the flags that announce them are cleared."""
    size = int.from_bytes(data[4:8], "little") + 8
    if size > len(data):
        raise Invalid(_DAMAGED)
    kept = bytearray()
    at, drawn = 12, False
    while at + 8 <= size:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        if at + 8 + length > size:
            raise Invalid(_DAMAGED)
        if kind == b"VP8X" and length >= 1:
            kept += data[at : at + 8] + bytes([data[at + 8] & 0b00010010]) + data[at + 9 : end]
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            kept += data[at:end]
            drawn = drawn or kind not in (b"ALPH", b"ANIM")
        at = end
    if not drawn:
        raise Invalid(_DAMAGED)
    return b"RIFF" + (len(kept) + 4).to_bytes(4, "little") + b"WEBP" + bytes(kept)
