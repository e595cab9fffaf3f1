"""Backup and restore, on a real database and a real store: what comes back is what was there."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import stat
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.sql import SQL, Identifier
from sqlalchemy import text

from dask_platform.adapters.scanner import FakeScanner
from dask_platform.adapters.storage import FilesystemStore, S3Address, S3Store
from dask_platform.db.unit_of_work import Database
from dask_platform.entry import archive as archives
from dask_platform.entry import pg_tools
from dask_platform.entry.backup import backup, make_backup
from dask_platform.entry.restore import ASIDE, restore, restore_backup
from dask_platform.features.audit.chain import verify
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.handins.models import Attempt, HandinFile
from dask_platform.kernel.clock import FixedClock
from dask_platform.kernel.errors import DaskError, StorageUnavailable
from dask_platform.kernel.ports import FileStore
from dask_platform.kernel.settings import Settings
from dask_platform.web.platform import Platform
from tests.services.postgres import PostgresServer
from tests.services.seaweedfs import SeaweedServer
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


@pytest.fixture
def places(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Places]:
    made = Places(postgres_server, tmp_path)
    yield made
    made.close()


@pytest.fixture
def school(world: World, places: Places) -> Place:
    """A school with people, attempts, files in every state, sessions and a log."""
    place = places.of(world.database_name, "old")
    fill(world, place)
    # The platform is stopped while somebody restores; here, its connections.
    world.disconnect()
    return place


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


def test_what_is_restored_is_what_was_backed_up(
    school: Place, places: Places, tmp_path: Path
) -> None:
    target = tmp_path / "school.tar"
    before = contents(school)
    manifest = make_backup(school.platform, school.owner_url, target, NOW)
    assert manifest.tables == {table: len(rows) for table, rows in before.items()}
    assert manifest.absent == []
    new = places.empty()

    restore_backup(new.platform, new.owner_url, target)

    assert contents(new) == before
    assert stored(new) == stored(school) == FILES
    with new.platform.database.work() as uow:
        verdict = verify(uow)
    assert verdict.broken_at is None
    assert verdict.end.seq == len(before["audit_event"]) >= 40


def test_a_restored_school_is_as_well_guarded_as_before(
    school: Place, places: Places, tmp_path: Path
) -> None:
    def walls(place: Place) -> list[list[str]]:
        queries = (
            "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies",
            # No list of rights is the owner's alone: the same as one that says so.
            "SELECT relname, relrowsecurity::text, relforcerowsecurity::text,"
            " coalesce(relacl, acldefault('r', relowner))::text,"
            " relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
            "SELECT oid::regprocedure::text, prosecdef::text, proacl::text, proowner::regrole::text"
            " FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
            "SELECT tgname, tgrelid::regclass::text, tgenabled::text FROM pg_trigger"
            " WHERE NOT tgisinternal",
            "SELECT defaclrole::regrole::text, defaclobjtype::text, defaclacl::text"
            " FROM pg_default_acl",
            "SELECT attrelid::regclass::text, attname, attacl::text FROM pg_attribute"
            " WHERE attacl IS NOT NULL AND attrelid > 16384",
        )
        with psycopg.connect(place.dsn) as connection:
            rows = [map(str, connection.execute(query)) for query in queries]
        # PostgreSQL writes ``x IN ('a', 'b')`` with its casts elsewhere once it was reloaded.
        casts = re.compile(r"::character varying|::text|\[\]|[()]")
        return [sorted(casts.sub("", row) for row in found) for found in rows]

    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    new = places.empty()
    restore_backup(new.platform, new.owner_url, target)
    assert walls(new) == walls(school)

    web = new.dsn.replace("dask_owner", "dask_web", 1)
    with psycopg.connect(web) as connection:
        assert connection.execute("SELECT count(*) FROM attempt").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM audit_event")


def test_the_audit_chain_goes_on_from_its_end(
    school: Place, places: Places, tmp_path: Path
) -> None:
    target = tmp_path / "school.tar"
    manifest = make_backup(school.platform, school.owner_url, target, NOW)
    new = places.empty()
    result = run(restore, new, str(target))
    assert result.exit_code == 0, result.output
    assert "every file and the audit log are as they were" in result.output
    with new.platform.database.work() as uow:
        verdict = verify(uow)
        last = uow.execute(
            text("SELECT seq, kind FROM audit_event ORDER BY seq DESC LIMIT 1")
        ).one()
    assert verdict.broken_at is None
    assert tuple(last) == (manifest.audit.seq + 1, "backup.restored")


def test_nobody_is_logged_in_after_a_restore(school: Place, places: Places, tmp_path: Path) -> None:
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    new = places.empty()
    assert run(restore, new, str(target)).exit_code == 0
    with psycopg.connect(new.dsn) as connection:
        rows = connection.execute("SELECT ended_at, ended_reason FROM login_session").fetchall()
    assert len(rows) == 2
    assert {tuple(row) for row in rows} == {(NOW, "restored")}


def test_into_a_folder_it_is_named_by_its_time_and_private(school: Place, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    result = run(backup, school, str(folder))
    assert result.exit_code == 0, result.output
    made = folder / "dask-backup-20260302T043000Z.tar"
    assert list(folder.iterdir()) == [made]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert "audit end 40:" in result.output
    with psycopg.connect(school.dsn) as connection:
        found = connection.execute("SELECT kind, actor_name FROM audit_event ORDER BY seq DESC")
        assert found.fetchone() == ("backup.made", "backup")


def test_a_backup_overwrites_nothing(school: Place, tmp_path: Path) -> None:
    target = tmp_path / "kept.tar"
    target.write_bytes(b"precious")
    with pytest.raises(DaskError, match="exists already"):
        make_backup(school.platform, school.owner_url, target, NOW)
    assert target.read_bytes() == b"precious"


def test_rows_and_files_of_one_moment(school: Place, places: Places, tmp_path: Path) -> None:
    """What is written while the backup runs is not in it, neither rows nor files."""

    class Busy(FilesystemStore):
        def stat(self, key: str) -> Any:
            with psycopg.connect(school.dsn) as connection:
                connection.execute("UPDATE person SET display_name = 'Later'")
                connection.execute("DELETE FROM login_session")
            return super().stat(key)

    before = contents(school)
    busy = Busy(school.platform.settings.files_folder)
    school.platform.files = busy
    put(busy, "handins/later", b"not referenced")
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    assert contents(school)["login_session"] == []
    new = places.empty()
    restore_backup(new.platform, new.owner_url, target)
    assert contents(new) == before
    assert stored(new) == FILES


def test_a_lost_and_a_damaged_file_are_named_and_the_rest_is_kept(
    school: Place, places: Places, tmp_path: Path
) -> None:
    school.files.delete("handins/one")
    folder = school.platform.settings.files_folder / "files/courses/drawing.file"
    (damaged,) = folder.iterdir()
    damaged.write_bytes(damaged.read_bytes()[::-1])
    target = tmp_path / "school.tar"
    result = run(backup, school, str(target))
    assert result.exit_code == 1
    assert "missing in the store: handins/one" in result.output
    assert "damaged in the store: courses/drawing" in result.output
    assert isinstance(result.exception, DaskError)
    assert "lacks 2 files" in str(result.exception)

    new = places.empty()
    restore_backup(new.platform, new.owner_url, target)
    kept = FILES.keys() - {"handins/one", "courses/drawing"}
    assert stored(new).keys() == kept


def test_a_loss_the_platform_knows_of_does_not_fail_every_backup(
    school: Place, tmp_path: Path
) -> None:
    school.files.delete("handins/one")
    with psycopg.connect(school.dsn) as connection:
        connection.execute(
            "UPDATE handin_file SET scan_finding = 'missing from the store',"
            " scan_state = 'refused' WHERE storage_key = 'handins/one'"
        )
    manifest = make_backup(school.platform, school.owner_url, tmp_path / "school.tar", NOW)
    assert [(one.key, one.why) for one in manifest.absent] == [("handins/one", "known")]


def test_a_file_taken_out_of_a_draft_meanwhile_is_no_loss(school: Place, tmp_path: Path) -> None:
    class Leaving(FilesystemStore):
        def stat(self, key: str) -> Any:
            if key == "handins/one":
                with psycopg.connect(school.dsn) as connection:
                    connection.execute("DELETE FROM handin_file WHERE storage_key = %s", [key])
                self.delete(key)
            return super().stat(key)

    school.platform.files = Leaving(school.platform.settings.files_folder)
    manifest = make_backup(school.platform, school.owner_url, tmp_path / "school.tar", NOW)
    assert [(one.key, one.why) for one in manifest.absent] == [("handins/one", "removed")]


def test_a_broken_off_backup_leaves_nothing(school: Place, tmp_path: Path) -> None:
    class Dying(FilesystemStore):
        def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
            yield b"the beginning"
            raise StorageUnavailable("The file store does not answer.")

    folder = tmp_path / "backups"
    folder.mkdir()
    school.platform.files = Dying(school.platform.settings.files_folder)
    with pytest.raises(StorageUnavailable):
        make_backup(school.platform, school.owner_url, folder / "school.tar", NOW)
    assert list(folder.iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from dask_platform.entry.archive import new_archive

def chunks():
    yield b"half"
    print("half way", flush=True)
    time.sleep(60)

with new_archive(Path(sys.argv[1])) as archive:
    archive.add("files/a.bin", 8, chunks())
"""


def test_a_killed_backup_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "school.tar"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half way\n"
        child.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".dask-backup-partial-")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    yesterday = time.time() - 25 * 3600
    os.utime(left, (yesterday, yesterday))
    with archives.new_archive(target) as archive:
        archive.add("a", 1, [b"a"])
    assert list(tmp_path.iterdir()) == [target], "the next backup removes what the last one left"


def changed_byte(wanted: str) -> Callable[[str, bytes], bytes | None]:
    def change(name: str, data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1]) if name == wanted else data

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed_byte("files/handins/one.bin"), "files/handins/one.bin was changed"),
        (changed_byte("database.dump"), "database.dump was changed"),
        (lambda name, data: None if name == "files/handins/one.bin" else data, "is missing"),
        (lambda name, data: None if name == "manifest.json" else data, "no manifest"),
        (
            lambda name, data: data.replace(b'"key": "handins/one"', b'"key": "../one"').replace(
                b'"key":"handins/one"', b'"key":"../one"'
            ),
            "manifest is not one",
        ),
    ],
)
def test_a_tampered_backup_is_refused_before_anything_is_touched(
    school: Place,
    places: Places,
    tmp_path: Path,
    change: Callable[[str, bytes], bytes | None],
    why: str,
) -> None:
    good = tmp_path / "good.tar"
    make_backup(school.platform, school.owner_url, good, NOW)
    bad = rewritten(good, tmp_path / "bad.tar", change)
    new = places.empty()
    with untouched(new), pytest.raises(DaskError, match=why):
        restore_backup(new.platform, new.owner_url, bad)
    assert not new.platform.settings.files_folder.exists()


def test_what_is_no_backup_or_half_of_one_is_refused(
    school: Place, places: Places, tmp_path: Path
) -> None:
    good = tmp_path / "good.tar"
    make_backup(school.platform, school.owner_url, good, NOW)
    raw = good.read_bytes()
    new = places.empty()
    for length in (0, 100, 512, len(raw) // 3, len(raw) // 2, len(raw) - 2000):
        part = tmp_path / "part.tar"
        part.write_bytes(raw[:length])
        with pytest.raises(DaskError, match="The backup is damaged, nothing was restored"):
            restore_backup(new.platform, new.owner_url, part)
    noise = tmp_path / "noise.tar"
    noise.write_bytes(b"no tar at all" * 1000)
    with pytest.raises(DaskError, match="not a backup"):
        restore_backup(new.platform, new.owner_url, noise)


def test_a_smuggled_member_or_link_is_refused(
    school: Place, places: Places, tmp_path: Path
) -> None:
    good = tmp_path / "good.tar"
    make_backup(school.platform, school.owner_url, good, NOW)
    new = places.empty()
    for member in (tarfile.TarInfo("files/more.bin"), tarfile.TarInfo("link")):
        bad = rewritten(good, tmp_path / "bad.tar", lambda _name, data: data)
        if member.name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        with tarfile.open(bad, "a") as tar:
            tar.addfile(member)
        with pytest.raises(DaskError, match="damaged"):
            restore_backup(new.platform, new.owner_url, bad)


def test_a_forged_audit_log_is_found_and_the_database_put_back(
    school: Place, places: Places, tmp_path: Path
) -> None:
    """A manifest can be made to fit a changed database; the chain in it cannot."""
    with psycopg.connect(school.dsn) as connection:
        connection.execute("UPDATE audit_event SET actor_name = 'somebody else' WHERE seq = 7")
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    new = places.empty()
    with untouched(new), pytest.raises(DaskError, match="broken at row 7"):
        restore_backup(new.platform, new.owner_url, target)


def test_a_place_that_is_not_empty_is_refused(
    school: Place, places: Places, tmp_path: Path
) -> None:
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    with untouched(school), pytest.raises(DaskError, match="database is not empty"):
        restore_backup(school.platform, school.owner_url, target)

    new = places.empty()
    assert isinstance(new.files, FilesystemStore)
    new.files.ensure_folder()
    put(new.files, "handins/somebodys", b"work of another school")
    with untouched(new), pytest.raises(DaskError, match="file store is not empty"):
        restore_backup(new.platform, new.owner_url, target)
    assert stored(new) == {"handins/somebodys": b"work of another school"}


def test_force_replaces_the_school_that_is_there(school: Place, tmp_path: Path) -> None:
    target = tmp_path / "school.tar"
    before = contents(school)
    make_backup(school.platform, school.owner_url, target, NOW)
    with psycopg.connect(school.dsn) as connection:
        connection.execute("UPDATE person SET display_name = 'Somebody else'")
        connection.execute("CREATE TABLE leftover (id int)")
    school.files.delete("handins/one")
    put(school.files, "handins/one", b"something else under the same key")

    restore_backup(school.platform, school.owner_url, target, force=True)

    assert contents(school) == before
    assert stored(school) == FILES


def test_a_forced_restore_that_fails_leaves_the_school_as_it_was(
    school: Place, tmp_path: Path
) -> None:
    with psycopg.connect(school.dsn) as connection:
        connection.execute("UPDATE audit_event SET actor_name = 'x' WHERE seq = 3")
    target = tmp_path / "broken.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    with psycopg.connect(school.dsn) as connection:
        connection.execute("UPDATE person SET display_name = 'The school of today'")
    with untouched(school), pytest.raises(DaskError, match="broken at row 3"):
        restore_backup(school.platform, school.owner_url, target, force=True)
    with psycopg.connect(school.dsn) as connection:
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [ASIDE])
        assert found.fetchall() == []


def test_no_restore_under_a_running_platform(school: Place, places: Places, tmp_path: Path) -> None:
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    web = school.dsn.replace("dask_owner", "dask_web", 1)
    with (
        psycopg.connect(web),
        untouched(school),
        pytest.raises(DaskError, match="The platform is running"),
    ):
        restore_backup(school.platform, school.owner_url, target, force=True)


def test_a_backup_of_a_newer_platform_is_refused(
    school: Place, places: Places, tmp_path: Path
) -> None:
    with psycopg.connect(school.dsn) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    new = places.empty()
    with pytest.raises(DaskError, match="newer platform"):
        restore_backup(new.platform, new.owner_url, target)


def test_another_secret_key_is_said(school: Place, places: Places, tmp_path: Path) -> None:
    target = tmp_path / "school.tar"
    make_backup(school.platform, school.owner_url, target, NOW)
    other = run(restore, places.empty("other", secret="two" * 20), str(target))
    same = run(restore, places.empty("same"), str(target))
    assert "DASK_SECRET_KEY is not the one" in other.output
    assert "DASK_SECRET_KEY" not in same.output
    assert "one" * 20 not in target.read_bytes().decode("latin-1"), "the key itself stays out"


def test_an_empty_database_is_nothing_to_back_up(places: Places, tmp_path: Path) -> None:
    new = places.empty()
    with pytest.raises(DaskError, match="holds no school"):
        make_backup(new.platform, new.owner_url, tmp_path / "nothing.tar", NOW)
    assert not (tmp_path / "nothing.tar").exists()


def test_from_a_folder_into_s3_and_back(
    school: Place, places: Places, seaweed: SeaweedServer, tmp_path: Path
) -> None:
    bucket = f"restore-{uuid.uuid4().hex[:12]}"
    address = S3Address(seaweed.endpoint, bucket, seaweed.access_key, seaweed.secret_key, False)
    before = contents(school)
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    make_backup(school.platform, school.owner_url, first, NOW)
    cloud = places.empty("cloud", files=S3Store(address))
    restore_backup(cloud.platform, cloud.owner_url, first)
    assert stored(cloud) == FILES
    make_backup(cloud.platform, cloud.owner_url, second, NOW + timedelta(hours=1))
    back = places.empty("back")
    restore_backup(back.platform, back.owner_url, second)
    assert stored(back) == FILES
    assert contents(back) == before


def test_every_file_of_every_table_is_found_by_its_columns(school: Place) -> None:
    """``storage_key``, ``size`` and ``sha256`` are how a backup finds files: name them so."""
    with psycopg.connect(school.dsn) as connection:
        columns = connection.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns"
            " WHERE table_schema = 'public' GROUP BY table_name"
        ).fetchall()
    for table, names in columns:
        keys = [name for name in names if name.endswith(("storage_key", "file_key"))]
        if keys:
            assert {"storage_key", "size", "sha256"} <= set(names), (
                f"{table}.{keys[0]} names a stored file: call its columns storage_key, size and "
                "sha256, or backup will leave the file out (entry/backup.py)."
            )
