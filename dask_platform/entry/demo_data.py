"""What the people of the demo have done so far."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.entry import demo_copy, demo_wishes
from dask_platform.entry.demo_people import CLASSES, PASSWORD, PEOPLE, UNITS
from dask_platform.features.courses.load import load_content
from dask_platform.features.courses.models import (
    ClassTeacher,
    Course,
    CourseClass,
    Deadline,
    Enrolment,
    Item,
    Module,
    Reading,
)
from dask_platform.features.handins.models import Attempt, AttemptState, Marking
from dask_platform.features.identity.models import (
    LocalCredential,
    Person,
    Placement,
    Room,
    RoomNetwork,
    School,
    StaffRole,
    Unit,
)
from dask_platform.features.whitelists.service.load import load_whitelists
from dask_platform.kernel.ids import new_code
from dask_platform.security.passwords import PasswordHasher
from dask_platform.web.platform import Platform

SITE = Path(__file__).parent / "demo_site" / "whitelists"


def load(platform: Platform, content: Path, whitelists: Path) -> None:
    """Courses and whitelists as their files say now, the demo's own site among them; people and
    their work the first time only."""
    now = platform.clock.now()
    with platform.database.work() as uow:
        load_content(uow, platform.files, content, now=now)
    with platform.database.work() as uow:
        # Two starts in one folder cannot meet, but a half-made school must not stay either.
        if uow.scalar(select(Person.id).limit(1)) is None:
            _people(uow, now)
            _classes(uow, now)
    with platform.database.work() as uow, tempfile.TemporaryDirectory() as both:
        for folder in (whitelists, SITE):
            shutil.copytree(folder, both, dirs_exist_ok=True)
        load_whitelists(uow, Path(both), now=now)
        demo_wishes.load(uow, now)
    demo_copy.load(platform, now)


def _people(uow: UnitOfWork, now: datetime) -> None:
    since = now - timedelta(days=60)
    hashed = PasswordHasher().hash_password(PASSWORD)
    for slug, name, level, school_name, room_name, networks in UNITS:
        school = School(id=uuid4(), slug=slug, name=school_name)
        unit = Unit(id=uuid4(), slug=slug, name=name, security_level=level, school_id=school.id)
        room = Room(id=uuid4(), unit_id=unit.id, name=room_name)
        for row in (school, unit, room):
            uow.add(row)
            uow.flush()
        uow.add_all(RoomNetwork(room_id=room.id, network=network) for network in networks)
    units = {unit.slug: unit.id for unit in uow.scalars(select(Unit))}
    for username, name, unit_slug, role in PEOPLE:
        person = Person(
            id=uuid4(), kind="staff" if role else "student", username=username,
            display_name=name, created_at=since,
        )  # fmt: skip
        uow.add(person)
        uow.flush()
        uow.add(LocalCredential(person_id=person.id, password_hash=hashed, changed_at=since))
        where = {"person_id": person.id, "unit_id": units[unit_slug], "starts_at": since}
        uow.add(StaffRole(role=role, **where) if role else Placement(**where))
    uow.flush()


def _classes(uow: UnitOfWork, now: datetime) -> None:
    since = now - timedelta(days=40)
    people = {person.username: person.id for person in uow.scalars(select(Person))}
    units = {unit.slug: unit.id for unit in uow.scalars(select(Unit))}
    courses = {course.slug: course.id for course in uow.scalars(select(Course))}
    for course, unit, name, teacher, students in CLASSES:
        made = CourseClass(
            id=uuid4(), course_id=courses[course], unit_id=units[unit], name=name, created_at=since
        )
        uow.add(made)
        uow.flush()
        uow.add(ClassTeacher(class_id=made.id, person_id=people[teacher], since=since))
        for student in students:
            uow.add(Enrolment(class_id=made.id, person_id=people[student], enrolled_at=since))
        uow.flush()
        _work(uow, made, [people[student] for student in students], people[teacher], now)


def _work(
    uow: UnitOfWork, group: CourseClass, students: list[UUID], teacher: UUID, now: datetime
) -> None:
    """The first student is furthest, the last has hardly begun; one piece waits for marking."""
    items = list(
        uow.scalars(
            select(Item)
            .join(Item.module)
            .where(Item.course_id == group.course_id, Item.published, ~Item.removed)
            .order_by(Module.position, Item.position)
        )
    )
    pages = [item for item in items if item.kind == "page"]
    tasks = [item for item in items if item.kind == "assignment"]
    for week, task in enumerate(tasks):
        due = now.replace(hour=11, minute=0, second=0, microsecond=0) + timedelta(days=5 + 7 * week)
        uow.add(
            Deadline(
                class_id=group.id, item_id=task.id, due_at=due, cutoff_at=due + timedelta(days=7)
            )
        )
    for place, student in enumerate(students):
        for page in pages[: max(1, len(pages) - 2 - 2 * place)]:
            uow.add(
                Reading(
                    person_id=student, class_id=group.id, item_id=page.id,
                    first_at=now - timedelta(days=10 - place),
                )
            )  # fmt: skip
    if tasks and students:
        _handed_in(uow, group, tasks[0], students[0], now - timedelta(days=6), teacher)
    if tasks and len(students) > 1:
        _handed_in(uow, group, tasks[0], students[1], now - timedelta(days=1), None)
    uow.flush()


def _handed_in(
    uow: UnitOfWork, group: CourseClass, task: Item, student: UUID, at: datetime, by: UUID | None
) -> None:
    answer = (
        "Jeg har gjort alle punktene i oppgaven. Det vanskeligste var å holde orden underveis, "
        "så jeg skrev ned hva jeg gjorde, steg for steg."
    )
    attempt = Attempt(
        id=uuid4(), class_id=group.id, item_id=task.id, person_id=student, number=1,
        state=AttemptState.RETURNED if by else AttemptState.HANDED_IN, text=answer,
        text_sha256=hashlib.sha256(answer.encode()).hexdigest(), receipt=new_code(),
        started_at=at - timedelta(hours=1), saved_at=at, handed_in_at=at,
    )  # fmt: skip
    uow.add(attempt)
    uow.flush()
    if by:
        uow.add(
            Marking(
                attempt_id=attempt.id, student_id=student, marked_by=by,
                grade="5" if task.grading == "grade" else "passed",
                comment="Godt arbeid. Du forklarer stegene tydelig. Neste gang: vis også svaret.",
                marked_at=at + timedelta(days=1), returned_at=at + timedelta(days=1),
            )
        )  # fmt: skip
