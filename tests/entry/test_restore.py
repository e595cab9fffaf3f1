"""Restore: what is no whole backup is refused, and what goes wrong leaves the school as it was."""

from __future__ import annotations

import tarfile
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dask_platform.adapters.storage import FilesystemStore, S3Address, S3Store
from dask_platform.entry.backup import make_backup
from dask_platform.entry.restore import ASIDE, restore, restore_backup
from dask_platform.kernel.errors import DaskError
from tests.entry.backups import (
    FILES,
    NOW,
    Place,
    Places,
    changed_byte,
    contents,
    put,
    rewritten,
    run,
    stored,
    untouched,
)
from tests.services.seaweedfs import SeaweedServer


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


#: Tables whose files are in no backup, because what is missing is fetched anew.
FETCHED_AGAIN = frozenset({"kept_answer"})


def test_every_file_of_every_table_is_found_by_its_columns(school: Place) -> None:
    """``storage_key``, ``size`` and ``sha256`` are how a backup finds files: name them so."""
    with psycopg.connect(school.dsn) as connection:
        columns = connection.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns"
            " WHERE table_schema = 'public' GROUP BY table_name"
        ).fetchall()
    for table, names in columns:
        keys = [name for name in names if name.endswith(("storage_key", "file_key"))]
        if keys and table not in FETCHED_AGAIN:
            assert {"storage_key", "size", "sha256"} <= set(names), (
                f"{table}.{keys[0]} names a stored file: call its columns storage_key, size and "
                "sha256, or backup will leave the file out (entry/backup.py)."
            )
