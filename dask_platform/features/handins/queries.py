"""The reads, each already narrowed to what the actor may see.

They return plain values, whole: a page built from them asks the database nothing more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, bindparam, column, func, select
from sqlalchemy.orm import selectinload, undefer

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses import queries as courses
from dask_platform.features.handins.models import (
    Attempt,
    AttemptState,
    HandinFile,
    Marking,
    ScanState,
)
from dask_platform.features.handins.policy import STOPPED
from dask_platform.features.identity import queries as identity
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotVisible
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, rows


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of an attempt. ``size`` in bytes; ``finding`` is for security, not for the page."""

    id: UUID
    name: str
    size: int
    sha256: str
    extension: str
    state: str
    finding: str | None

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED


@dataclass(frozen=True, slots=True)
class MarkingView:
    grade: str | None
    comment: str
    marked_by: UUID
    marked_at: datetime
    returned_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt with the files the actor may see; ``marking`` None while there is none to see."""

    id: UUID
    class_id: UUID
    item_id: UUID
    person_id: UUID
    number: int
    state: str
    text: str
    text_sha256: str | None
    receipt: str | None
    started_at: datetime
    saved_at: datetime
    handed_in_at: datetime | None
    late: bool
    file_count: int
    scan_state: str
    version: int
    files: tuple[FileView, ...]
    marking: MarkingView | None

    @property
    def draft(self) -> bool:
        return self.state == AttemptState.DRAFT

    @property
    def returned(self) -> bool:
        return self.state == AttemptState.RETURNED

    @property
    def sendable(self) -> bool:
        """Whether there is anything to hand in: a text, or a file that was not stopped."""
        return bool(self.text.strip()) or any(not file.stopped for file in self.files)

    @property
    def shown(self) -> str:
        return fingerprint(self.version, (file.id for file in self.files))


@dataclass(frozen=True, slots=True)
class StoppedFile:
    """A file that was stopped, as security sees it. ``class_name`` and ``title`` say where."""

    id: UUID
    name: str
    size: int
    sha256: str
    state: str
    finding: str | None
    scanned_at: datetime | None
    person_id: UUID
    student: str
    class_name: str
    title: str


def fingerprint(version: int, files: Iterable[UUID]) -> str:
    """What a page has shown of a draft: changes when its text or its files do."""
    parts = "|".join([str(version), *sorted(map(str, files))])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def own_attempts(uow: UnitOfWork, actor: Actor, class_id: UUID, item_id: UUID) -> list[AttemptView]:
    """The actor's own attempts at an assignment, newest first. Two statements."""
    wanted = {"person": actor.person_id, "in_class": class_id, "item": item_id}
    return _views(uow, _OWN_ATTEMPTS, wanted)


def attempt(uow: UnitOfWork, actor: Actor, attempt_id: UUID) -> AttemptView:
    """One attempt. A teacher sees clean files only. Raises ``NotVisible``."""
    load_attempt(uow, actor, attempt_id, Permission.ATTEMPT_READ)
    found = _views(uow, _ATTEMPTS[actor.is_student].where(Attempt.id == attempt_id))
    if not found:
        raise NotVisible("There is nothing here.")
    return found[0]


def load_attempt(
    uow: UnitOfWork,
    actor: Actor,
    attempt_id: UUID,
    permission: Permission,
    *,
    lock: bool = False,
) -> Attempt:
    """The row itself, authorised; with ``lock`` nobody else changes it until the commit."""
    statement = (
        select(Attempt).where(Attempt.id == attempt_id).options(undefer(Attempt.student_here))
    )
    if lock:
        statement = statement.with_for_update(of=Attempt).execution_options(populate_existing=True)
    found = uow.scalars(statement).one_or_none()
    if found is None:
        raise NotVisible("There is nothing here.")
    authorise(actor, permission, found)
    return found


def file(
    uow: UnitOfWork, actor: Actor, attempt_id: UUID, file_id: UUID
) -> tuple[Attempt, HandinFile]:
    """A file that the actor may have: own and not stopped, or handed in to the actor and clean."""
    found = load_attempt(uow, actor, attempt_id, Permission.ATTEMPT_READ)
    wanted = uow.scalars(
        select(HandinFile).where(HandinFile.id == file_id, HandinFile.attempt_id == attempt_id)
    ).one_or_none()
    if wanted is None:
        raise NotVisible("There is nothing here.")
    own = found.person_id == actor.person_id
    if wanted.scan_state in STOPPED or (not own and wanted.scan_state != ScanState.CLEAN):
        raise NotVisible("There is nothing here.")
    return found, wanted


def stopped_files(uow: UnitOfWork, actor: Actor, most: int = 500) -> list[StoppedFile]:
    """Files stopped at the actor's units, newest first. Three statements."""
    place = func.dask_stopped_files().table_valued(
        column("file_id", Uuid), column("class_name"), column("title"), name="place"
    )
    found = uow.execute(
        select(HandinFile, place.c.class_name, place.c.title)
        .join(place, place.c.file_id == HandinFile.id)
        .where(rows(actor, Permission.QUARANTINE_READ, HandinFile))
        .order_by(HandinFile.scanned_at.desc(), HandinFile.id)
        .limit(most)
    ).all()
    names = identity.person_names(uow, {row[0].person_id for row in found})
    return [
        StoppedFile(
            one.id, one.name, one.size, one.sha256, one.scan_state, one.scan_finding,
            one.scanned_at, one.person_id, names.get(one.person_id, ""), class_name, title,
        )
        for one, class_name, title in found
    ]  # fmt: skip


def student_tasks(
    uow: UnitOfWork, actor: Actor
) -> list[tuple[UUID, UUID, str, str, str | None, datetime | None, datetime | None]]:
    """Every assignment of the classes a student attends, as
    (class_id, item_id, title, class_name, state, due_at, cutoff_at); ``state`` is that of the
    newest attempt, None before the first. What is due first comes first."""
    states: dict[tuple[UUID, UUID], str] = {}
    for class_id, item_id, state in uow.execute(
        select(Attempt.class_id, Attempt.item_id, Attempt.state)
        .where(rows(actor, Permission.ATTEMPT_WRITE, Attempt))
        .order_by(Attempt.number)
    ):
        states[class_id, item_id] = state
    tasks = [
        (
            one.class_id, one.item_id, one.title, one.class_name,
            states.get((one.class_id, one.item_id)), one.due_at, one.cutoff_at,
        )
        for one in courses.my_assignments(uow, actor)
    ]  # fmt: skip
    return sorted(tasks, key=lambda task: (task[5] is None, task[5], task[2]))


def waiting(uow: UnitOfWork, actor: Actor) -> dict[UUID, int]:
    """Per class taught: how many pieces of work are handed in and not yet returned."""
    found = uow.execute(
        select(Attempt.class_id, func.count())
        .where(
            rows(actor, Permission.MARKING_WRITE, Attempt),
            Attempt.state == AttemptState.HANDED_IN,
        )
        .group_by(Attempt.class_id)
    )
    return {class_id: count for class_id, count in found}  # noqa: C416 - rows, not pairs


def teacher_queue(uow: UnitOfWork, actor: Actor) -> list[tuple[UUID, str, int]]:
    """Classes with work that waits for marking: (class_id, class_name, how many), most first."""
    counts = waiting(uow, actor)
    queue = [
        (one.id, one.name, counts[one.id])
        for one in courses.my_classes(uow, actor)
        if one.id in counts
    ]
    return sorted(queue, key=lambda one: (-one[2], one[1]))


def _attempts(*, returned_only: bool) -> Select[Attempt, Marking]:
    """Attempts with their markings; ``returned_only`` leaves out a marking that its student may not
    see yet. Nobody's yet."""
    joined = Marking.attempt_id == Attempt.id
    if returned_only:
        joined &= Marking.returned_at.is_not(None)
    return (
        select(Attempt, Marking)
        .outerjoin(Marking, joined)
        .options(selectinload(Attempt.files))
        .order_by(Attempt.number.desc())
        .execution_options(populate_existing=True)
    )


# Built once: building a statement takes longer than running it.
_ATTEMPTS = {flag: _attempts(returned_only=flag) for flag in (True, False)}
_OWN_ATTEMPTS = _ATTEMPTS[True].where(
    Attempt.person_id == bindparam("person"),
    Attempt.class_id == bindparam("in_class"),
    Attempt.item_id == bindparam("item"),
)


def _views(
    uow: UnitOfWork, statement: Select[Attempt, Marking], wanted: Mapping[str, Any] | None = None
) -> list[AttemptView]:
    return [_view(one, marking) for one, marking in uow.execute(statement, wanted)]


def _view(one: Attempt, marking: Marking | None) -> AttemptView:
    return AttemptView(
        one.id, one.class_id, one.item_id, one.person_id, one.number, one.state, one.text,
        one.text_sha256, one.receipt, one.started_at, one.saved_at, one.handed_in_at, one.late,
        one.file_count, one.scan_state, one.version,
        tuple(
            FileView(f.id, f.name, f.size, f.sha256, f.extension, f.scan_state, f.scan_finding)
            for f in one.files
        ),
        None if marking is None else MarkingView(
            marking.grade, marking.comment, marking.marked_by, marking.marked_at,
            marking.returned_at, marking.version,
        ),
    )  # fmt: skip
