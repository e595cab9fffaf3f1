"""A backup as one file: a plain tar that any machine can list and unpack.

``database.dump`` (pg_dump's custom format), ``files/<storage key>.bin`` for each stored file, and
last ``manifest.json``: how many rows each table had, the end of the audit chain, the revision of
the tables, and size and SHA-256 of everything in the archive. An archive that was cut short has no
manifest; one that was changed does not match it. Neither is restored.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dask_platform.kernel.errors import DaskError

CHUNK = 1024 * 1024
DATABASE = "database.dump"
MANIFEST = "manifest.json"
MANIFEST_MOST = 512 * 1024 * 1024  # bytes; some three million files
_BLOCK = 512
_PARTIAL = ".dask-backup-partial-"
_PARTIAL_SECONDS = 24 * 3600
_SHA256 = r"^[0-9a-f]{64}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Part):
    """Size in bytes and SHA-256 of one member."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)


class FileEntry(Content):
    """A stored file, under the key it had in the store."""

    key: str = Field(pattern=r"^[a-z0-9_-]+(/[a-z0-9_-]+)*$", max_length=200)


class Absent(_Part):
    """A file that the database names and the store could not give.

    ``known``: the platform had noticed before, and said so to the student. ``removed``: taken out
    of a draft while the backup ran. ``missing`` and ``damaged`` are news.
    """

    key: str
    why: Literal["damaged", "known", "missing", "removed"]


class AuditEnd(_Part):
    """The end of the audit chain, as ``audit verify`` prints it."""

    seq: int = Field(ge=0)
    hash: str = Field(pattern=_SHA256)


class Manifest(_Part):
    """What a backup holds. ``key_check`` tells whether a secret key is the one that was in use."""

    format: Literal[1] = 1
    made_at: datetime
    platform: str
    revision: str
    key_check: str
    tables: dict[str, int]
    audit: AuditEnd
    database: Content
    files: list[FileEntry]
    absent: list[Absent]


def damaged(why: str) -> DaskError:
    return DaskError("The backup is damaged, nothing was restored: %(why)s.", why=why)


class ArchiveWriter:
    """Writes members one after the other. Made by :func:`new_archive`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> Content:
        """Write a member of ``size`` bytes. If ``chunks`` fail or are not that many, it is as if it
        had never been begun: the error is passed on and the archive can be written further."""
        start = self._file.tell()
        digest = hashlib.sha256()
        written = 0
        try:
            self._file.write(self._header(name, size))
            for chunk in chunks:
                digest.update(chunk)
                written += self._file.write(chunk)
            if written != size:
                raise DaskError(
                    "%(name)s has %(written)s bytes, not %(size)s.",
                    name=name, written=written, size=size,
                )  # fmt: skip
            self._file.write(bytes(-written % _BLOCK))
        except BaseException:
            self._file.seek(start)
            self._file.truncate()
            raise
        return Content(size=size, sha256=digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """The manifest and the end marks."""
        raw = manifest.model_dump_json(indent=1).encode()
        self.add(MANIFEST, len(raw), [raw])
        self._file.write(bytes(2 * _BLOCK))

    def _header(self, name: str, size: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.size = size
        member.mode = 0o600
        member.mtime = int(time.time())
        return member.tobuf(tarfile.PAX_FORMAT)


@contextmanager
def new_archive(target: Path) -> Iterator[ArchiveWriter]:
    """A new archive that gets its name ``target`` only when the block ends well.

    Until then it lies beside it under a name of its own, readable by this user alone, as it is
    afterwards. A target that exists is refused: no backup overwrites another.
    """
    if target.exists():
        raise DaskError("%(path)s exists already. Choose another name.", path=target)
    _sweep(target.parent)
    partial = target.parent / f"{_PARTIAL}{secrets.token_hex(8)}"
    handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield ArchiveWriter(file)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, this cannot overwrite what came there meanwhile.
        os.link(partial, target)
        _sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


class Archive:
    """A backup that is read. Nothing in it is believed before :meth:`verify`."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - with the file
            members = self._tar.getmembers()
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise damaged("it is not a backup, or was cut short") from error
        self._members = {member.name: member for member in members}
        if len(self._members) != len(members) or not all(one.isreg() for one in members):
            raise damaged("it holds something that no backup holds")
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        member = self._members.get(MANIFEST)
        if member is None or member.size > MANIFEST_MOST:
            raise damaged("it has no manifest; it was cut short")
        try:
            return Manifest.model_validate_json(b"".join(self._read(member)))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise damaged(f"its manifest is not one this platform knows ({where})") from error

    def verify(self) -> None:
        """Read every byte and hold it against the manifest. Raises ``DaskError``."""
        wanted: dict[str, Content] = {DATABASE: self.manifest.database}
        for file in self.manifest.files:
            name = member_name(file.key)
            if name in wanted:
                raise damaged(f"its manifest names {name} twice")
            wanted[name] = file
        if strange := sorted(self._members.keys() - wanted.keys() - {MANIFEST}):
            raise damaged(f"{strange[0]} is not in its manifest")
        for name, content in wanted.items():
            member = self._members.get(name)
            if member is None:
                raise damaged(f"{name} is missing")
            digest = hashlib.sha256()
            for chunk in self._read(member):
                digest.update(chunk)
            if (member.size, digest.hexdigest()) != (content.size, content.sha256):
                raise damaged(f"{name} was changed")

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a member, a chunk at a time."""
        return self._read(self._members[name])

    def _read(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        stream = self._tar.extractfile(member)
        if stream is None:
            raise damaged(f"{member.name} is no file")
        try:
            while chunk := stream.read(CHUNK):
                yield chunk
        except (tarfile.TarError, EOFError) as error:
            raise damaged("it was cut short") from error


def key_check(secret: str) -> str:
    """A mark by which a secret key is known again and from which it cannot be found."""
    return hmac.new(secret.encode(), b"dask backup key check", hashlib.sha256).hexdigest()[:32]


def member_name(key: str) -> str:
    """Where a stored file lies in the archive. The suffix lets ``a`` and ``a/b`` both unpack."""
    return f"files/{key}.bin"


def _sweep(folder: Path) -> None:
    """Remove what a backup that was killed left here a day ago or earlier: it is personal data."""
    for left in folder.glob(f"{_PARTIAL}*"):
        if left.stat().st_mtime < time.time() - _PARTIAL_SECONDS:
            left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
