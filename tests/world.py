"""A small school for tests.

==========  =========================================================================
nord        a unit of high security, school «Nord videregående»; room «Klasserom 1»
sor         a unit of low security, school «Sør videregående»; no rooms
anna, bo    students at nord, both in the class «Norsk nord»
dag         a student at nord, in no class
cem         a student at sor, in the class «Norsk sør»
tora        teacher at nord, teaches «Norsk nord»
even        teacher at nord, teaches nothing
siri        teacher at sor, teaches «Norsk sør»
odd         workshop officer at nord
sigrid      security at nord · stein too · sverre at sor
olga        operator at nord
==========  =========================================================================

The course has a published page ``les``, a draft page ``kladd``, and two published assignments:
``brev`` (grade, text and files) and ``skjema`` (passfail, text alone).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from pydantic import SecretStr
from sqlalchemy import text
from werkzeug.test import TestResponse

from dask_platform.adapters.copies import LocalCopies
from dask_platform.adapters.directory.memory import MemoryDirectory
from dask_platform.adapters.scanner import FakeScanner
from dask_platform.adapters.storage import FilesystemStore
from dask_platform.db.unit_of_work import Database, UnitOfWork
from dask_platform.features.courses.models import (
    ClassTeacher,
    Course,
    CourseClass,
    Enrolment,
    Item,
    Module,
)
from dask_platform.features.identity.models import (
    LocalCredential,
    LoginSession,
    Person,
    Placement,
    Room,
    RoomNetwork,
    School,
    StaffRole,
    Unit,
)
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.clock import FixedClock
from dask_platform.kernel.ids import new_token
from dask_platform.kernel.settings import Settings
from dask_platform.security.passwords import CHEAP, PasswordHasher
from dask_platform.web import sessions
from dask_platform.web.platform import Platform
from dask_platform.web.requests import DaskFlask
from tests.applications import LentApp
from tests.databases import COPIES, Copy
from tests.services.postgres import PostgresServer

PASSWORD = "riktig hest batteri stift"
NETWORK = "127.0.0.0/8"
PEOPLE: dict[str, tuple[str, str | None]] = {
    "anna": ("nord", None),
    "bo": ("nord", None),
    "dag": ("nord", None),
    "cem": ("sor", None),
    "tora": ("nord", "teacher"),
    "even": ("nord", "teacher"),
    "siri": ("sor", "teacher"),
    "odd": ("nord", "workshop"),
    "sigrid": ("nord", "security"),
    "stein": ("nord", "security"),
    "sverre": ("sor", "security"),
    "olga": ("nord", "operator"),
}
CLASSES = {"nord": ("Norsk nord", "tora", ("anna", "bo")), "sor": ("Norsk sør", "siri", ("cem",))}


class Client(FlaskClient):
    """A browser that can send a form as a page of ours would."""

    def csrf_token(self) -> str:
        with self.session_transaction() as session:
            raw = session.setdefault("csrf_token", hashlib.sha1(b"test").hexdigest())
        key = self.application.secret_key
        return str(URLSafeTimedSerializer(key, salt="wtf-csrf-token").dumps(raw))

    def post_form(
        self, url: str, data: dict[str, Any] | None = None, **kwargs: Any
    ) -> TestResponse:
        return self.post(url, data={"csrf_token": self.csrf_token(), **(data or {})}, **kwargs)


class World:
    def __init__(
        self, server: PostgresServer, database: str, folder: Path, **settings: Any
    ) -> None:
        self.server = server
        self.database_name = database
        # The real now: placements and roles are judged by the database's own clock.
        self.clock = FixedClock(datetime.now(UTC))
        self.settings = Settings(
            home=folder,
            secret_key=SecretStr("a secret for tests alone, long enough for anything"),
            **settings,
        )
        FilesystemStore(self.settings.files_folder).ensure_folder()
        # What an earlier world left for one with the same database and settings.
        self._copy = COPIES.get(database) or Copy.of_one_world(server, database)
        self._kind = repr(sorted(settings.items()))
        self._lent: LentApp | None = self._copy.apps.pop(self._kind, None)
        self.platform = self._platform("dask_web")
        if self._lent is not None:
            self.platform = self._lent.lend(self.platform)
        self._making = Lock()
        self.directory = MemoryDirectory()
        self.ids: dict[str, UUID] = {}
        with self.owner() as uow:
            if uow.scalar(text("SELECT count(*) FROM person")) == 0:
                self._people(uow)
                self._course(uow)
            self._read_ids(uow)

    # -- what tests use ----------------------------------------------------------------

    @property
    def app(self) -> DaskFlask:
        """The application, as good as new and with this world's platform."""
        # Tests ask for it from several threads at once; Werkzeug's rules cannot be compiled so.
        with self._making:
            if self._lent is None:
                self._lent = LentApp(self.platform, Client)
            return self._lent.app

    def id(self, name: str) -> UUID:
        """The id of a person, unit, class (``class nord``), item (``les``) or other named thing."""
        return self.ids[name]

    def anonymous(self) -> Client:
        client = self.app.test_client()
        assert isinstance(client, Client)
        return client

    def client(self, name: str, *, second_factor: bool = True) -> Client:
        """A browser in which ``name`` is logged in."""
        token = self.session(name, second_factor=second_factor)
        client = self.anonymous()
        client.set_cookie("dask", token)
        return client

    def actor(self, name: str) -> Actor:
        """``name`` as a request would have them, in a new session."""
        with self.platform.database.work() as uow:
            token = self.session(name)
            found = sessions.resume(uow, token, self.clock.now(), "127.0.0.1")
        assert found is not None
        return found

    def session(self, name: str, *, second_factor: bool = True) -> str:
        """A new session of ``name``; the token."""
        token = new_token()
        now = self.clock.now()
        student = PEOPLE[name][1] is None
        with self.owner() as uow:
            if student:
                uow.execute(
                    text(
                        "UPDATE login_session SET ended_at = :now, ended_reason = 'test'"
                        " WHERE person_id = :person AND ended_at IS NULL"
                    ),
                    {"now": now, "person": self.id(name)},
                )
            uow.add(
                LoginSession(
                    person_id=self.id(name),
                    student=student,
                    token_hash=hashlib.sha256(token.encode()).digest(),
                    started_at=now,
                    seen_at=now,
                    idle_seconds=1800,
                    idle_until=now + timedelta(minutes=30),
                    expires_at=now + timedelta(hours=6),
                    address="127.0.0.1",
                    second_factor_at=now if second_factor and not student else None,
                )
            )
        return token

    @contextmanager
    def uow(self, name: str | None) -> Iterator[UnitOfWork]:
        """A transaction as the web role, acting as ``name`` (None: nobody)."""
        with self.platform.database.work(self.id(name) if name else None) as uow:
            yield uow

    @contextmanager
    def owner(self) -> Iterator[UnitOfWork]:
        """A transaction as the owner of the tables, who sees everything."""
        with self._database("dask_owner").work() as uow:
            yield uow

    @contextmanager
    def worker(self) -> Iterator[Platform]:
        """The platform as the job worker has it."""
        yield self._platform("dask_worker")

    def connect(self, role: str) -> Any:
        """A raw psycopg connection as ``role``; the caller closes it."""
        import psycopg

        return psycopg.connect(self.server.dsn(self.database_name, role))

    def audit(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The log so far, oldest first."""
        with self.owner() as uow:
            rows = uow.execute(text("SELECT * FROM audit_event ORDER BY seq")).mappings()
            return [dict(row) for row in rows if kind is None or row["kind"] == kind]

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs in the queue, oldest first."""
        with self.owner() as uow:
            rows = uow.execute(text("SELECT * FROM procrastinate_jobs ORDER BY id")).mappings()
            return [dict(row) for row in rows]

    def url(self, role: str = "dask_web") -> str:
        return self.server.url(self.database_name, role)

    def disconnect(self) -> None:
        """As when the platform is stopped: nobody is connected until somebody asks something."""
        self._copy.disconnect()

    def close(self) -> None:
        """Leave to the next world what it may use."""
        if self._lent is not None and self._lent.take_back():
            self._copy.apps[self._kind] = self._lent
        elif self._lent is not None:
            # Statements are counted once for each application made for these connections.
            self._copy.forget("dask_web", self._kind)
        if self._copy.name not in COPIES:
            self._copy.close()

    # -- how it is made ----------------------------------------------------------------

    def _database(self, role: str) -> Database:
        return self._copy.database(role, self._kind)

    def _platform(self, role: str) -> Platform:
        return Platform(
            settings=self.settings,
            database=self._database(role),
            clock=self.clock,
            files=FilesystemStore(self.settings.files_folder),
            scanner=FakeScanner(),
            copies=LocalCopies(),
        )

    def _read_ids(self, uow: UnitOfWork) -> None:
        """By name, from a school that was built now or copied."""
        found = uow.execute(
            text(
                "SELECT username, id FROM person UNION ALL SELECT slug, id FROM unit"
                " UNION ALL SELECT 'school ' || slug, id FROM school"
                " UNION ALL SELECT 'room', id FROM room UNION ALL SELECT slug, id FROM course_item"
                " UNION ALL SELECT 'course', id FROM course"
                " UNION ALL SELECT 'module', id FROM course_module"
                " UNION ALL SELECT 'class ' || u.slug, c.id FROM course_class c"
                " JOIN unit u ON u.id = c.unit_id"
            )
        )
        self.ids |= {row[0]: row[1] for row in found}

    def _people(self, uow: UnitOfWork) -> None:
        now = self.clock.now()
        since = now - timedelta(days=30)
        hashed = PasswordHasher(CHEAP).hash_password(PASSWORD)
        for slug, name, level in (("nord", "Nord", "high"), ("sor", "Sør", "low")):
            school = School(id=uuid4(), slug=slug, name=f"{name} videregående")
            unit = Unit(
                id=uuid4(), slug=slug, name=f"{name} fengsel", security_level=level,
                school_id=school.id,
            )  # fmt: skip
            self.ids |= {slug: unit.id, f"school {slug}": school.id}
            uow.add(school)
            uow.flush()
            uow.add(unit)
        uow.flush()
        room = Room(id=uuid4(), unit_id=self.id("nord"), name="Klasserom 1")
        self.ids["room"] = room.id
        uow.add(room)
        uow.flush()
        uow.add(RoomNetwork(room_id=room.id, network=NETWORK))
        for name, (unit_slug, role) in PEOPLE.items():
            person = Person(
                id=uuid4(), kind="staff" if role else "student", username=name,
                display_name=name.capitalize(), created_at=since,
            )  # fmt: skip
            self.ids[name] = person.id
            uow.add(person)
            uow.flush()
            uow.add(LocalCredential(person_id=person.id, password_hash=hashed, changed_at=since))
            unit_id = self.id(unit_slug)
            if role:
                uow.add(StaffRole(person_id=person.id, unit_id=unit_id, role=role, starts_at=since))
            else:
                uow.add(Placement(person_id=person.id, unit_id=unit_id, starts_at=since))
        uow.flush()

    def _course(self, uow: UnitOfWork) -> None:
        now = self.clock.now()
        course = Course(
            id=uuid4(), slug="norsk", language="nb", title="Norsk", summary="Les og skriv.",
            published=True, updated_at=now,
        )  # fmt: skip
        uow.add(course)
        uow.flush()
        module = Module(id=uuid4(), course_id=course.id, slug="start", title="Start", position=1)
        uow.add(module)
        uow.flush()
        self.ids |= {"course": course.id, "module": module.id}
        items = (
            ("les", "page", True, None, 0),
            ("kladd", "page", False, None, 0),
            ("brev", "assignment", True, "grade", 2),
            ("skjema", "assignment", True, "passfail", 0),
        )
        for position, (slug, kind, published, grading, files) in enumerate(items, 1):
            item = Item(
                id=uuid4(), course_id=course.id, module_id=module.id, kind=kind, slug=slug,
                title=slug.capitalize(), position=position, body_source=f"Om {slug}.",
                body_html=f"<p>Om {slug}.</p>", published=published, grading=grading,
                files_most=files, file_bytes_most=1024 * 1024,
                file_types=["pdf", "image", "text", "office"], updated_at=now,
            )  # fmt: skip
            self.ids[slug] = item.id
            uow.add(item)
        for unit, (name, teacher, students) in CLASSES.items():
            made = CourseClass(
                id=uuid4(), course_id=course.id, unit_id=self.id(unit), name=name, created_at=now
            )
            self.ids[f"class {unit}"] = made.id
            uow.add(made)
            uow.flush()
            uow.add(ClassTeacher(class_id=made.id, person_id=self.id(teacher), since=now))
            for student in students:
                uow.add(Enrolment(class_id=made.id, person_id=self.id(student), enrolled_at=now))
        uow.flush()
