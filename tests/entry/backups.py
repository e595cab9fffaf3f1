"""What tests of backup and restore share: a school with files, and a look at what is there."""

from __future__ import annotations

import hashlib
import io
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner, Result
from psycopg.sql import SQL, Identifier
from sqlalchemy import text

from dask_platform.adapters.scanner import FakeScanner
from dask_platform.adapters.storage import FilesystemStore
from dask_platform.db.unit_of_work import Database
from dask_platform.entry import pg_tools
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.handins.models import Attempt, HandinFile
from dask_platform.kernel.clock import FixedClock
from dask_platform.kernel.ports import FileStore
from dask_platform.kernel.settings import Settings
from dask_platform.web.platform import Platform
from tests.services.postgres import PostgresServer
from tests.world import World

NOW = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
FILES = {
    "handins/one": b"the first hand-in\n" * 5000,
    "handins/empty-like": b"\x00",
    "quarantine/bad": b"what the scanner stopped",
    "courses/drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@dataclass
class Place:
    """A database and a store, as a command on the command line is given them."""

    owner_url: str
    platform: Platform
    dsn: str

    @property
    def files(self) -> FileStore:
        return self.platform.files


@dataclass
class Places:
    """Makes places and takes them away."""

    server: PostgresServer
    folder: Path
    made: list[str] = field(default_factory=list)
    platforms: list[Platform] = field(default_factory=list)

    def of(
        self, database: str, folder: str, secret: str = "one" * 20, files: FileStore | None = None
    ) -> Place:
        url = self.server.url(database, "dask_owner")
        home = self.folder / folder
        platform = Platform(
            settings=Settings(home=home, secret_key=secret),  # type: ignore[arg-type]
            database=Database(url, pool=2),
            clock=FixedClock(NOW),
            files=files or FilesystemStore(home / "files"),
            scanner=FakeScanner(),
        )
        self.platforms.append(platform)
        return Place(url, platform, self.server.dsn(database, "dask_owner"))

    def empty(self, folder: str = "new", **more: Any) -> Place:
        name = f"r_{uuid.uuid4().hex}"
        self._run("CREATE DATABASE {} OWNER dask_owner", name)
        self.made.append(name)
        return self.of(name, folder, **more)

    def close(self) -> None:
        for platform in self.platforms:
            platform.database.dispose()
        for name in self.made:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def _run(self, statement: str, name: str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(SQL(statement).format(Identifier(name)))  # type: ignore[arg-type]


def put(store: FileStore, key: str, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    store.put(key, io.BytesIO(data), size=len(data), sha256=digest)


def fill(world: World, place: Place) -> None:
    assert isinstance(place.files, FilesystemStore)
    place.files.ensure_folder()
    for key, data in FILES.items():
        put(place.files, key, data)
    now = NOW
    with world.owner() as uow:
        attempt = Attempt(
            id=uuid.uuid4(), class_id=world.id("class nord"), item_id=world.id("brev"),
            person_id=world.id("anna"), number=1, state="handed_in", text="Æ ø å — Ω \U0001f40e\\N",
            text_sha256="0" * 64, receipt="ABCD", started_at=now, saved_at=now, handed_in_at=now,
            file_count=3,
        )  # fmt: skip
        uow.add(attempt)
        uow.flush()
        for key, state in (
            ("handins/one", "clean"), ("handins/empty-like", "pending"), ("handins/bad", "infected")
        ):  # fmt: skip
            data = FILES.get(key, FILES["quarantine/bad"])
            uow.add(
                HandinFile(
                    id=uuid.uuid4(), attempt_id=attempt.id, person_id=world.id("anna"),
                    name="søknad.pdf", storage_key=key, size=len(data),
                    sha256=hashlib.sha256(data).hexdigest(), mime="application/pdf", family="pdf",
                    extension="pdf", added_at=now, scan_state=state,
                )
            )  # fmt: skip
        data = FILES["courses/drawing"]
        uow.execute(
            text(
                "INSERT INTO course_media (id, course_id, name, storage_key, sha256, size, mime)"
                " VALUES (gen_random_uuid(), :course, 'a.svg', 'courses/drawing', :sha, :size,"
                " 'image/svg+xml')"
            ),
            {
                "course": world.id("course"),
                "sha": hashlib.sha256(data).hexdigest(),
                "size": len(data),
            },
        )
        for number in range(40):
            record(
                uow, None, EventKind.LOGIN_FAILED, system="test", number=number, said="på «nytt»"
            )
    world.session("anna")
    world.session("tora")
    with world.uow("anna") as uow:
        uow.enqueue("handins:scan_file", queue="files", file_id="x")


def contents(place: Place) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    with psycopg.connect(place.dsn) as connection:
        found = {}
        for table in pg_tools.count_rows(connection):
            rows = connection.execute(SQL("SELECT t::text FROM {} t").format(Identifier(table)))
            found[table] = sorted(str(row[0]) for row in rows)
    return found


def stored(place: Place) -> dict[str, bytes]:
    return {key: b"".join(place.files.open(key)) for key, _at in place.files.keys("")}


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of an archive with each member passed through ``change`` (None: left out)."""
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        for member in old.getmembers():
            stream = old.extractfile(member)
            assert stream is not None
            data = change(member.name, stream.read())
            if data is not None:
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    return target


def run(command: Any, place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=place)


@contextmanager
def untouched(place: Place) -> Iterator[None]:
    before = contents(place)
    yield
    assert contents(place) == before


def changed_byte(wanted: str) -> Callable[[str, bytes], bytes | None]:
    def change(name: str, data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1]) if name == wanted else data

    return change
