"""Backup and restore, on a real database and a real store: what comes back is what was there."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dask_platform.adapters.storage import FilesystemStore
from dask_platform.entry import archive as archives
from dask_platform.entry.backup import backup, make_backup
from dask_platform.entry.restore import restore, restore_backup
from dask_platform.features.audit.chain import verify
from dask_platform.kernel.errors import DaskError, StorageUnavailable
from tests.entry.backups import (
    FILES,
    NOW,
    Place,
    Places,
    contents,
    put,
    run,
    stored,
)


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
