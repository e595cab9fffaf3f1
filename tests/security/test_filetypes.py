"""Files by what they are: real small ones made here, and those that pretend."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.security.filetypes import (
    ALLOWED_FAMILIES,
    FAMILY_WORDS,
    UNKNOWN,
    Family,
    FileType,
    sniff,
)


def kind(data: bytes) -> FileType:
    return sniff(io.BytesIO(data))


def archive(parts: dict[str, bytes | str], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP with ``parts`` in that order; a part called ``mimetype`` is stored, as ODF wants it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in parts.items():
            how = zipfile.ZIP_STORED if name == "mimetype" else method
            made.writestr(zipfile.ZipInfo(name), content, compress_type=how)
    return out.getvalue()


def content_types(main: str, *more: str) -> str:
    types = "".join(
        f'<Override PartName="/p{n}.xml" ContentType="{kind}"/>'
        for n, kind in enumerate((main, *more))
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Types xmlns="http://schemas.'
        f'openxmlformats.org/package/2006/content-types">{types}</Types>'
    )


OOXML = "application/vnd.openxmlformats-officedocument."
WORD = f"{OOXML}wordprocessingml.document.main+xml"


def office(main: str, **parts: str) -> bytes:
    return archive({"[Content_Types].xml": content_types(main), "_rels/.rels": "<r/>", **parts})


def odf(name: str) -> bytes:
    mime = f"application/vnd.oasis.opendocument.{name}"
    return archive({"mimetype": mime, "content.xml": "<x/>"})


def png(before: bytes = b"", after: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    pixels = zlib.compress(b"\x00\xff\x00\x00")
    return (
        b"\x89PNG\r\n\x1a\n" + before + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", pixels) + chunk(b"IEND", b"") + after
    )  # fmt: skip


def wav() -> bytes:
    body = (
        b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
        + b"data\x02\0\0\0\x80\x80"
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp() -> bytes:
    body = b"WEBPVP8L" + struct.pack("<I", 6) + b"\x2f\0\0\0\0\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb\x00\x43\x00"
    + b"\x10" * 64 + b"\xff\xd9"
)  # fmt: skip
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\0\0\0\0\1\0\1\0\0\x02\x02D\x01\0;"
)
PDF = (
    b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\nxref\n0 1\n0000000000 65535 f \n"
    b"trailer<</Root 1 0 R>>\nstartxref\n45\n%%EOF\n"
)
MP3_FRAME = b"\xff\xfb\x90\x00" + b"\0" * 413
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp41\0\0\0\x08mdat"
DOCX = office(WORD, **{"word/document.xml": "<d/>"})

HONEST = {
    "pdf": (PDF, Family.PDF, "pdf"),
    "png": (png(), Family.IMAGE, "png"),
    "jpeg": (JPEG, Family.IMAGE, "jpg"),
    "gif": (GIF, Family.IMAGE, "gif"),
    "webp": (webp(), Family.IMAGE, "webp"),
    "docx": (DOCX, Family.OFFICE, "docx"),
    "xlsx": (office(f"{OOXML}spreadsheetml.sheet.main+xml"), Family.OFFICE, "xlsx"),
    "pptx": (office(f"{OOXML}presentationml.presentation.main+xml"), Family.OFFICE, "pptx"),
    "odt": (odf("text"), Family.OFFICE, "odt"),
    "ods": (odf("spreadsheet"), Family.OFFICE, "ods"),
    "odp": (odf("presentation"), Family.OFFICE, "odp"),
    "ggb": (archive({"geogebra_thumbnail.png": "x", "geogebra.xml": "<g/>"}), Family.OFFICE, "ggb"),
    "zip": (archive({"a.txt": "a"}), Family.ARCHIVE, "zip"),
    "empty zip": (archive({}), Family.ARCHIVE, "zip"),
    "epub": (archive({"mimetype": "application/epub+zip"}), Family.ARCHIVE, "zip"),
    "gz": (b"\x1f\x8b\x08" + b"\0" * 20, Family.ARCHIVE, "gz"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 30, Family.ARCHIVE, "7z"),
    "tar": (b"a.txt".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 247, Family.ARCHIVE, "tar"),
    "wav": (wav(), Family.AUDIO, "wav"),
    "mp3": (MP3_FRAME * 3, Family.AUDIO, "mp3"),
    "mp3 tagged": (b"ID3\x04\0\0\0\0\0\x0a" + b"\0" * 10 + MP3_FRAME, Family.AUDIO, "mp3"),
    "ogg": (b"OggS\0\x02" + b"\0" * 30 + b"vorbis", Family.AUDIO, "ogg"),
    "m4a": (MP4.replace(b"isom\0", b"M4A \0"), Family.AUDIO, "m4a"),
    "mp4": (MP4, Family.VIDEO, "mp4"),
    "webm": (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", Family.VIDEO, "webm"),
    "text": ("Hei på deg.\r\nÆrlig «talt» – ja…\n".encode(), Family.TEXT, "txt"),
    "text with mark": (b"\xef\xbb\xbfHei", Family.TEXT, "txt"),
    "text from windows": ("Ærlig «talt» – ja…".encode("cp1252"), Family.TEXT, "txt"),
    "text with signs": (b"3 < a and <formel> x > 2; #include <iostream>", Family.TEXT, "txt"),
    "python": (b"import math\nprint(math.pi)\n", Family.TEXT, "txt"),
    "old office": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, Family.OFFICE_OLD, "bin"),
}


@pytest.mark.parametrize(("data", "family", "extension"), HONEST.values(), ids=HONEST.keys())
def test_honest_files(data: bytes, family: Family, extension: str) -> None:
    found = kind(data)
    assert (found.family, found.extension) == (family, extension)


ZIP = archive({"a.txt": "a"})
MACRO = "application/vnd.ms-word.document.macroEnabled.main+xml"


def broken_directory() -> bytes:
    """A ZIP whose directory says it is at another place than it is."""
    data = bytearray(ZIP)
    at = data.rfind(b"PK\x05\x06")
    data[at + 16 : at + 20] = struct.pack("<L", 3)
    return bytes(data)


def huge_directory() -> bytes:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 60_000, 60_000, 0xFFFFFFF0, 4, 0)
    return b"PK\x03\x04" + b"\0" * 60 + end


def renamed_inside() -> bytes:
    """A document whose directory names a part otherwise than the part itself does."""
    at = DOCX.find(b"[Content_Types].xml")
    return DOCX[:at] + b"[Content_Typez].xml" + DOCX[at + 19 :]


HOSTILE = {
    "empty": b"",
    "one byte": b"\0",
    "blank": b" \n ",
    "pdf not at the start": b"\n" + PDF,
    "pdf behind a page": b"<html><script>x</script>" + PDF,
    "pdf cut off": PDF[:-30],
    "pdf with a tail": PDF + b"<script>attack()</script>",
    "pdf with an archive": PDF[:-20] + ZIP[:-2] + b"\x13\0startxref\n45\n%%EOF\n",
    "pdf of no version": PDF.replace(b"%PDF-1.7", b"%PDF-xyz"),
    "png head only": png()[:16],
    "png cut off": png()[:-12],
    "page with png magic": b"\x89PNG\r\n\x1a\n<html><script>attack()</script></html>",
    "png with page before": png(before=b"<html>"),
    "png with page behind": png(after=b"<script>attack()</script>"),
    "png with archive behind": png(after=ZIP),
    "png with wrong sum": png().replace(b"IHDR\0\0\0\x01", b"IHDR\0\0\0\x02"),
    "jpeg with archive behind": JPEG + ZIP,
    "jpeg with archive whose comment ends it": JPEG + ZIP[:-2] + b"\x02\x00\xff\xd9",
    "jpeg with page behind": JPEG + b"<script>attack()</script>",
    "jpeg cut off": JPEG[:-2],
    "jpeg magic only": b"\xff\xd8\xff",
    "gif that is a script": b"GIF89a/*" + b"\0" * 40 + b"*/=1;attack();",
    "gif cut off": GIF[:-1],
    "gif with archive behind": GIF + ZIP,
    "webp of another size": webp() + b"xxxx",
    "archive with something in front": b"MZ" + ZIP,
    "archive with something behind": ZIP + b"x",
    "archive with a wrong directory": broken_directory(),
    "archive with a huge directory": huge_directory(),
    "archive cut off": ZIP[:-10],
    "archive head only": b"PK\x03\x04",
    "document with a part named twice": office(WORD, **{"word/a.xml": "x", "WORD/A.xml": "y"}),
    "document named otherwise inside": renamed_inside(),
    "document with types in UTF-16": archive(
        {"[Content_Types].xml": content_types(WORD, MACRO).encode("utf-16")}
    ),
    "document with types in references": archive(
        {"[Content_Types].xml": content_types(WORD, MACRO.replace("m", "&#109;"))}
    ),
    "document with types without end": archive(
        {"[Content_Types].xml": content_types(WORD) + " " * 1_000_000}
    ),
    "page": b"<!DOCTYPE html><p>x</p>",
    "page after blanks": b"\xef\xbb\xbf \n\n<HTML>",
    "page in the text": b"Hei. <script>attack()</script>",
    "page in a comment": b"x <!-- y -->",
    "drawing": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "xml": b'<?xml version="1.0"?><x/>',
    "php": b"x <?php attack(); ?>",
    "shell": b"#!/bin/sh\nattack\n",
    "batch": b"@echo off\r\nattack\r\n",
    "registry": b"Windows Registry Editor Version 5.00\r\n",
    "shortcut": b"[InternetShortcut]\r\nURL=http://evil.example\r\n",
    "mail page": b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n",
    "rich text": b"{\\rtf1 x}",
    "program": b"MZ\x90\0" + b"\0" * 60,
    "elf": b"\x7fELF" + b"\0" * 60,
    "text with NUL": b"Hei\0",
    "text with NUL far out": b"a" * 200_000 + b"\0",
    "text in no encoding": b"a\x81\xff",
    "text in UTF-16": "Hei".encode("utf-16"),
    "escape codes": b"a\x1b[31mb",
    "mp3 of one sync": b"\xff\xfb\x90\x00" + b"x" * 500,
    "mp4 of no brand": MP4.replace(b"isom\0", b"evil\0"),
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_files_that_pretend(data: bytes) -> None:
    assert kind(data) == UNKNOWN


@pytest.mark.parametrize(
    "data",
    [
        office(MACRO, **{"word/vbaProject.bin": "x"}),
        office(WORD, **{"word/vbaProject.bin": "x"}),
        office(WORD, **{"word/VBAPROJECT.BIN": "x"}),
        office(MACRO),
        office(WORD, **{"xl/macrosheets/sheet1.xml": "x"}),
        office(WORD, **{"word/activeX/activeX1.xml": "x"}),
        archive({"[Content_Types].xml": content_types(WORD, "application/vnd.ms-office.vbaProject"),
                 "word/innocent.bin": "x"}),
        archive({"mimetype": "application/vnd.oasis.opendocument.text", "Basic/x/y.xml": "x"}),
        archive({"mimetype": "application/vnd.oasis.opendocument.text", "Scripts/py/x.py": "x"}),
    ],
)  # fmt: skip
def test_documents_with_macros(data: bytes) -> None:
    assert kind(data).family is Family.OFFICE_MACRO


def test_documents_with_macros_are_never_allowed() -> None:
    assert not ALLOWED_FAMILIES & {
        Family.OFFICE_MACRO, Family.OFFICE_OLD, Family.ARCHIVE, Family.UNKNOWN
    }  # fmt: skip


def test_every_family_has_words() -> None:
    assert set(FAMILY_WORDS) == set(Family), "give the new family words in FAMILY_WORDS"


@pytest.mark.parametrize("name", HONEST)
def test_a_file_cut_off_anywhere_is_never_taken_for_another(name: str) -> None:
    """From the twelfth byte on: before it, ``RI`` may well be the whole of a text."""
    data, family, _ = HONEST[name]
    for length in range(12, len(data)):
        assert kind(data[:length]).family in {family, Family.UNKNOWN}


def test_the_stream_is_left_at_its_start() -> None:
    for data, _, _ in HONEST.values():
        stream = io.BytesIO(data)
        stream.seek(2)
        sniff(stream)
        assert stream.tell() == 0


class _Endless(io.RawIOBase):
    """A large text that is never in memory. ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.size, self.at = size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (self.size if whence == 2 else self.at if whence == 1 else 0)
        return self.at

    def read(self, length: int = -1) -> bytes:
        length = min(self.size - self.at, length if length >= 0 else self.size)
        self.at += length
        return b"a" * length


def _large() -> Iterator[BinaryIO]:
    yield _Endless(50_000_000)  # type: ignore[misc]
    yield io.BytesIO(archive({f"f{n}": b"" for n in range(10_500)}))
    yield io.BytesIO(archive({"[Content_Types].xml": b" " * 50_000_000}))


def test_memory_does_not_follow_the_file() -> None:
    for stream in _large():
        tracemalloc.start()
        sniff(stream)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8_000_000


@settings(max_examples=300)
@given(
    st.sampled_from(
        [b"", *(data[:size] for data, _, _ in HONEST.values() for size in (4, 16, 40))]
    ),
    st.binary(max_size=200),
    st.sampled_from(
        [b"", *(data[-size:] for data, _, _ in HONEST.values() for size in (4, 22, 60))]
    ),
)
def test_any_bytes_are_judged(head: bytes, middle: bytes, tail: bytes) -> None:
    assert isinstance(kind(head + middle + tail), FileType)


@given(
    st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(
        lambda text: "<" not in text
    )
)
def test_plain_words_are_text(text: str) -> None:
    assert kind(f"Om {text}".encode()).family is Family.TEXT
