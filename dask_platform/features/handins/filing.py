"""Files of a draft: received into the store, added, removed.

A file's way is: ``receive`` (judged, bytes in the store), then ``add_file`` (row, job and event in
one transaction). What is received and never added is found by ``reconcile``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

from sqlalchemy import update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.handins.drafts import existing_draft, is_closed, open_draft
from dask_platform.features.handins.models import Attempt, HandinFile, ScanState
from dask_platform.features.handins.policy import STOPPED
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import (
    Closed,
    Invalid,
    NotAllowed,
    NotVisible,
    StorageUnavailable,
    TooLarge,
)
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import FileStore
from dask_platform.security.filetypes import ALLOWED_FAMILIES, Family, FileType, sniff
from dask_platform.security.names import safe_filename

STOPPED_MOST = 10  # stopped files in one draft; they are kept, so they may not grow without end
SCAN = "handins:scan_file"
DROP = "handins:drop_file"
QUEUE = "files"
CLOSED_FILE = N_(
    "The time to hand in is over, so %(file)s was not added. Your text is kept as a draft. Ask "
    "your teacher what you can do now."
)
TAKES_NO_FILES = N_(
    "%(file)s was not added: this assignment takes no files. Write in the text box."
)
TOO_MANY = N_(
    "%(file)s was not added: you can hand in at most %(most)s files here. Remove one first, or put "
    "the pages together in one file."
)
TOO_BIG = N_(
    "%(file)s was not added: it is larger than %(limit)s, which is the most for one file here. "
    "Make it smaller, for example with smaller pictures, or split it. Your text is kept."
)
EMPTY = N_("%(file)s was not added: it is empty. Save it again in the program, then add it.")
WRONG_KIND = N_(
    "%(file)s was not added: its content is of a kind that this assignment does not take. You can "
    "add: %(kinds)s. Save it as one of these, then add it."
)
TOO_MANY_STOPPED = N_(
    "%(file)s was not added: too many files were stopped here. Talk to your teacher."
)
STOPPED_STAYS = N_("A file that was stopped cannot be removed. Your teacher does not get it.")


class Arrived(Protocol):
    """A file as it came in (``web.uploads.IncomingFile``)."""

    @property
    def stream(self) -> BinaryIO: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def too_large(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Received:
    """A file that lies in the store under ``key`` and has no row yet."""

    key: str
    name: str
    size: int
    sha256: str
    kind: FileType


def receive(
    assignment: AssignmentView, arrived: Arrived, store: FileStore, now: datetime
) -> Received:
    """Judge a file by its content and size, and put its bytes in the store.

    Comes before the row (``add_file``), so that no row stands without its file, and before any
    lock, so that nobody waits for the store. Raises ``Closed``, ``Invalid``, ``TooLarge``,
    ``StorageUnavailable``; nothing is left behind then. A file that is received and never added is
    found by ``reconcile``.
    """
    name = safe_filename(arrived.name)
    if is_closed(assignment, now):
        raise Closed(CLOSED_FILE, file=name)
    kind = _kind(assignment, arrived, name)
    key = f"handins/{new_id()}"
    arrived.stream.seek(0)
    store.put(key, arrived.stream, size=arrived.size, sha256=arrived.sha256)
    return Received(key, name, arrived.size, arrived.sha256, kind)


def add_file(
    uow: UnitOfWork,
    actor: Actor,
    assignment: AssignmentView,
    received: Received,
    store: FileStore,
    now: datetime,
) -> HandinFile:
    """Add a received file to the draft and have it scanned.

    Raises ``Closed`` and ``Invalid`` (too many); the bytes leave the store then. The same file
    sent twice is added once.
    """
    try:
        draft = open_draft(uow, actor, assignment, now)
        same = _same_file(draft, received)
        if same is None:
            _room_for_one(assignment, draft, received.name)
            return _add_row(uow, actor, assignment, draft, received, now)
    except BaseException:
        discard(received, store)
        raise
    discard(received, store)
    return same


def discard(received: Received, store: FileStore) -> None:
    """Let go of the bytes. A store that has stopped answering leaves them to ``reconcile``."""
    with suppress(StorageUnavailable):
        store.delete(received.key)


def remove_file(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, file_id: UUID, now: datetime
) -> None:
    """Take a file out of the draft. Its bytes follow by a job, once this has been committed.

    A stopped file stays (``NotAllowed``): security must be able to see it.
    """
    draft = existing_draft(uow, actor, assignment)
    if draft is None:
        raise NotVisible("There is nothing here.")
    found = next((file for file in draft.files if file.id == file_id), None)
    if found is None:
        raise NotVisible("There is nothing here.")
    if found.scan_state in STOPPED:
        raise NotAllowed(STOPPED_STAYS)
    draft.files.remove(found)
    uow.delete(found)
    uow.flush()
    _summarise(uow, draft, now)
    uow.enqueue(DROP, queue=QUEUE, key=found.storage_key)
    record(
        uow, actor, EventKind.ATTEMPT_FILE_REMOVED, unit_id=assignment.unit_id,
        thing=("attempt", draft.id), subject_id=actor.person_id, file=found.id,
        sha256=found.sha256,
    )  # fmt: skip


def summary(states: list[str]) -> ScanState:
    """What the files of an attempt come to together: clean only when every one is."""
    for state in (ScanState.INFECTED, ScanState.REFUSED, ScanState.PENDING):
        if state in states:
            return state
    return ScanState.CLEAN


def _kind(assignment: AssignmentView, arrived: Arrived, name: str) -> FileType:
    if assignment.files_most == 0:
        raise Invalid(TAKES_NO_FILES, file=name)
    limit = assignment.file_bytes_most
    if arrived.too_large or arrived.size > limit:
        raise TooLarge(TOO_BIG, file=name, limit=f"{limit // 1024} kB", limit_bytes=limit)
    if arrived.size == 0:
        raise Invalid(EMPTY, file=name)
    kind = sniff(arrived.stream)
    allowed = [Family(one) for one in assignment.file_types if Family(one) in ALLOWED_FAMILIES]
    if kind.family not in allowed:
        words = ", ".join(allowed)
        raise Invalid(WRONG_KIND, file=name, kinds=words, families=tuple(allowed))
    return kind


def _room_for_one(assignment: AssignmentView, draft: Attempt, name: str) -> None:
    stopped = sum(file.scan_state in STOPPED for file in draft.files)
    if stopped >= STOPPED_MOST:
        raise NotAllowed(TOO_MANY_STOPPED, file=name)
    if len(draft.files) - stopped >= assignment.files_most:
        raise Invalid(TOO_MANY, file=name, most=assignment.files_most)


def _same_file(draft: Attempt, received: Received) -> HandinFile | None:
    for file in draft.files:
        same = file.sha256 == received.sha256 and file.name == received.name
        if same and file.scan_state not in STOPPED:
            return file
    return None


def _add_row(
    uow: UnitOfWork,
    actor: Actor,
    assignment: AssignmentView,
    draft: Attempt,
    received: Received,
    now: datetime,
) -> HandinFile:
    file = HandinFile(
        id=new_id(), attempt_id=draft.id, person_id=actor.person_id, name=received.name,
        storage_key=received.key, size=received.size, sha256=received.sha256,
        mime=received.kind.mime, family=str(received.kind.family),
        extension=received.kind.extension, added_at=now, scan_state=ScanState.PENDING,
    )  # fmt: skip
    draft.files.append(file)
    uow.flush()
    _summarise(uow, draft, now)
    uow.enqueue(SCAN, queue=QUEUE, file_id=file.id)
    record(
        uow, actor, EventKind.ATTEMPT_FILE_ADDED, unit_id=assignment.unit_id,
        thing=("attempt", draft.id), subject_id=actor.person_id, file=file.id,
        size=file.size, sha256=file.sha256, mime=file.mime,
    )  # fmt: skip
    return file


def _summarise(uow: UnitOfWork, draft: Attempt, now: datetime) -> None:
    """Without a new version: the text has not changed."""
    uow.execute(
        update(Attempt)
        .where(Attempt.id == draft.id)
        .values(scan_state=summary([file.scan_state for file in draft.files]), saved_at=now)
    )
