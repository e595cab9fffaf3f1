"""The table of contents of a ZIP file, read within limits and without unpacking.

The standard library's reader loads a directory of any size, and finds an archive behind anything.
This one wants the file to be a ZIP from its first byte to its last, as office programs write it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

MAX_DIRECTORY: Final = 1024 * 1024
MAX_ENTRIES: Final = 10_000

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 1


class BadZip(Exception):
    """Not a ZIP that begins, ends and adds up as one. Never leaves the security layer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One part. ``packed`` and ``size`` in bytes as declared; ``offset`` of its local header."""

    name: str
    method: int
    encrypted: bool
    packed: int
    size: int
    offset: int


def has_end_record(tail: bytes) -> bool:
    """Whether the last bytes of a file (65 557, or all) hold the end of a ZIP.

    Readers look for the record from behind and pay no heed to what stands in front, so a picture
    with one is an archive too. The record must be plausible: random bytes may spell its mark.
    """
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) - at >= _END.size:
            _, disk, start_disk, here, total, size, _, comment = _END.unpack_from(tail, at)
            fits = at + _END.size + comment <= len(tail)
            if fits and disk == start_disk == 0 and here == total and size >= 46 * total:
                return True
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return False


def read(stream: BinaryIO, size: int) -> list[Entry]:
    """The entries in the order of the directory. Raises ``BadZip``.

    Refused: anything in front of the first part, between the directory and the end record, or
    behind it; more than 10 000 parts; a directory over 1 MiB; ZIP64; several disks.
    """
    stream.seek(max(0, size - _END.size - 0xFFFF))
    tail = stream.read(_END.size + 0xFFFF)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BadZip("no end record")
    _, disk, start_disk, here, total, length, start, comment = _END.unpack_from(tail, at)
    end_at = size - len(tail) + at
    if disk or start_disk or here != total or at + _END.size + comment != len(tail):
        raise BadZip("the end record does not add up")
    if start + length != end_at or length > MAX_DIRECTORY or total > MAX_ENTRIES:
        raise BadZip("the directory is not where it should be, or too large")
    stream.seek(start)
    entries = _entries(stream.read(length), total)
    if total:
        stream.seek(0)
        if min(entry.offset for entry in entries) != 0 or stream.read(4) != b"PK\x03\x04":
            raise BadZip("something stands in front of the first part")
    return entries


def _entries(directory: bytes, total: int) -> list[Entry]:
    entries = []
    at = 0
    for _ in range(total):
        if len(directory) - at < _CENTRAL.size:
            raise BadZip("the directory is cut off")
        fields = _CENTRAL.unpack_from(directory, at)
        mark, flags, method, packed, size = fields[0], fields[3], fields[4], fields[8], fields[9]
        name_length, extra, comment, offset = fields[10], fields[11], fields[12], fields[16]
        raw = directory[at + _CENTRAL.size : at + _CENTRAL.size + name_length]
        if mark != b"PK\x01\x02" or len(raw) != name_length or b"\x00" in raw:
            raise BadZip("an entry is broken")
        name = raw.decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
        name = name.replace("\\", "/")
        entries.append(Entry(name, method, bool(flags & _ENCRYPTED), packed, size, offset))
        at += _CENTRAL.size + name_length + extra + comment
    if at != len(directory):
        raise BadZip("the directory has something behind its last entry")
    return entries


def unpack(stream: BinaryIO, entry: Entry, limit: int) -> bytes | None:
    """The content of one part, or None when it is over ``limit`` bytes, encrypted or broken.

    What the part *declares* is not believed: unpacking stops at the limit.
    """
    if entry.encrypted or entry.packed > limit or entry.method not in {0, 8}:
        return None
    stream.seek(entry.offset)
    header = stream.read(_LOCAL.size)
    if len(header) != _LOCAL.size:
        return None
    fields = _LOCAL.unpack(header)
    name = stream.read(fields[9])
    stream.seek(fields[10], 1)
    # Readers differ in which of the two names they believe.
    if fields[0] != b"PK\x03\x04" or name.decode("cp437").replace("\\", "/") != entry.name:
        return None
    packed = stream.read(entry.packed)
    if entry.method == 0:
        return packed
    engine = zlib.decompressobj(-15)
    try:
        content = engine.decompress(packed, limit)
    except zlib.error:
        return None
    return content if engine.eof else None
