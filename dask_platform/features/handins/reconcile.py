"""Proving that every row has its file and every file its row; and mending where that is not so.

Bytes go to the store before their row is committed, and leave it after the row has gone. A crash
in between leaves a file without a row, never a row without a file; the latter comes only from
damage to the store. Both are found here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.handins import scanning
from dask_platform.features.handins.filing import QUEUE, SCAN
from dask_platform.features.handins.models import HandinFile, ScanState
from dask_platform.features.handins.policy import STOPPED
from dask_platform.features.handins.scanning import HANDINS, MISSING, QUARANTINE, Verdict
from dask_platform.kernel.errors import FileCorrupt, FileMissing
from dask_platform.web import uploads
from dask_platform.web.platform import Platform

ORPHAN_AGE = timedelta(hours=24)  # an upload in progress has its file before its row
STUCK_AGE = timedelta(hours=1)  # a scan that nobody seems to be doing


@dataclass(frozen=True, slots=True)
class Report:
    """What was found wrong. Ids and storage keys; no names."""

    rows: int
    files: int
    rows_without_file: list[UUID] = field(default_factory=list)
    files_without_row: list[str] = field(default_factory=list)
    not_put_away: list[str] = field(default_factory=list)
    not_scanned: list[UUID] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        return not (
            self.rows_without_file
            or self.files_without_row
            or self.not_put_away
            or self.not_scanned
        )


@dataclass(frozen=True, slots=True)
class _Row:
    id: UUID
    key: str
    size: int
    sha256: str
    state: str
    finding: str | None
    added_at: datetime


def reconcile(
    platform: Platform, now: datetime, *, repair: bool = False, thorough: bool = False
) -> Report:
    """Compare rows and stored files; with ``repair`` also mend. Holds every key in memory.

    ``thorough`` asks the store for the size and hash of each file, one by one, and not only
    whether it is there.

    - a row whose file is not there, or is another one: the row is marked as stopped, so that the
      student is told and the teacher is not kept waiting;
    - a file without a row, older than a day: deleted;
    - a stopped file still among the others: put in quarantine;
    - a file that has waited for its scan for more than an hour: sent to the scanner again.

    Raises ``StorageUnavailable`` before anything is changed when the store does not answer.
    """
    platform.files.check()
    written = dict(platform.files.keys(HANDINS))
    put_away = dict(platform.files.keys(QUARANTINE))
    # Rows are read after the keys: a file added in between is no orphan, and a row is looked up.
    rows = _rows(platform)
    present = {**written, **put_away}
    report = Report(len(rows), len(present))
    keys = set()
    for row in rows:
        stopped = row.state in STOPPED
        place = scanning.quarantine_key(row.key) if stopped else row.key
        keys |= {row.key, place}
        if stopped and row.key in written:
            report.not_put_away.append(row.key)
        elif row.finding == MISSING:
            continue
        elif (thorough or place not in present) and not _is_there(platform, row, place):
            report.rows_without_file.append(row.id)
        elif row.state == ScanState.PENDING and row.added_at < now - STUCK_AGE:
            report.not_scanned.append(row.id)
    for key, at in present.items():
        if key not in keys and at < now - ORPHAN_AGE:
            report.files_without_row.append(key)
    if repair and not report.in_order:
        _repair(platform, report, now)
    return report


def sweep_temporary(platform: Platform) -> int:
    """Remove what broken uploads left in ``DASK_HOME/tmp``; how many."""
    return uploads.sweep(platform.settings.home, ORPHAN_AGE)


def _rows(platform: Platform) -> list[_Row]:
    with platform.database.work() as uow:
        return [
            _Row(*row)
            for row in uow.execute(
                select(
                    HandinFile.id,
                    HandinFile.storage_key,
                    HandinFile.size,
                    HandinFile.sha256,
                    HandinFile.scan_state,
                    HandinFile.scan_finding,
                    HandinFile.added_at,
                ).order_by(HandinFile.id)
            )
        ]


def _is_there(platform: Platform, row: _Row, place: str) -> bool:
    try:
        stored = platform.files.stat(place)
    except (FileMissing, FileCorrupt):
        return False
    return (stored.size, stored.sha256) == (row.size, row.sha256)


def _repair(platform: Platform, report: Report, now: datetime) -> None:
    for key in report.not_put_away:
        scanning.put_away(platform.files, key)
    for key in report.files_without_row:
        if key.startswith(HANDINS):
            scanning.drop(platform, key)
        else:
            platform.files.delete(key)
    with platform.database.work() as uow:
        for file_id in report.rows_without_file:
            state = uow.scalar(select(HandinFile.scan_state).where(HandinFile.id == file_id))
            if state is not None:
                verdict = Verdict(ScanState.REFUSED, MISSING)
                scanning.settle(uow, file_id, verdict, now, from_state=state)
        for file_id in report.not_scanned:
            uow.enqueue(SCAN, queue=QUEUE, file_id=file_id)
        record(
            uow, None, EventKind.STORE_RECONCILED, system="reconcile",
            rows=report.rows, files=report.files,
            rows_without_file=report.rows_without_file,
            files_without_row=report.files_without_row,
            not_put_away=len(report.not_put_away), not_scanned=len(report.not_scanned),
        )  # fmt: skip
