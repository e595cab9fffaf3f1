"""The school that is measured: the courses of ``content/``, a class of thirty with some weeks of
work behind it, and more classes beside it whose students hand in."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import insert, select, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.load import load_content
from dask_platform.features.courses.models import (
    ClassTeacher,
    Course,
    CourseClass,
    Enrolment,
    Item,
    Reading,
)
from dask_platform.features.handins.models import Attempt, AttemptState, Marking
from dask_platform.features.identity.models import (
    LoginSession,
    Person,
    Placement,
    School,
    StaffRole,
    Unit,
)
from dask_platform.kernel.ids import new_code, new_token
from dask_platform.web.platform import Platform

COURSE = "digital-grunnkurs"
CLASS_SIZE = 30
CLASSES = 20


@dataclass(slots=True)
class Measured:
    """Whom to be and where to go. Tokens are those of live sessions."""

    class_id: UUID
    teacher: str
    #: The address of a page of the class's course, without the host.
    page: str = ""
    students: list[str] = field(default_factory=list)
    #: (token, class, assignment), each to be handed in once.
    work: list[tuple[str, UUID, UUID]] = field(default_factory=list)


def fill(platform: Platform, content: Path) -> Measured:
    """Make the school. ``platform`` has the owner's rights."""
    now = platform.clock.now()
    with platform.database.work() as uow:
        load_content(uow, platform.files, content, now=now)
    with platform.database.work() as uow:
        course = uow.scalars(select(Course).where(Course.slug == COURSE)).one()
        items = uow.scalars(
            select(Item).where(Item.course_id == course.id, Item.published, ~Item.removed)
        ).all()
        tasks = [item for item in items if item.kind == "assignment"]
        for task in tasks:
            task.files_most, task.file_bytes_most = 3, 4 * 1024 * 1024
            task.file_types = ["pdf"]
        school = School(id=uuid4(), slug="bench", name="Bench videregående skole")
        uow.add(school)
        uow.flush()
        unit = Unit(
            id=uuid4(), slug="bench", name="Bench fengsel", security_level="high",
            school_id=school.id,
        )  # fmt: skip
        uow.add(unit)
        teacher = _person(uow, "teacher", now)
        uow.flush()
        uow.add(
            StaffRole(person_id=teacher, unit_id=unit.id, role="teacher", starts_at=_since(now))
        )
        measured = Measured(uuid4(), _session(uow, teacher, now, student=False))
        page = next(item for item in items if item.kind == "page" and item.aims)
        measured.page = f"/classes/{measured.class_id}/items/{page.slug}"
        for number in range(CLASSES + 1):
            class_id = measured.class_id if number == 0 else uuid4()
            uow.add(
                CourseClass(
                    id=class_id, course_id=course.id, unit_id=unit.id, name=f"Gruppe {number}",
                    created_at=_since(now),
                )
            )  # fmt: skip
            uow.flush()
            uow.add(ClassTeacher(class_id=class_id, person_id=teacher, since=_since(now)))
            for place in range(CLASS_SIZE):
                person = _student(uow, f"elev{number:02d}{place:02d}", class_id, unit.id, now)
                token = _session(uow, person, now, student=True)
                if number == 0:
                    measured.students.append(token)
                    _past(uow, class_id, person, teacher, items, place, now)
                else:
                    measured.work += [(token, class_id, task.id) for task in tasks]
    with platform.database.work() as uow:
        # As autovacuum has done it on a server that has run for a while.
        uow.execute(text("ANALYZE"))
    return measured


def _since(now: datetime) -> datetime:
    return now - timedelta(days=40)


def _person(uow: UnitOfWork, username: str, now: datetime, kind: str = "staff") -> UUID:
    made = uuid4()
    uow.execute(
        insert(Person).values(
            id=made, kind=kind, username=username, display_name=f"Navn {username}", locale="nb",
            active=True, created_at=_since(now),
        )
    )  # fmt: skip
    return made


def _student(uow: UnitOfWork, username: str, class_id: UUID, unit_id: UUID, now: datetime) -> UUID:
    person = _person(uow, username, now, "student")
    since = _since(now)
    uow.add(Placement(person_id=person, unit_id=unit_id, starts_at=since))
    uow.add(Enrolment(class_id=class_id, person_id=person, enrolled_at=since))
    uow.flush()
    return person


def _session(uow: UnitOfWork, person: UUID, now: datetime, *, student: bool) -> str:
    token = new_token()
    uow.add(
        LoginSession(
            person_id=person, student=student, token_hash=hashlib.sha256(token.encode()).digest(),
            started_at=now, seen_at=now, idle_seconds=14400,
            idle_until=now + timedelta(hours=4), expires_at=now + timedelta(hours=6),
            address="127.0.0.1", second_factor_at=None if student else now,
        )
    )  # fmt: skip
    return token


def _past(
    uow: UnitOfWork,
    class_id: UUID,
    person: UUID,
    teacher: UUID,
    items: object,
    place: int,
    now: datetime,
) -> None:
    """Some weeks in a class: most pages read, two assignments handed in, one of them returned."""
    found = [item for item in items if isinstance(item, Item)]  # type: ignore[attr-defined]
    pages = [item for item in found if item.kind == "page"]
    tasks = [item for item in found if item.kind == "assignment"]
    for page in pages[: 3 + place % 6]:
        uow.add(Reading(person_id=person, class_id=class_id, item_id=page.id, first_at=now))
    for number, task in enumerate(tasks[:2]):
        attempt = uuid4()
        uow.add(
            Attempt(
                id=attempt, class_id=class_id, item_id=task.id, person_id=person, number=1,
                state=AttemptState.RETURNED if number == 0 else AttemptState.HANDED_IN,
                text="Et svar. " * 50, text_sha256=secrets.token_hex(32), receipt=new_code(),
                started_at=now, saved_at=now, handed_in_at=now,
            )
        )  # fmt: skip
        uow.flush()
        if number == 0:
            uow.add(
                Marking(
                    attempt_id=attempt, student_id=person, marked_by=teacher, comment="Godt.",
                    grade="5" if task.grading == "grade" else "passed", marked_at=now,
                    returned_at=now,
                )
            )  # fmt: skip
