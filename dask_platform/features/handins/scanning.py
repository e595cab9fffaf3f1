"""What the worker does with each file: scan it, write down what was found, put away what is bad.

Only ``clean`` opens a file to a teacher. A scanner or a store that does not answer leaves the file
``pending``, and the job comes again; a scanner that will not judge (too large, nested too deep) is
never taken for clean.

A stopped file is in quarantine: its bytes move from ``handins/…`` to ``quarantine/…`` in the store
and no page serves them, to anybody. The row stays, so that security sees what was stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, cast
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.orm import load_only

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.handins.filing import summary
from dask_platform.features.handins.models import Attempt, HandinFile, ScanState
from dask_platform.features.handins.policy import STOPPED
from dask_platform.kernel.errors import Conflict, FileCorrupt, FileMissing, ScanRefused
from dask_platform.kernel.ports import FileStore
from dask_platform.web.platform import Platform

HANDINS = "handins/"
QUARANTINE = "quarantine/"
MISSING = "missing from the store"
DAMAGED = "damaged in the store"
FINDING_MOST = 200

EVENTS = {
    ScanState.CLEAN: EventKind.FILE_SCANNED,
    ScanState.INFECTED: EventKind.FILE_INFECTED,
    ScanState.REFUSED: EventKind.FILE_REFUSED,
}
# The worker may read placements and nothing else of people.
UNIT_NOW = text(
    "SELECT unit_id FROM placement WHERE person_id = :person AND starts_at <= now()"
    " AND (ends_at IS NULL OR ends_at > now())"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    state: ScanState
    finding: str | None = None


def scan(platform: Platform, file_id: UUID) -> ScanState | None:
    """Scan one file; the state it has afterwards, None when it is gone.

    No transaction is open while the scanner works. Done twice it does no harm. Raises
    ``ScannerUnavailable`` and ``StorageUnavailable``: the caller tries again later.
    """
    with platform.database.work() as uow:
        row = uow.execute(
            select(HandinFile.storage_key, HandinFile.scan_state).where(HandinFile.id == file_id)
        ).one_or_none()
    if row is None:
        return None
    key, state = row
    if state == ScanState.PENDING:
        verdict = _judge(platform, key)
        with platform.database.work() as uow:
            settled = settle(uow, file_id, verdict, platform.clock.now())
        if settled is None:
            return None
        state = settled
    if state in STOPPED:
        put_away(platform.files, key)
    return ScanState(state)


def settle(
    uow: UnitOfWork, file_id: UUID, verdict: Verdict, now: datetime, *, from_state: str = "pending"
) -> ScanState | None:
    """Write the verdict and what the attempt's files come to; the state the file has then.

    The attempt is locked first: a student adding another file at this moment waits, or was there
    before, so no sum is made without it. None when the student has taken the file away meanwhile.
    """
    attempt_id = uow.scalar(select(HandinFile.attempt_id).where(HandinFile.id == file_id))
    if attempt_id is None:
        return None
    uow.scalars(
        select(Attempt)
        .options(load_only(Attempt.id, raiseload=True))
        .where(Attempt.id == attempt_id)
        .with_for_update(of=Attempt)
    ).one()
    states = {
        file.id: file
        for file in uow.scalars(
            select(HandinFile)
            .where(HandinFile.attempt_id == attempt_id)
            .execution_options(populate_existing=True)
        )
    }
    file = states.get(file_id)
    if file is None:
        return None
    if file.scan_state != from_state:
        return ScanState(file.scan_state)
    file.scan_state = verdict.state
    file.scan_finding = verdict.finding[:FINDING_MOST] if verdict.finding else None
    file.scanned_at = now
    uow.flush()
    # Without a new version: that counts the student's text, which nobody has touched.
    uow.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(scan_state=summary([one.scan_state for one in states.values()]))
    )
    record(
        uow, None, EVENTS[verdict.state], system="worker",
        unit_id=uow.scalar(UNIT_NOW, {"person": file.person_id}), thing=("file", file.id),
        subject_id=file.person_id, attempt=attempt_id, sha256=file.sha256, size=file.size,
        finding=file.scan_finding,
    )  # fmt: skip
    return verdict.state


def put_away(store: FileStore, key: str) -> bool:
    """Move a stopped file's bytes into quarantine; whether there was anything to move.

    Copy, then delete: broken off in the middle it is done again, here or by ``reconcile``.
    """
    try:
        stored = store.stat(key)
    except FileMissing:
        return False
    try:
        stream = cast(BinaryIO, ChunkReader(store.open(key)))
        store.put(quarantine_key(key), stream, size=stored.size, sha256=stored.sha256)
    except Conflict:
        pass  # the copy was made before; only the original is left to remove
    except FileCorrupt:
        return False  # nothing whole to move; it stays where no page serves it
    store.delete(key)
    return True


def drop(platform: Platform, key: str) -> bool:
    """Remove the bytes of a file whose row is gone; never those of one that still has a row."""
    with platform.database.work() as uow:
        kept = uow.scalar(select(HandinFile.id).where(HandinFile.storage_key == key))
    if kept is not None or not key.startswith(HANDINS):
        return False
    platform.files.delete(key)
    platform.files.delete(quarantine_key(key))
    return True


def quarantine_key(key: str) -> str:
    """Where the bytes of ``key`` lie when they have been stopped."""
    return QUARANTINE + key.removeprefix(HANDINS)


def _judge(platform: Platform, key: str) -> Verdict:
    try:
        result = platform.scanner.scan(platform.files.open(key))
    except ScanRefused as refused:
        return Verdict(ScanState.REFUSED, str(refused))
    except FileMissing:
        return Verdict(ScanState.REFUSED, MISSING)
    except FileCorrupt:
        return Verdict(ScanState.REFUSED, DAMAGED)
    if result.clean:
        return Verdict(ScanState.CLEAN)
    return Verdict(ScanState.INFECTED, result.signature)


class ChunkReader:
    """Chunks read as a stream, holding one of them at a time."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def read(self, amount: int = -1) -> bytes:
        if amount < 0:
            return bytes(self._left) + b"".join(self._chunks)
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        taken, self._left = self._left[:amount], self._left[amount:]
        return bytes(taken)
