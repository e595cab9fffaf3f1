"""The answers of a recording that is to become a copy.

Bytes lie in the store, a row for each address in the database. Only whole answers are kept, once
for each address, and within limits; what is over them is left out, and the officer is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.recorder.models import RecordingAnswer
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.ports import Captured, FileStore

MIB: Final = 1024 * 1024
ANSWERS_MOST: Final = 2000
BYTES_MOST: Final = 200 * MIB
#: The largest single answer that is kept.
LARGEST: Final = 50 * MIB
FOLDER: Final = "recordings/"
_IN_MEMORY: Final = 1 * MIB
#: Of the headers of an answer, those that a copy has a use for.
_HEADERS: Final = ("content-type", "last-modified")


class Tee:
    """The bytes of an answer on their way to the browser, kept beside it. Past ``LARGEST`` it keeps
    nothing and lets all of them through."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile[bytes](max_size=_IN_MEMORY)
        self._hash = hashlib.sha256()
        self.size = 0
        self.over = self.whole = False

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.over or self.size > LARGEST:
            self.over = True
            return
        self._file.write(chunk)
        self._hash.update(chunk)

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """``chunks``, each kept as it passes; ``whole`` once all of them have."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk
        self.whole = not self.over

    def store(self, files: FileStore, recording_id: UUID) -> str:
        """Put it into the store; the key."""
        key = f"{FOLDER}{recording_id}/{new_id()}"
        self._file.seek(0)
        files.put(key, cast(BinaryIO, self._file), size=self.size, sha256=self._hash.hexdigest())
        return key

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class Kept:
    """How much a recording keeps."""

    answers: int
    size: int

    @property
    def full(self) -> bool:
        return self.answers >= ANSWERS_MOST or self.size >= BYTES_MOST


def kept(uow: UnitOfWork, recording_id: UUID) -> Kept:
    """What there is so far."""
    count, size = uow.execute(
        select(func.count(), func.coalesce(func.sum(RecordingAnswer.size), 0)).where(
            RecordingAnswer.recording_id == recording_id
        )
    ).one()
    return Kept(int(count), int(size))


def room_for(uow: UnitOfWork, recording_id: UUID, url: str) -> bool:
    """Whether an answer of ``url`` is wanted: there is room, and none is kept yet."""
    known = select(RecordingAnswer.url).filter_by(recording_id=recording_id, url=url)
    return uow.scalar(known) is None and not kept(uow, recording_id).full


def keep(
    uow: UnitOfWork,
    files: FileStore,
    recording_id: UUID,
    tee: Tee,
    *,
    url: str,
    at: datetime,
    headers: Mapping[str, str],
) -> bool:
    """Keep the whole answer in ``tee``; False where there is no room for it. The bytes go first: a
    crash leaves a file without a row, which is swept, and never the opposite."""
    now = kept(uow, recording_id)
    if tee.over or now.answers >= ANSWERS_MOST or now.size + tee.size > BYTES_MOST:
        return False
    key = tee.store(files, recording_id)
    made = uow.execute(
        insert(RecordingAnswer)
        .values(
            recording_id=recording_id, url=url, key=key, at=at, status=200, size=tee.size,
            headers={name: headers[name] for name in _HEADERS if name in headers},
        )
        .on_conflict_do_nothing()
        .returning(RecordingAnswer.url)
    ).all()  # fmt: skip
    if not made:
        files.delete(key)
    return bool(made)


def captured(uow: UnitOfWork, files: FileStore, recording_id: UUID) -> Iterator[Captured]:
    """Everything that is kept, in the order it came. The database is asked at once, the store as
    they are read."""
    found = uow.scalars(
        select(RecordingAnswer).filter_by(recording_id=recording_id).order_by(RecordingAnswer.at)
    ).all()
    return (
        Captured(one.url, one.at, one.status, one.headers, files.open(one.key)) for one in found
    )
