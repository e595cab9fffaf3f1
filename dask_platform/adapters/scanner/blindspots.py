"""Archives that ClamAV takes for clean because it cannot open them.

Seen with ClamAV 1.4.6 and the EICAR test file inside a zip: members with ZIP64 sizes and members
compressed by a method it does not know (LZMA among them) are passed over in silence, and the answer
is OK. Ordinary programs write neither for files of a school's size, so they are refused.

Seen here are the members of the file itself. A zip inside a zip is compressed, and what it holds
is not looked at: it is one more reason to take few kinds of file.
"""

from __future__ import annotations

import struct

from dask_platform.kernel.errors import ScanRefused

_MARK = b"PK\x03\x04"
#: Mark, version, flags, method, time, date, checksum, packed size, size, name and extra length.
_MEMBER = struct.Struct("<4s5HIIIHH")
_IN_ZIP64 = 0xFFFFFFFF
#: Stored, shrunk, imploded, deflated, deflate64, bzip2: what ClamAV opens. 99 marks encryption by
#: AES, which it reports as encrypted.
_OPENED = frozenset({0, 1, 6, 8, 9, 12, 99})
#: The highest version of the format there is. Told apart by it, the mark in random data is rare.
_HIGHEST_VERSION = 63
_LONGEST_NAME = 4096


class ZipWatch:
    """Sees a file's bytes pass. Raises ``ScanRefused`` at a member that ClamAV would not open."""

    def __init__(self) -> None:
        self._beginning = b""
        self._is_zip: bool | None = None
        self._tail = b""

    def see(self, chunk: bytes) -> None:
        """Chunks in order, of any size."""
        if self._is_zip is None:
            self._beginning += chunk
            if len(self._beginning) < len(_MARK):
                return
            self._is_zip = self._beginning.startswith(_MARK)
            chunk = self._beginning
        if not self._is_zip:
            return
        window = self._tail + chunk
        last = len(window) - _MEMBER.size
        at = window.find(_MARK)
        while 0 <= at <= last:
            _check(window, at)
            at = window.find(_MARK, at + 1)
        # One byte short of a member's header: it is seen once, when it is complete.
        self._tail = window[-(_MEMBER.size - 1) :]


def _check(window: bytes, at: int) -> None:
    _, version, _, method, _, _, _, packed, size, name, _ = _MEMBER.unpack_from(window, at)
    if version & 0xFF > _HIGHEST_VERSION or not 0 < name <= _LONGEST_NAME:
        return  # not a member: the same four bytes by chance
    if method not in _OPENED or _IN_ZIP64 in (packed, size):
        raise ScanRefused(
            "The virus scanner cannot open this archive. Send the files one by one, or pack them "
            "again as an ordinary zip file."
        )
