"""Receiving files in constant memory.

A form is parsed before any view runs (the form token is in it), so the files in it are taken care
of here: each is written to a temporary file as it arrives, its SHA-256 and size are counted on the
way, and past the limit its bytes are counted no further but read to the end. The rest of the form
then survives a file that is too large, and with it the text that somebody wrote.

The temporary files lie in ``DASK_HOME/tmp`` and have no name there: the kernel removes them with
the process that held them, however it ends. :func:`sweep` takes what a file system without that
ability left behind.

To use it: ``app.request_class = UploadRequest``.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, cast

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest
from werkzeug.formparser import FormDataParser

from dask_platform.web.context import platform

MEMORY_MOST = 256 * 1024  # bytes of a file kept in memory; a larger one is on the disk


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as it arrived.

    ``stream`` stands at its start and can be read again after ``seek(0)``; it closes with the
    request. ``size`` in bytes, ``sha256`` as 64 hex digits, ``name`` as the sender's machine calls
    it (to be shown to nobody as it is). When ``too_large``, the file was longer than the platform
    takes and ``stream`` is empty.
    """

    stream: BinaryIO
    size: int
    sha256: str
    name: str
    too_large: bool = False


class UploadStream:
    """Where the form parser writes one file. Keeps at most ``limit`` bytes, on the disk."""

    def __init__(self, folder: Path, limit: int) -> None:
        # Closed with the request, not with a block.
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(  # noqa: SIM115
            max_size=MEMORY_MOST, mode="w+b", dir=str(folder)
        )
        self._limit = limit
        self._hash = hashlib.sha256()
        self.size = 0
        self.too_large = False

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def file(self) -> BinaryIO:
        return cast(BinaryIO, self._file)

    def write(self, data: bytes) -> int:
        """Take the next bytes. Past the limit they are dropped, and what was kept goes too."""
        if self.too_large:
            return len(data)
        if self.size + len(data) > self._limit:
            self.too_large = True
            self._file.seek(0)
            self._file.truncate()
            return len(data)
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def read(self, amount: int = -1) -> bytes:
        return self._file.read(amount)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class WholeForms(FormDataParser):
    """Takes a form whole or not at all; the parser's own habit is an empty form without a word."""

    def parse(self, *arguments: Any, **named: Any) -> Any:
        self.silent = False
        try:
            return super().parse(*arguments, **named)
        except ValueError:
            raise BadRequest("The form broke off in the middle.") from None


class UploadRequest(Request):
    """A request whose files arrive in :class:`UploadStream`, and close with it."""

    form_data_parser_class = WholeForms
    _streams: list[UploadStream] | None = None

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        settings = platform().settings
        stream = UploadStream(temporary_folder(settings.home), settings.upload_max_bytes)
        if self._streams is None:
            self._streams = []
        self._streams.append(stream)
        return cast(IO[bytes], stream)

    def close(self) -> None:
        """Let go of every file, also of one that was cut off in the middle."""
        super().close()
        for stream in self._streams or ():
            stream.close()


def incoming(files: Iterable[FileStorage]) -> list[IncomingFile]:
    """The files of a form field, without the empty one a browser sends when none was chosen."""
    found = []
    for storage in files:
        stream = storage.stream
        if not isinstance(stream, UploadStream):
            raise TypeError("set app.request_class = UploadRequest to receive files")
        name = storage.filename or ""
        if not name and stream.size == 0 and not stream.too_large:
            continue
        stream.seek(0)
        found.append(IncomingFile(stream.file, stream.size, stream.sha256, name, stream.too_large))
    return found


def request_bytes_most(upload_max_bytes: int) -> int:
    """How long a request with files may be at all: what is over a file's limit is still read, and
    dropped, so that the text beside it arrives; what is over this is refused unread."""
    return 4 * upload_max_bytes


def temporary_folder(home: Path) -> Path:
    """``DASK_HOME/tmp``, readable by this user alone."""
    folder = home / "tmp"
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    return folder


def sweep(home: Path, older_than: timedelta = timedelta(hours=24)) -> int:
    """Remove files in ``DASK_HOME/tmp`` that nobody has touched for so long; how many."""
    limit = time.time() - older_than.total_seconds()
    swept = 0
    for path in temporary_folder(home).iterdir():
        if path.is_file() and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            swept += 1
    return swept
