"""Files in a folder.

A stored file is a folder of its own with one file in it, whose name is its hash and size::

    ROOT/files/handins/3f2a….file/9b74c9…-10485760
    ROOT/incoming/…                        uploads on their way, and files on their way out

That shape gives three things at once. Renaming a finished folder into place is one atomic step,
and the kernel refuses it when something is there: a key is visible whole or not at all and never
overwritten, without locks. The hash is in the name, so any copy of the folder keeps it (``cp``,
``tar``, ``rsync``; extended attributes would not survive all of them), and ``sha256sum`` against
the name shows damage by hand. And ``.`` is in no key: ``a/b`` and ``a/b/c`` can both be stored.

Every step opens one path part below an open folder and follows no symbolic link, so nothing in
the folder can lead out of it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from dask_platform.adapters.storage.common import (
    CHUNK,
    CheckedStream,
    check_key,
    check_prefix,
    check_range,
    checked_chunks,
    clamp,
    corrupt,
    missing,
    taken,
    unavailable,
)
from dask_platform.kernel.ports import StoredFile

_FILES = "files"
_INCOMING = "incoming"
_SUFFIX = ".file"
_NAME = re.compile(r"([0-9a-f]{64})-(0|[1-9][0-9]*)")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: How often a put looks for its folder anew when a delete removes it, empty, in between.
_TRIES = 50


class FilesystemStore:
    """See :class:`dask_platform.kernel.ports.FileStore`.

    ``root`` must have been made by :meth:`ensure_folder`: a root that is not there, or a disk that
    is not mounted, is ``StorageUnavailable`` and not silently an empty store.

    ``accel_prefix`` (such as ``/_files/``) is where nginx serves ``ROOT/files/`` internally;
    without it Python streams. Files are 0600 in folders 0700; ``group_readable`` makes that 0640
    and 0750, for an nginx that runs as another user in the same group.
    """

    def __init__(
        self, root: Path, *, accel_prefix: str | None = None, group_readable: bool = False
    ) -> None:
        self._root = root
        self._accel_prefix = accel_prefix
        self._folder_mode = 0o750 if group_readable else 0o700
        self._file_mode = 0o640 if group_readable else 0o600

    def ensure_folder(self) -> None:
        """Make the folders, for set-up. Harmless when they are there."""
        with _disk():
            for folder in (self._root, self._root / _FILES, self._root / _INCOMING):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(self._folder_mode)

    # --- the port ---------------------------------------------------------------------------

    def put(self, key: str, stream: BinaryIO, *, size: int, sha256: str) -> StoredFile:
        """Bytes, file and folders are on the disk (fsync) when this returns."""
        *parents, last = check_key(key).split("/")
        checked = CheckedStream(stream, size=size, sha256=sha256)
        if self._exists(key):
            raise taken()
        temporary = secrets.token_hex(16)
        with _disk(checked), self._opened(_INCOMING) as incoming:
            try:
                self._write(incoming, temporary, f"{sha256}-{size}", checked)
                self._place(incoming, temporary, parents, last)
            except BaseException:
                _remove(incoming, temporary)
                raise
        return StoredFile(key, size, sha256)

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A whole file is checked against its hash as it is read; a part only for its length."""
        check_range(offset, length)
        file = self.stat(key)
        start, count = clamp(file, offset, length)
        chunks = self._read(key, start, count)
        return checked_chunks(chunks, file) if count == file.size else chunks

    def stat(self, key: str) -> StoredFile:
        with _disk(), self._located(key) as (_, _, file):
            return file

    def delete(self, key: str) -> None:
        *parents, last = check_key(key).split("/")
        with _disk():
            try:
                with self._opened(_FILES, *parents) as folder, self._opened(_INCOMING) as incoming:
                    gone = secrets.token_hex(16)
                    os.rename(last + _SUFFIX, gone, src_dir_fd=folder, dst_dir_fd=incoming)
                    os.fsync(folder)
                    _remove(incoming, gone)
            except (FileNotFoundError, NotADirectoryError):
                self._ensure_there()
                return
            self._prune(parents)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        check_prefix(prefix)
        with _disk():
            self._ensure_there()
        return self._keys_below([], prefix)

    def internal_path(self, key: str) -> str | None:
        """``accel_prefix`` + the path below ``ROOT/files/``. Raises ``FileMissing``."""
        check_key(key)
        if self._accel_prefix is None:
            return None
        with _disk(), self._located(key) as (_, name, _):
            return f"{self._accel_prefix}{key}{_SUFFIX}/{name}"

    def check(self) -> None:
        """Write a small file, force it to the disk, read it back, remove it."""
        probe, name = secrets.token_bytes(16), f"check-{secrets.token_hex(8)}"
        with _disk(), self._opened(_FILES), self._opened(_INCOMING) as incoming:
            try:
                with os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=incoming), "wb") as file:
                    file.write(probe)
                    file.flush()
                    os.fsync(file.fileno())
                with os.fdopen(os.open(name, _READ, dir_fd=incoming), "rb") as file:
                    if file.read() != probe:
                        raise OSError(errno.EIO, "read back something else than was written")
            finally:
                _remove(incoming, name)

    def sweep(self, older_than: timedelta = timedelta(hours=24)) -> int:
        """Remove what interrupted uploads and deletes left, if older; how many that were."""
        limit = datetime.now(UTC) - older_than
        swept = 0
        with _disk(), self._opened(_INCOMING) as incoming:
            for name in os.listdir(incoming):
                try:
                    changed = os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime
                except FileNotFoundError:
                    continue
                if datetime.fromtimestamp(changed, UTC) < limit:
                    _remove(incoming, name)
                    swept += 1
        return swept

    # --- writing ----------------------------------------------------------------------------

    def _write(self, incoming: int, temporary: str, name: str, checked: CheckedStream) -> None:
        os.mkdir(temporary, self._folder_mode, dir_fd=incoming)
        with _folder(temporary, incoming) as folder:
            os.fchmod(folder, self._folder_mode)
            with os.fdopen(
                os.open(name, _CREATE, self._file_mode, dir_fd=folder), "wb", buffering=0
            ) as file:
                os.fchmod(file.fileno(), self._file_mode)
                while chunk := checked.read(CHUNK):
                    view = memoryview(chunk)
                    while view:
                        view = view[file.write(view) :]
                os.fsync(file.fileno())
            os.fsync(folder)

    def _place(self, incoming: int, temporary: str, parents: list[str], last: str) -> None:
        for _ in range(_TRIES):
            self._make_folders(parents)
            try:
                with self._opened(_FILES, *parents) as folder:
                    os.rename(temporary, last + _SUFFIX, src_dir_fd=incoming, dst_dir_fd=folder)
                    os.fsync(folder)
                    return
            except FileNotFoundError:
                continue  # a delete removed the folder because it was empty
            except OSError as problem:
                if problem.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise taken() from None
                raise
        raise unavailable()

    def _make_folders(self, parents: list[str]) -> None:
        for depth, part in enumerate(parents):
            try:
                with self._opened(_FILES, *parents[:depth]) as folder:
                    os.mkdir(part, self._folder_mode, dir_fd=folder)
                    os.chmod(part, self._folder_mode, dir_fd=folder)
                    os.fsync(folder)
            except FileExistsError:
                continue
            except FileNotFoundError:
                return  # removed in between; the caller tries anew

    def _prune(self, parents: list[str]) -> None:
        """Remove the folders a delete left empty."""
        for depth in range(len(parents) - 1, -1, -1):
            try:
                with self._opened(_FILES, *parents[:depth]) as folder:
                    os.rmdir(parents[depth], dir_fd=folder)
            except OSError:
                return  # not empty, or gone already

    # --- reading ----------------------------------------------------------------------------

    def _read(self, key: str, start: int, count: int) -> Iterator[bytes]:
        with _disk(), self._located(key) as (folder, name, _):
            handle = os.open(name, _READ, dir_fd=folder)
        with os.fdopen(handle, "rb", buffering=0) as file:
            with _disk():
                file.seek(start)
            while count:
                with _disk():
                    chunk = file.read(min(CHUNK, count))
                if not chunk:
                    raise corrupt()
                count -= len(chunk)
                yield chunk

    @contextmanager
    def _located(self, key: str) -> Iterator[tuple[int, str, StoredFile]]:
        """The open folder of a stored file, the name in it, and what that name says."""
        *parents, last = check_key(key).split("/")
        try:
            with self._opened(_FILES, *parents, last + _SUFFIX) as folder:
                names = os.listdir(folder)
                if not names:
                    raise missing()
                match = _NAME.fullmatch(names[0])
                if len(names) != 1 or match is None:
                    raise corrupt()
                status = os.stat(names[0], dir_fd=folder, follow_symlinks=False)
                file = StoredFile(key, int(match[2]), match[1])
                if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
                    raise corrupt()
                yield folder, names[0], file
        except (FileNotFoundError, NotADirectoryError):
            # The second is a symbolic link or a stray file: nothing that was stored here.
            self._ensure_there()
            raise missing() from None

    def _exists(self, key: str) -> bool:
        *parents, last = key.split("/")
        with _disk():
            try:
                with self._opened(_FILES, *parents, last + _SUFFIX) as folder:
                    return bool(os.listdir(folder))
            except (FileNotFoundError, NotADirectoryError):
                return False

    def _keys_below(self, parts: list[str], prefix: str) -> Iterator[tuple[str, datetime]]:
        base = "".join(f"{part}/" for part in parts)
        found: list[tuple[str, datetime | None]] = []
        with _disk():
            try:
                with self._opened(_FILES, *parts) as folder, os.scandir(folder) as entries:
                    for entry in entries:
                        if not entry.is_dir(follow_symlinks=False):
                            continue
                        key = base + entry.name.removesuffix(_SUFFIX)
                        if key != base + entry.name:
                            if key.startswith(prefix):
                                changed = entry.stat(follow_symlinks=False).st_mtime
                                found.append((key, datetime.fromtimestamp(changed, UTC)))
                        elif f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                            found.append((f"{key}/", None))
            except FileNotFoundError:
                return  # deleted while we walk
        # A folder sorts with its slash: that is where its keys belong among their neighbours.
        for key, at in sorted(found, key=lambda pair: pair[0]):
            if at is None:
                yield from self._keys_below([*parts, key[len(base) : -1]], prefix)
            else:
                yield key, at

    # --- opening ----------------------------------------------------------------------------

    @contextmanager
    def _opened(self, *parts: str) -> Iterator[int]:
        """An open folder below the root, reached part by part without following links."""
        handle = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                below = os.open(part, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _ensure_there(self) -> None:
        """Tell a missing file from a missing store."""
        try:
            with self._opened(_FILES):
                pass
        except OSError as problem:
            raise unavailable() from problem


@contextmanager
def _folder(name: str, parent: int) -> Iterator[int]:
    handle = os.open(name, _FOLDER, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _disk(checked: CheckedStream | None = None) -> Iterator[None]:
    """The disk's errors become ``StorageUnavailable``; those of the caller's stream stay."""
    try:
        yield
    except OSError as problem:
        if checked is not None and checked.failure is problem:
            raise
        raise unavailable() from problem


def _remove(folder: int, name: str) -> None:
    """Remove a file or a folder in ``folder``. What cannot be removed is left for the sweep."""
    with suppress(OSError):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            shutil.rmtree(name, dir_fd=folder)
