"""``dask-platform restore``: a school from its backup, into an empty place.

Nothing is touched before every byte of the backup has been held against its manifest. The database
is read in one transaction; what was there before (``--force``) steps aside and is dropped only when
the new one has been proven: rows counted, audit chain walked, every file read back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text

from dask_platform.db import migrate
from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.entry import pg_tools
from dask_platform.entry.archive import (
    DATABASE,
    Archive,
    FileEntry,
    Manifest,
    key_check,
    member_name,
)
from dask_platform.entry.wiring import prepare_files
from dask_platform.features.audit.chain import Mark, verify
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.handins.scanning import ChunkReader
from dask_platform.kernel.errors import DaskError, FileCorrupt, FileMissing
from dask_platform.kernel.ports import FileStore
from dask_platform.web.platform import Platform

#: Where the school that was there waits until the restored one has been proven.
ASIDE = "dask_replaced"
NOT_EMPTY = "The %(what)s is not empty. Restore into an empty one, or use --force."
_EMPTY_SCHEMA = (
    "CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    "GRANT USAGE ON SCHEMA public TO PUBLIC",
    "COMMENT ON SCHEMA public IS 'standard public schema'",
)
END_SESSIONS = text(
    "UPDATE login_session SET ended_at = :now, ended_reason = 'restored' WHERE ended_at IS NULL"
)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--into-empty",
    is_flag=True,
    help="Said for the record; it is what happens without --force.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace the school that is there. Its database is dropped once the new one is proven.",
)
@click.pass_obj
def restore(context: Any, source: Path, into_empty: bool, force: bool) -> None:
    """Restore database and files from the backup SOURCE. The platform must be stopped.

    Refused when the database or the store holds anything, unless --force. Everybody is logged out.
    """
    if into_empty and force:
        raise click.UsageError("--into-empty and --force say the opposite of each other.")
    platform = context.platform
    manifest = restore_backup(platform, context.owner_url, source, force=force)
    settle(platform, manifest, platform.clock.now())
    click.echo(
        f"restored {sum(manifest.tables.values())} rows and {len(manifest.files)} files as of "
        f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC; every file and the audit log are as they were; "
        f"audit end {manifest.audit.seq}:{manifest.audit.hash}"
    )
    if manifest.key_check != key_check(platform.settings.secret()):
        click.echo(
            "note: DASK_SECRET_KEY is not the one this school was backed up with. Second factors "
            "do not work under it: set the old one, or have staff set theirs up anew."
        )
    head = ScriptDirectory.from_config(migrate.alembic_config()).get_current_head()
    if manifest.revision != head:
        click.echo("note: the tables are older than this platform. Run: dask-platform db upgrade")


def restore_backup(platform: Platform, url: str, source: Path, *, force: bool = False) -> Manifest:
    """Put the backup ``source`` in place of what is there. ``url`` is the owner's.

    Raises ``DaskError`` for a damaged backup, a place that is not empty, a platform that runs or is
    older than the backup; the database is then as it was before. Files that were put into the store
    stay there and do no harm: the next try takes them for its own.
    """
    with source.open("rb") as file:
        archive = Archive(file)
        archive.verify()
        manifest = archive.manifest
        _known_revision(manifest.revision)
        with pg_tools.connect(url) as connection:
            _roles(connection)
            occupied = _occupied(connection)
            if occupied and not force:
                raise DaskError(NOT_EMPTY, what="database")
            _nobody_else(connection)
        prepare_files(platform.files)
        _put_files(platform.files, archive, force=force)
        with tempfile.TemporaryDirectory(prefix=".dask-restore-", dir=_roomy(source)) as made:
            dump = Path(made) / DATABASE
            with dump.open("wb") as copy:
                for chunk in archive.read(DATABASE):
                    copy.write(chunk)
            with _aside(url, occupied):
                pg_tools.restore(url, dump)
                _prove(platform, url, manifest)
    return manifest


def settle(platform: Platform, manifest: Manifest, now: datetime) -> None:
    """What must not come back with a school: sessions that were live then, ended or not since."""
    with platform.database.work() as uow:
        ended = cast(Any, uow.execute(END_SESSIONS, {"now": now})).rowcount
        record(
            uow, None, EventKind.BACKUP_RESTORED, system="restore",
            made_at=manifest.made_at, audit_seq=manifest.audit.seq, sessions_ended=ended,
        )  # fmt: skip


# --- before anything is changed ---------------------------------------------------------------


def _known_revision(revision: str) -> None:
    scripts = ScriptDirectory.from_config(migrate.alembic_config())
    try:
        scripts.get_revision(revision)
    except CommandError:
        raise DaskError(
            "The backup was made by a newer platform (revision %(revision)s). "
            "Install that one first.",
            revision=revision,
        ) from None


def _roles(connection: pg_tools.Connection) -> None:
    found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'dask%'")
    missing = set(migrate.ROLES) - {str(row[0]) for row in found}
    if missing:
        raise DaskError(
            "The server has no role %(role)s. Make the three roles first: "
            "infra/database-roles.sql.",
            role=min(missing),
        )


def _occupied(connection: pg_tools.Connection) -> bool:
    """Whether the database holds anything that a restore would meet: tables, types or functions."""
    left = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [ASIDE]).fetchall()
    if left:
        raise DaskError(
            "A restore was broken off here: the schema %(schema)s holds the school from before. "
            "Look at it, then rename or drop it.",
            schema=ASIDE,
        )
    found = connection.execute(
        "SELECT FROM pg_namespace n WHERE n.nspname = 'public' AND ("
        " EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid) OR"
        " EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = n.oid) OR"
        " EXISTS (SELECT FROM pg_type t WHERE t.typnamespace = n.oid))"
    )
    return bool(found.fetchall())


def _nobody_else(connection: pg_tools.Connection) -> None:
    busy = connection.execute(
        "SELECT usename FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename IN ('dask_web', 'dask_worker') LIMIT 1"
    ).fetchall()
    if busy:
        raise DaskError(
            "The platform is running (%(role)s is connected). Stop it first, the worker too.",
            role=busy[0][0],
        )


# --- files ------------------------------------------------------------------------------------


def _put_files(store: FileStore, archive: Archive, *, force: bool) -> None:
    """Every file of the backup into the store. Files that are there already stay, if the same."""
    wanted = {file.key: file for file in archive.manifest.files}
    if not force:
        for key, _at in store.keys(""):
            if key not in wanted or not _same(store, wanted[key]):
                raise DaskError(NOT_EMPTY, what="file store")
    for file in archive.manifest.files:
        if _same(store, file):
            continue
        store.delete(file.key)
        stream = cast(BinaryIO, ChunkReader(archive.read(member_name(file.key))))
        store.put(file.key, stream, size=file.size, sha256=file.sha256)


def _same(store: FileStore, file: FileEntry) -> bool:
    try:
        stored = store.stat(file.key)
    except (FileMissing, FileCorrupt):
        return False
    return (stored.size, stored.sha256) == (file.size, file.sha256)


# --- the database -----------------------------------------------------------------------------


@contextmanager
def _aside(url: str, occupied: bool) -> Iterator[None]:
    """An empty schema for the block. The one before goes after it, or comes back if it fails."""
    if occupied:
        _statements(url, f"ALTER SCHEMA public RENAME TO {ASIDE}", *_EMPTY_SCHEMA)
    try:
        yield
    except BaseException:
        before = [f"ALTER SCHEMA {ASIDE} RENAME TO public"] if occupied else _EMPTY_SCHEMA
        _statements(url, "DROP SCHEMA public CASCADE", *before)
        raise
    if occupied:
        _statements(url, f"DROP SCHEMA {ASIDE} CASCADE")


def _statements(url: str, *statements: str) -> None:
    """In one transaction, as the owner of the database, who owns its schemas too."""
    with pg_tools.connect(url) as connection:
        connection.execute("SET LOCAL client_min_messages = warning")
        for statement in statements:
            connection.execute(cast(Any, statement))


def _prove(platform: Platform, url: str, manifest: Manifest) -> None:
    """Hold what was restored against the manifest: rows, revision, the audit chain, every file."""
    with pg_tools.connect(url) as connection:
        counts = pg_tools.count_rows(connection)
    for table in sorted(counts.keys() | manifest.tables.keys()):
        if counts.get(table) != manifest.tables.get(table):
            raise DaskError(
                "%(table)s has %(found)s rows after the restore, %(wanted)s were backed up. "
                "The database was put back as it was.",
                table=table, found=counts.get(table), wanted=manifest.tables.get(table),
            )  # fmt: skip
    with platform.database.work() as uow:
        _prove_audit(uow, manifest)
    for file in manifest.files:
        for _chunk in platform.files.open(file.key):
            pass


def _prove_audit(uow: UnitOfWork, manifest: Manifest) -> None:
    uow.execute(text("SET LOCAL statement_timeout = 0"))
    end = Mark(manifest.audit.seq, bytes.fromhex(manifest.audit.hash))
    verdict = verify(uow, expect=end if end.seq else None)
    if verdict.broken_at is not None:
        raise DaskError(
            "The audit log in the backup is broken at row %(row)s: %(why)s. Nothing was restored.",
            row=verdict.broken_at, why=verdict.why,
        )  # fmt: skip
    if verdict.end.seq != end.seq:
        raise DaskError("The audit log in the backup does not end where its manifest says.")


def _roomy(source: Path) -> Path | None:
    """Beside the backup there was room for it once; elsewhere only where that is read-only."""
    return source.parent if os.access(source.parent, os.W_OK) else None
