"""What a student does: save a draft, add and remove files, hand in, try again.

Each verb takes the assignment as ``courses.queries.class_assignment`` found it for this actor:
who does not attend the class never gets one. The row of the draft is locked while it changes, so
that two windows, two clicks and the worker come one after the other.

``Attempt.version`` counts the versions of the *text*: files come and go without it, so that adding
a file in one window does not make the text in another look old.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.handins.models import Attempt, AttemptState, HandinFile, ScanState
from dask_platform.features.handins.policy import STOPPED
from dask_platform.features.handins.queries import fingerprint
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import (
    Closed,
    Conflict,
    Invalid,
    NotAllowed,
    NotVisible,
    StorageUnavailable,
    TooLarge,
)
from dask_platform.kernel.ids import new_code, new_id
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import FileStore
from dask_platform.security.filetypes import ALLOWED_FAMILIES, Family, FileType, sniff
from dask_platform.security.names import clean_text, safe_filename
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

TEXT_MOST = 100_000  # characters: some forty pages
STOPPED_MOST = 10  # stopped files in one draft; they are kept, so they may not grow without end
SCAN = "handins:scan_file"
DROP = "handins:drop_file"
QUEUE = "files"

HANDED_IN_ALREADY = N_(
    "You have handed this in already, so nothing was changed. You can try again when your teacher "
    "has returned it."
)
CLOSED = N_(
    "The time to hand in is over. Your text is kept as a draft. Ask your teacher for a new "
    "deadline."
)
CLOSED_FILE = N_(
    "The time to hand in is over, so %(file)s was not added. Your text is kept as a draft. Ask "
    "your teacher for a new deadline."
)
OTHER_WINDOW = N_(
    "This text was changed in another window after you opened it here. Nothing was overwritten. "
    "Compare the two texts below, then save the one you want."
)
CHANGED_SINCE = N_(
    "Your draft was changed after you opened this page. Nothing was handed in. Look at it once "
    "more, then hand it in."
)
NOTHING_TO_HAND_IN = N_("There is nothing to hand in yet. Write a text or add a file first.")
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


def is_closed(assignment: AssignmentView, now: datetime) -> bool:
    """Past the cut-off. At the very moment itself it is still open."""
    return assignment.cutoff_at is not None and now > assignment.cutoff_at


def is_late(assignment: AssignmentView, now: datetime) -> bool:
    """Past the due time: accepted, and said."""
    return assignment.due_at is not None and now > assignment.due_at


def save(
    uow: UnitOfWork,
    actor: Actor,
    assignment: AssignmentView,
    *,
    text: str,
    version: int,
    now: datetime,
) -> Attempt:
    """Keep the text as the draft, also after the cut-off: what was written is never lost.

    ``version`` is that of the draft the text was written upon, 0 for none. Raises ``Conflict``
    when another window saved a different text since, ``Closed`` when it is handed in already,
    ``TooLarge`` and ``Invalid`` for the text itself.
    """
    text = clean_text(text, TEXT_MOST) if assignment.text_wanted else ""
    draft = _draft(uow, actor, assignment, now)
    if draft.text == text:
        return draft
    if draft.version != version and draft.text:
        raise Conflict(OTHER_WINDOW)
    draft.text = text
    draft.saved_at = now
    uow.flush()
    record(
        uow, actor, EventKind.ATTEMPT_SAVED, unit_id=assignment.unit_id,
        thing=("attempt", draft.id), subject_id=actor.person_id, characters=len(text),
    )  # fmt: skip
    return draft


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
        draft = _draft(uow, actor, assignment, now)
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
    draft = _existing_draft(uow, actor, assignment)
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


def hand_in(
    uow: UnitOfWork,
    actor: Actor,
    assignment: AssignmentView,
    *,
    attempt_id: UUID,
    shown: str,
    now: datetime,
) -> Attempt:
    """Make the draft final and give it a receipt.

    ``shown`` is the fingerprint of what the student was shown: if the draft is another one by now,
    ``Conflict``. Sent again (two clicks, the Back button) it answers with the same receipt. Raises
    ``Closed`` past the cut-off and ``Invalid`` when there is nothing to hand in; the draft stays.
    """
    draft = _locked(uow, actor, assignment, Attempt.id == attempt_id)
    if draft is None:
        return _handed_in(uow, actor, assignment, attempt_id)
    authorise(actor, Permission.ATTEMPT_WRITE, draft)
    if is_closed(assignment, now):
        raise Closed(CLOSED)
    if fingerprint(draft.version, (file.id for file in draft.files)) != shown:
        raise Conflict(CHANGED_SINCE)
    if not draft.text.strip() and all(file.scan_state in STOPPED for file in draft.files):
        raise Invalid(NOTHING_TO_HAND_IN)
    draft.state = AttemptState.HANDED_IN
    draft.text_sha256 = hashlib.sha256(draft.text.encode()).hexdigest()
    draft.receipt = new_code()
    draft.handed_in_at = now
    draft.late = is_late(assignment, now)
    draft.file_count = len(draft.files)
    uow.flush()
    record(
        uow, actor, EventKind.ATTEMPT_HANDED_IN, unit_id=assignment.unit_id,
        thing=("attempt", draft.id), subject_id=actor.person_id, number=draft.number,
        receipt=draft.receipt, late=draft.late, text_sha256=draft.text_sha256,
        files=[file.sha256 for file in draft.files],
    )  # fmt: skip
    return draft


def start_again(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, now: datetime
) -> Attempt:
    """A new draft after a return, beginning with a copy of the text. Asked twice, it is one."""
    if is_closed(assignment, now):
        raise Closed(CLOSED)
    return _draft(uow, actor, assignment, now, again=True)


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


def _draft(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, now: datetime, *, again: bool = False
) -> Attempt:
    """The draft, locked; made if there is none. Raises ``Closed`` when it was handed in already.

    A first draft comes of itself; one after a return only by ``again``, which copies the text.
    """
    authorise(
        actor,
        Permission.ATTEMPT_WRITE,
        Attempt(class_id=assignment.class_id, person_id=actor.person_id),
    )
    found = _existing_draft(uow, actor, assignment)
    if found is not None:
        return found
    last = uow.scalars(
        select(Attempt)
        .where(*_mine(actor, assignment))
        .order_by(Attempt.number.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if last is not None and not (again and last.state == AttemptState.RETURNED):
        raise Closed(HANDED_IN_ALREADY)
    uow.execute(
        insert(Attempt)
        .values(
            id=new_id(), class_id=assignment.class_id, item_id=assignment.item_id,
            person_id=actor.person_id, number=last.number + 1 if last else 1,
            state=AttemptState.DRAFT, text=last.text if last else "", started_at=now,
            saved_at=now, late=False, file_count=0, scan_state=ScanState.CLEAN, version=1,
        )
        .on_conflict_do_nothing()
    )  # fmt: skip
    # Somebody else (a second click) may have made it in the same moment, and even handed it in.
    found = _existing_draft(uow, actor, assignment)
    if found is None:
        raise Closed(HANDED_IN_ALREADY)
    return found


def _existing_draft(uow: UnitOfWork, actor: Actor, assignment: AssignmentView) -> Attempt | None:
    found = _locked(uow, actor, assignment)
    if found is not None:
        authorise(actor, Permission.ATTEMPT_WRITE, found)
    return found


def _locked(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, *conditions: ColumnElement[bool]
) -> Attempt | None:
    return uow.scalars(
        select(Attempt)
        .where(*_mine(actor, assignment), Attempt.state == AttemptState.DRAFT, *conditions)
        .options(selectinload(Attempt.files))
        .with_for_update(of=Attempt)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _handed_in(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, attempt_id: UUID
) -> Attempt:
    found = uow.scalars(
        select(Attempt)
        .where(*_mine(actor, assignment), Attempt.id == attempt_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None or found.state == AttemptState.DRAFT:
        raise NotVisible("There is nothing here.")
    return found


def _mine(actor: Actor, assignment: AssignmentView) -> tuple[ColumnElement[bool], ...]:
    return (
        Attempt.person_id == actor.person_id,
        Attempt.class_id == assignment.class_id,
        Attempt.item_id == assignment.item_id,
    )
