"""What an uploaded file *is*, told from its bytes. The name it came with says nothing.

A file is of a known kind when it begins as that kind, ends as that kind, and is nothing else at
the same time: a PDF that starts with a web page, or a picture with an archive behind it, is
``UNKNOWN``. Nothing is unpacked except one small part of an office document, within a limit. The
memory used does not depend on the file. What is accepted here is still scanned, and still served
as an attachment with a fixed type.
"""

from __future__ import annotations

import codecs
import re
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

from dask_platform.kernel.messages import N_
from dask_platform.security import zipdirectory
from dask_platform.security.zipdirectory import BadZip, Entry


class Family(StrEnum):
    """Kinds of file as a person speaks of them. ``FAMILY_WORDS`` has the words."""

    ARCHIVE = "archive"
    AUDIO = "audio"
    IMAGE = "image"
    OFFICE = "office"
    OFFICE_MACRO = "office-macro"
    OFFICE_OLD = "office-old"
    PDF = "pdf"
    TEXT = "text"
    UNKNOWN = "unknown"
    VIDEO = "video"


ALLOWED_FAMILIES: Final = frozenset(
    {Family.AUDIO, Family.IMAGE, Family.OFFICE, Family.PDF, Family.TEXT, Family.VIDEO}
)
"""What an assignment may allow at all; each assignment chooses from these. An archive hides what
is in it, a macro is a program, and the old office formats (and documents locked with a password)
cannot be told apart from documents with macros."""

FAMILY_WORDS: Final[dict[Family, str]] = {
    Family.ARCHIVE: N_("archive (such as ZIP)"),
    Family.AUDIO: N_("sound recording"),
    Family.IMAGE: N_("picture"),
    Family.OFFICE: N_("office document"),
    Family.OFFICE_MACRO: N_("office document with macros"),
    Family.OFFICE_OLD: N_("office document in an old format, or with a password"),
    Family.PDF: N_("PDF"),
    Family.TEXT: N_("text"),
    Family.UNKNOWN: N_("unknown kind of file"),
    Family.VIDEO: N_("video"),
}
"""Translation keys, one for each family."""


@dataclass(frozen=True, slots=True)
class FileType:
    """``mime`` is what the file is served as, ``extension`` (no dot) what a download is named."""

    mime: str
    family: Family
    extension: str


UNKNOWN: Final = FileType("application/octet-stream", Family.UNKNOWN, "bin")
_ZIP: Final = FileType("application/zip", Family.ARCHIVE, "zip")
_TEXT: Final = FileType("text/plain", Family.TEXT, "txt")
_OFFICE_MACRO: Final = FileType("application/octet-stream", Family.OFFICE_MACRO, "bin")
_OFFICE_OLD: Final = FileType("application/x-ole-storage", Family.OFFICE_OLD, "bin")

_HEAD = 4096
_TAIL = 65_557  # the longest end record a ZIP can have: 22 bytes and a comment of 65 535
_CHUNK = 64 * 1024
_MAX_PART = 256 * 1024  # bytes of [Content_Types].xml, unpacked; Word writes a few thousand

_OOXML = "application/vnd.openxmlformats-officedocument"
_OOXML_MAIN: Final = {
    f"{_OOXML}.{kind}.main+xml": FileType(f"{_OOXML}.{kind}", Family.OFFICE, extension)
    for kind, extension in (
        ("wordprocessingml.document", "docx"),
        ("spreadsheetml.sheet", "xlsx"),
        ("presentationml.presentation", "pptx"),
    )
}
_ODF: Final = {
    f"application/vnd.oasis.opendocument.{kind}": extension
    for kind, extension in (("text", "odt"), ("spreadsheet", "ods"), ("presentation", "odp"))
}
_CONTENT_TYPE = re.compile(r"""ContentType\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_MACRO_PART = re.compile(
    r"vbaproject|vbadata|(?:^|/)(?:macrosheets|activex)/|^(?:basic|scripts)/.", re.IGNORECASE
)

# What a browser or a shell would run, at the start of what claims to be text.
_ACTIVE_START = re.compile(
    rb"\s*(?:#!|<\?(?:php|xml|=)|<!doctype|@echo off|windows registry editor|"
    rb"\[internetshortcut\]|\[autorun\]|mime-version:|\{\\rtf|%!ps|%pdf-|begin:vc)",
    re.IGNORECASE,
)
_ACTIVE_TAG = re.compile(
    rb"<(?:!--|\?|!doctype|/?(?:a|base|body|br|div|embed|form|frame|h1|head|html|iframe|img|link|"
    rb"math|meta|object|p|script|style|svg|table|title)[\s/>])",
    re.IGNORECASE,
)
_SNIFFED_AS_HTML = 1445  # bytes at the start in which a browser looks for markup
_UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")

_ARCHIVES: Final = (
    (b"Rar!\x1a\x07", FileType("application/vnd.rar", Family.ARCHIVE, "rar")),
    (b"7z\xbc\xaf\x27\x1c", FileType("application/x-7z-compressed", Family.ARCHIVE, "7z")),
    (b"\x1f\x8b\x08", FileType("application/gzip", Family.ARCHIVE, "gz")),
    (b"BZh", FileType("application/x-bzip2", Family.ARCHIVE, "bz2")),
    (b"\xfd7zXZ\x00", FileType("application/x-xz", Family.ARCHIVE, "xz")),
    (b"\x28\xb5\x2f\xfd", FileType("application/zstd", Family.ARCHIVE, "zst")),
    (b"MSCF\x00\x00\x00\x00", FileType("application/vnd.ms-cab-compressed", Family.ARCHIVE, "cab")),
)


@dataclass(frozen=True, slots=True)
class _Ends:
    """The first and the last bytes of a file and its size; all the pictures need."""

    head: bytes
    tail: bytes
    size: int


def sniff(stream: BinaryIO) -> FileType:
    """The kind of file in ``stream``, which must be seekable; it is left at its start.

    Reads the ends of the file, and the whole of it only for text. Never raises for what is in the
    file: what is broken, cut off, empty or two things at once is ``UNKNOWN``.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(max(0, size - _TAIL))
    ends = _Ends(head, stream.read(_TAIL), size)
    try:
        return _kind(stream, ends)
    except (struct.error, IndexError, ValueError):
        return UNKNOWN
    finally:
        stream.seek(0)


def _kind(stream: BinaryIO, ends: _Ends) -> FileType:
    head = ends.head
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_family(stream, ends.size)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _OFFICE_OLD
    for magic, kind in _ARCHIVES:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return FileType("application/x-tar", Family.ARCHIVE, "tar")
    found = _pdf(ends) or _image(ends) or _recording(ends)
    if found is not None:
        return UNKNOWN if zipdirectory.has_end_record(ends.tail) else found
    return _TEXT if _is_plain_text(stream, ends) else UNKNOWN


def _pdf(ends: _Ends) -> FileType | None:
    """The header stands at the very start and the end mark at the end. Readers are laxer."""
    if re.match(rb"%PDF-[12]\.[0-9][\s%]", ends.head) is None:
        return None
    last = ends.tail[-1024:]
    if b"startxref" not in last or re.search(rb"%%EOF\s*\x00*$", last) is None:
        return UNKNOWN
    return FileType("application/pdf", Family.PDF, "pdf")


def _image(ends: _Ends) -> FileType | None:
    head, tail = ends.head, ends.tail
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        whole = head[8:16] == b"\x00\x00\x00\rIHDR" and tail.endswith(
            b"\x00\x00\x00\x00IEND\xaeB`\x82"
        )
        width, height = struct.unpack(">II", head[16:24])
        right = zlib.crc32(head[12:29]) == struct.unpack(">I", head[29:33])[0]
        good = whole and right and width > 0 and height > 0
        return FileType("image/png", Family.IMAGE, "png") if good else UNKNOWN
    if head.startswith(b"\xff\xd8\xff"):
        # The first marker is a segment with a length, and another marker follows it.
        (length,) = struct.unpack(">H", head[4:6])
        following = head[4 + length : 5 + length]
        good = 0xC0 <= head[3] <= 0xFE and following in {b"\xff", b""} and length >= 2
        return (
            FileType("image/jpeg", Family.IMAGE, "jpg")
            if good and tail.endswith(b"\xff\xd9")
            else UNKNOWN
        )
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        width, height = struct.unpack("<HH", head[6:10])
        block = head[13 + (3 << (1 + (head[10] & 7)) if head[10] & 0x80 else 0) :][:1]
        good = width > 0 and height > 0 and block in {b"\x21", b"\x2c"} and tail.endswith(b"\x00;")
        return FileType("image/gif", Family.IMAGE, "gif") if good else UNKNOWN
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        good = _riff_is_whole(ends) and head[12:16] in {b"VP8 ", b"VP8L", b"VP8X"}
        return FileType("image/webp", Family.IMAGE, "webp") if good else UNKNOWN
    return None


def _riff_is_whole(ends: _Ends) -> bool:
    (declared,) = struct.unpack("<I", ends.head[4:8])
    return ends.size in {declared + 8, declared + 9}


def _recording(ends: _Ends) -> FileType | None:
    head = ends.head
    if head.startswith(b"RIFF") and head[8:12] in {b"WAVE", b"AVI "}:
        if not _riff_is_whole(ends):
            return UNKNOWN
        if head[8:12] == b"WAVE":
            return FileType("audio/wav", Family.AUDIO, "wav")
        return FileType("video/x-msvideo", Family.VIDEO, "avi")
    if head.startswith(b"fLaC\x00\x00\x00\x22"):
        return FileType("audio/flac", Family.AUDIO, "flac")
    if head.startswith(b"OggS\x00\x02"):
        if b"\x80theora" in head[:256]:
            return FileType("video/ogg", Family.VIDEO, "ogv")
        return FileType("audio/ogg", Family.AUDIO, "ogg")
    if _is_mp3(ends):
        return FileType("audio/mpeg", Family.AUDIO, "mp3")
    if head[4:8] == b"ftyp" and 16 <= struct.unpack(">I", head[:4])[0] <= 256:
        brand = head[8:12]
        if brand in {b"M4A ", b"M4B "}:
            return FileType("audio/mp4", Family.AUDIO, "m4a")
        if brand == b"qt  ":
            return FileType("video/quicktime", Family.VIDEO, "mov")
        if brand in {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1",
                     b"M4V ", b"MSNV", b"dash"}:  # fmt: skip
            return FileType("video/mp4", Family.VIDEO, "mp4")
        return UNKNOWN
    if head.startswith(b"\x1aE\xdf\xa3"):
        if b"webm" in head[:64]:
            return FileType("video/webm", Family.VIDEO, "webm")
        return FileType("video/x-matroska", Family.VIDEO, "mkv") if b"matroska" in head[:64] else (
            UNKNOWN
        )  # fmt: skip
    return None


def _is_mp3(ends: _Ends) -> bool:
    """An ID3 tag whose length fits the file, or a frame with another frame right behind it."""
    head = ends.head
    if head.startswith(b"ID3"):
        sizes = head[6:10]
        length = sum(part << shift for part, shift in zip(sizes, (21, 14, 7, 0), strict=True))
        return head[3] in {2, 3, 4} and max(sizes) < 0x80 and 10 + length < ends.size
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xFE != 0xFA:
        return False
    rate_index, bits_index = head[2] >> 2 & 3, head[2] >> 4
    if rate_index == 3 or not 0 < bits_index < 15:
        return False
    kbits = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[bits_index - 1]
    frame = 144_000 * kbits // (44_100, 48_000, 32_000)[rate_index] + (head[2] >> 1 & 1)
    return head[frame : frame + 2] == head[:2]


def _is_plain_text(stream: BinaryIO, ends: _Ends) -> bool:
    """Whether every byte is text, in UTF-8 or Windows-1252, and the start is not a program."""
    start = ends.head[:_SNIFFED_AS_HTML].removeprefix(codecs.BOM_UTF8)
    if not start.strip() or _ACTIVE_START.match(start) or _ACTIVE_TAG.search(start):
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8 = western = True
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        if _CONTROL_BYTES.search(chunk) is not None:
            return False
        western = western and _UNDEFINED_IN_CP1252.search(chunk) is None
        if utf8:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                utf8 = False
        if not utf8 and not western:
            return False
    if utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            utf8 = False
    return utf8 or western


def _zip_family(stream: BinaryIO, size: int) -> FileType:
    try:
        entries = zipdirectory.read(stream, size)
    except BadZip:
        return UNKNOWN
    names = [entry.name for entry in entries]
    folded = [name.casefold() for name in names]
    if len(set(folded)) != len(folded):
        return UNKNOWN  # two parts of one name: which one is read depends on the reader
    by_name = dict(zip(names, entries, strict=True))
    macros = any(_MACRO_PART.search(name) for name in names)
    if "[Content_Types].xml" in by_name:
        kind = _ooxml(stream, by_name["[Content_Types].xml"])
    elif names and names[0] == "mimetype":
        kind = _odf(stream, entries[0])
    elif "geogebra.xml" in by_name:
        kind = FileType("application/vnd.geogebra.file", Family.OFFICE, "ggb")
    else:
        return _ZIP
    return _OFFICE_MACRO if macros and kind.family is Family.OFFICE else kind


def _ooxml(stream: BinaryIO, entry: Entry) -> FileType:
    part = zipdirectory.unpack(stream, entry, _MAX_PART)
    if part is None:
        return UNKNOWN
    text = part.decode("utf-8-sig")
    if "<!" in text or "&" in text:
        return UNKNOWN  # never so written by an office program; could hide a word from us
    types = {double or single for double, single in _CONTENT_TYPE.findall(text)}
    if any("macro" in kind.lower() or "vba" in kind.lower() for kind in types):
        return _OFFICE_MACRO
    found = [kind for main, kind in _OOXML_MAIN.items() if main in types]
    return found[0] if len(found) == 1 else _ZIP


def _odf(stream: BinaryIO, entry: Entry) -> FileType:
    part = zipdirectory.unpack(stream, entry, 200)
    if part is None:
        return UNKNOWN
    mime = part.decode("ascii").strip()
    if mime not in _ODF:
        return _ZIP
    return FileType(mime, Family.OFFICE, _ODF[mime])
