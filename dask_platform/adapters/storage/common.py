"""What every file store shares: keys, the check of what comes in and of what goes out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from dask_platform.kernel.errors import Conflict, FileCorrupt, FileMissing, StorageUnavailable
from dask_platform.kernel.ports import StoredFile

#: Bytes held in memory at a time.
CHUNK = 1024 * 1024

_KEY = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*")
_PREFIX = re.compile(r"[a-z0-9/_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_key(key: str) -> str:
    """The key itself, if it is one. Keys are made by us: a bad one is a bug, so ``ValueError``."""
    if not 1 <= len(key) <= 200 or not _KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself, if a key can begin with it; else ``ValueError``."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"not the beginning of a storage key: {prefix!r}")
    return prefix


def check_range(offset: int, length: int | None) -> None:
    if offset < 0 or (length is not None and length < 0):
        raise ValueError("offset and length count from 0 upward")


def missing() -> FileMissing:
    return FileMissing("The file is not in the store.")


def corrupt() -> FileCorrupt:
    return FileCorrupt("The stored file is damaged. Tell the operator.")


def taken() -> Conflict:
    return Conflict("A file is already stored here. It was not changed.")


def unavailable() -> StorageUnavailable:
    return StorageUnavailable("The file store does not answer. Try again in a few minutes.")


class CheckedStream:
    """A stream that must turn out to be ``size`` bytes with the hash ``sha256``.

    The last bytes are handed out only when everything was right, so that a store which writes what
    it reads can never complete a wrong file. Raises ``FileCorrupt`` when the stream is shorter,
    longer or different.

    ``failure`` keeps an error the caller's own stream raised (a student's upload cut off, say): a
    client library in between may wrap it as if the store had failed.
    """

    def __init__(self, stream: BinaryIO, *, size: int, sha256: str) -> None:
        if size < 0 or not _SHA256.fullmatch(sha256):
            raise ValueError("size counts from 0; sha256 is 64 lower-case hex digits")
        self.failure: BaseException | None = None
        self._stream = stream
        self._size = size
        self._sha256 = sha256
        self._left = size
        self._hash = hashlib.sha256()
        self._checked = False

    def read(self, amount: int = CHUNK) -> bytes:
        """At most ``amount`` bytes, and never more than a chunk; ``b""`` at the end."""
        try:
            return self._read(CHUNK if amount < 0 else min(amount, CHUNK))
        except BaseException as failure:
            self.failure = failure
            raise

    def read_all(self) -> bytes:
        """Everything; for small files only."""
        return b"".join(iter(self.read, b""))

    def _read(self, amount: int) -> bytes:
        data = self._stream.read(min(amount, self._left)) if self._left else b""
        if self._left and not data:
            raise FileCorrupt("The file ended too early. Send it again.")
        self._hash.update(data)
        self._left -= len(data)
        if self._left == 0 and not self._checked:
            if self._stream.read(1):
                raise FileCorrupt("The file is longer than was said. Send it again.")
            if self._hash.hexdigest() != self._sha256:
                raise FileCorrupt("The file changed on its way. Send it again.")
            self._checked = True
        return data


def checked_chunks(chunks: Iterator[bytes], file: StoredFile) -> Iterator[bytes]:
    """``chunks`` of a whole file as they come, the last one only if size and hash are right.

    So a reader never ends normally on a damaged file: ``FileCorrupt`` comes before the end.
    """
    digest = hashlib.sha256()
    size = 0
    held = b""
    for chunk in chunks:
        if held:
            yield held
        digest.update(chunk)
        size += len(chunk)
        held = chunk
    if size != file.size or digest.hexdigest() != file.sha256:
        raise corrupt()
    if held:
        yield held


def clamp(file: StoredFile, offset: int, length: int | None) -> tuple[int, int]:
    """The part of ``file`` that was asked for, as (offset, length) inside it."""
    start = min(offset, file.size)
    left = file.size - start
    return start, left if length is None else min(length, left)
