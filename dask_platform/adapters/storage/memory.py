"""An honest fake: the whole contract, kept in memory. For tests of features."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from dask_platform.adapters.storage.common import (
    CHUNK,
    CheckedStream,
    check_key,
    check_prefix,
    check_range,
    checked_chunks,
    clamp,
    missing,
    taken,
    unavailable,
)
from dask_platform.kernel.ports import StoredFile


class MemoryStore:
    """See :class:`dask_platform.kernel.ports.FileStore`.

    Set ``available`` to False and every method raises ``StorageUnavailable``, as a store that does
    not answer would.
    """

    def __init__(self) -> None:
        self.available = True
        self._lock = threading.Lock()
        self._files: dict[str, tuple[StoredFile, bytes, datetime]] = {}

    def put(self, key: str, stream: BinaryIO, *, size: int, sha256: str) -> StoredFile:
        check_key(key)
        checked = CheckedStream(stream, size=size, sha256=sha256)
        self.check()
        if key in self._files:
            raise taken()
        data = checked.read_all()
        self.check()
        file = StoredFile(key, size, sha256)
        with self._lock:
            if key in self._files:
                raise taken()
            self._files[key] = (file, data, datetime.now(UTC))
        return file

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        check_range(offset, length)
        file, data = self._find(key)
        start, count = clamp(file, offset, length)
        chunks = (
            data[at : min(at + CHUNK, start + count)] for at in range(start, start + count, CHUNK)
        )
        return checked_chunks(chunks, file) if count == file.size else chunks

    def stat(self, key: str) -> StoredFile:
        return self._find(key)[0]

    def delete(self, key: str) -> None:
        check_key(key)
        self.check()
        self._files.pop(key, None)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        check_prefix(prefix)
        self.check()
        found = sorted((key, at) for key, (_, _, at) in list(self._files.items()))
        return ((key, at) for key, at in found if key.startswith(prefix))

    def sweep(self, older_than: timedelta = timedelta(hours=24)) -> int:
        """A write that broke off left nothing here."""
        return 0

    def internal_path(self, key: str) -> str | None:
        check_key(key)
        return None

    def check(self) -> None:
        if not self.available:
            raise unavailable()

    def _find(self, key: str) -> tuple[StoredFile, bytes]:
        check_key(key)
        self.check()
        try:
            return self._files[key][:2]
        except KeyError:
            raise missing() from None
