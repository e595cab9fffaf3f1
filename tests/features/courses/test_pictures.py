"""Pictures: judged by their bytes, and rid of what they tell beside what they show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.courses.pictures import check_picture
from dask_platform.kernel.errors import Invalid, TooLarge
from tests.features.courses.author import png
from tests.features.courses.courses_on_disk import SVG

SECRET = b"message from cell 14"


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def jpeg(*told: bytes, after: bytes = b"") -> bytes:
    """The frame of a JPEG; the segments in ``told`` stand where a camera puts them."""
    jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    frame = segment(0xC0, b"\x08\0\x01\0\x01\x01\x01\x11\0")
    scan = segment(0xDA, b"\x01\x01\0\0?\0") + b"\x12\x34\xff\x00\x56"
    return b"\xff\xd8" + jfif + b"".join(told) + frame + scan + b"\xff\xd9" + after


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


DRAWN = (b"VP8L", b"\x2f\0\0\0\0\x07\x10\x11\x11\x88\x88\xfe\x07\0")
CANVAS = b"\0\0\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("told", "bare"),
    [
        (png(SECRET), png()),
        (jpeg(segment(0xE1, b"Exif\0\0" + SECRET)), jpeg()),
        (jpeg(segment(0xFE, SECRET), segment(0xED, SECRET), segment(0xE2, SECRET)), jpeg()),
        (
            webp((b"VP8X", b"\x0c" + CANVAS), DRAWN, (b"EXIF", SECRET), (b"XMP ", SECRET)),
            webp((b"VP8X", b"\0" + CANVAS), DRAWN),
        ),
        (webp(DRAWN, (b"note", SECRET)), webp(DRAWN)),
    ],
)
def test_nothing_is_kept_but_the_picture(told: bytes, bare: bytes) -> None:
    kept = check_picture(told)
    assert SECRET in told
    assert kept.data == bare
    assert check_picture(kept.data) == kept, "cleaned once is clean"


def test_a_drawing_is_kept_as_it_is() -> None:
    assert check_picture(SVG).data == SVG
    assert check_picture(SVG).mime == "image/svg+xml"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ\x90",
        b"%PDF-1.7\n%%EOF\n",
        b"<html><body>hi</body></html>",
        b"<?xml version='1.0'?><html/>",
        png()[:30],
        png().replace(b"IHDR", b"IHDr"),
        png()[:-1],
        jpeg()[:-2],
        webp(DRAWN)[:-4],
        SVG.replace(b"<rect", b"<script/><rect"),
        SVG.replace(b'fill="#246"', b'onload="x()"'),
    ],
)
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        check_picture(data)


def test_the_limit_is_named() -> None:
    with pytest.raises(TooLarge, match="5 MB"):
        check_picture(png() + b"\0" * (5 * 1024 * 1024))


@given(st.sampled_from([png(), jpeg(), webp(DRAWN), SVG]), st.data())
def test_a_damaged_picture_is_refused_or_read_never_a_fault(
    good: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=6)) + good[at + 1 :]
    try:
        kept = check_picture(damaged)
    except Invalid:
        return
    assert check_picture(kept.data).data == kept.data
