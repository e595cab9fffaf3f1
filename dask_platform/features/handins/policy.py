"""Who may see and do what with hand-ins.

A draft is nobody's but the student's. What is handed in is open to the teachers of that class for
as long as the student is placed at the class's unit, and to nobody else on the staff. Security
sees that a file was stopped, never what is in the work.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_

from dask_platform.features.handins.models import Attempt, AttemptState, HandinFile, ScanState
from dask_platform.kernel.actor import Actor, Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register

STOPPED = frozenset({ScanState.INFECTED, ScanState.REFUSED})


def _own(actor: Actor, attempt: Attempt) -> bool:
    return attempt.person_id == actor.person_id


def _own_rows(actor: Actor) -> ColumnElement[bool]:
    return Attempt.person_id == actor.person_id


def _own_in_class(actor: Actor, attempt: Attempt) -> bool:
    return attempt.person_id == actor.person_id and attempt.class_id in actor.attends


def _own_in_class_rows(actor: Actor) -> ColumnElement[bool]:
    return and_(Attempt.person_id == actor.person_id, Attempt.class_id.in_(actor.attends))


def _taught(actor: Actor, attempt: Attempt) -> bool:
    return (
        attempt.class_id in actor.teaches
        and attempt.state != AttemptState.DRAFT
        and bool(attempt.student_here)
    )


def _taught_rows(actor: Actor) -> ColumnElement[bool]:
    return and_(
        Attempt.class_id.in_(actor.teaches),
        Attempt.state != AttemptState.DRAFT,
        Attempt.student_here,
    )


def _stopped_here(actor: Actor, file: HandinFile) -> bool:
    return file.scan_state in STOPPED and file.student_unit in actor.units(Role.SECURITY)


def _stopped_here_rows(actor: Actor) -> ColumnElement[bool]:
    return and_(
        HandinFile.scan_state.in_(STOPPED),
        HandinFile.student_unit.in_(actor.units(Role.SECURITY)),
    )


register(
    Grant(
        Permission.ATTEMPT_READ,
        Role.STUDENT,
        "A student reads own work and what was said of it, for as long as it is kept.",
        Attempt,
        _own,
        _own_rows,
    ),
    Grant(
        Permission.ATTEMPT_READ,
        Role.TEACHER,
        "A teacher reads what students of own classes have handed in, not their drafts, and only "
        "while the student is at the unit of the class.",
        Attempt,
        _taught,
        _taught_rows,
    ),
    Grant(
        Permission.ATTEMPT_WRITE,
        Role.STUDENT,
        "A student writes and hands in own work in a class attended now.",
        Attempt,
        _own_in_class,
        _own_in_class_rows,
    ),
    Grant(
        Permission.MARKING_WRITE,
        Role.TEACHER,
        "A teacher marks and returns what students of own classes have handed in, while the "
        "student is at the unit of the class.",
        Attempt,
        _taught,
        _taught_rows,
    ),
    Grant(
        Permission.QUARANTINE_READ,
        Role.SECURITY,
        "Security sees which files were stopped at own units, from whom and why, not the work.",
        HandinFile,
        _stopped_here,
        _stopped_here_rows,
    ),
)
