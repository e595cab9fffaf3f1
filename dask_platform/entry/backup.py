"""``dask-platform backup``: the database and every stored file together, as of one moment.

The database is read in one snapshot. The files it names are copied after that: a stored file is
written once and never changed, so what the snapshot names is there, or its absence is news and is
named. Files that came later are not in the snapshot and not in the backup.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg.sql import SQL, Identifier

from dask_platform import __version__
from dask_platform.entry import pg_tools
from dask_platform.entry.archive import (
    CHUNK,
    DATABASE,
    Absent,
    ArchiveWriter,
    AuditEnd,
    Content,
    FileEntry,
    Manifest,
    key_check,
    member_name,
    new_archive,
)
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.handins.scanning import DAMAGED, HANDINS, MISSING, quarantine_key
from dask_platform.kernel.errors import DaskError, FileCorrupt, FileMissing
from dask_platform.kernel.ports import FileStore
from dask_platform.web.platform import Platform


@dataclass(frozen=True, slots=True)
class Reference:
    """A file as a row names it. ``known_bad``: the platform has noticed that it is gone."""

    key: str
    size: int
    sha256: str
    known_bad: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database said at the moment of the backup."""

    revision: str
    tables: dict[str, int]
    audit: AuditEnd
    references: list[Reference]


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.pass_obj
def backup(context: Any, target: Path) -> None:
    """Back up database and files into TARGET: a new file, or a folder to make one in.

    Ends with 1 if the store could not give a file that the database names. The backup is complete
    otherwise, and kept.
    """
    platform = context.platform
    now = platform.clock.now()
    if target.is_dir():
        target = target / f"dask-backup-{now:%Y%m%dT%H%M%SZ}.tar"
    manifest = make_backup(platform, context.owner_url, target, now)
    with platform.database.work() as uow:
        record(
            uow, None, EventKind.BACKUP_MADE, system="backup", files=len(manifest.files),
            absent=len(manifest.absent), audit_seq=manifest.audit.seq,
        )  # fmt: skip
    click.echo(describe(target, manifest))
    news = [one for one in manifest.absent if one.why in ("missing", "damaged")]
    for one in news:
        click.echo(f"{one.why} in the store: {one.key}")
    if news:
        raise DaskError(
            "the backup lacks %(count)s files that the store could not give; they are named above",
            count=len(news),
        )


def make_backup(platform: Platform, url: str, target: Path, now: datetime) -> Manifest:
    """Write the archive ``target``. ``url`` is the owner's, who sees every row.

    Raises ``DaskError`` when the target exists, ``Unavailable`` when database or store do not
    answer; then nothing is left under the target's name.
    """
    with new_archive(target) as archive:
        database, snapshot = _database(url, archive, target.parent)
        files, absent = _files(platform.files, snapshot.references, archive)
        manifest = Manifest(
            made_at=now,
            platform=__version__,
            revision=snapshot.revision,
            key_check=key_check(platform.settings.secret()),
            tables=snapshot.tables,
            audit=snapshot.audit,
            database=database,
            files=files,
            absent=_without_removed(url, absent),
        )
        archive.finish(manifest)
    return manifest


def describe(path: Path, manifest: Manifest) -> str:
    """One line for the operator's records. The end of the log belongs outside this machine."""
    return (
        f"{path}: {sum(manifest.tables.values())} rows in {len(manifest.tables)} tables, "
        f"{len(manifest.files)} files, revision {manifest.revision}, "
        f"audit end {manifest.audit.seq}:{manifest.audit.hash}"
    )


def _database(url: str, archive: ArchiveWriter, folder: Path) -> tuple[Content, Snapshot]:
    with pg_tools.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        name = str(connection.execute("SELECT pg_export_snapshot()").fetchall()[0][0])
        snapshot = _snapshot(connection)
        # Beside the target: the system's folder for temporary files may be too small for it.
        with tempfile.TemporaryDirectory(prefix=".dask-backup-", dir=folder) as made:
            path = Path(made) / DATABASE
            pg_tools.dump(url, path, snapshot=name)
            content = archive.add(DATABASE, path.stat().st_size, _chunks(path))
    return content, snapshot


def _snapshot(connection: pg_tools.Connection) -> Snapshot:
    tables = pg_tools.count_rows(connection)
    if "alembic_version" not in tables or not tables["alembic_version"]:
        raise DaskError("There is nothing to back up: this database holds no school.")
    revision = connection.execute("SELECT version_num FROM alembic_version").fetchall()[0][0]
    seq, digest = connection.execute("SELECT seq, hash FROM audit_head").fetchall()[0]
    return Snapshot(
        revision=str(revision),
        tables=tables,
        audit=AuditEnd(seq=seq, hash=bytes(digest).hex()),
        references=list(_references(connection)),
    )


def _references(connection: pg_tools.Connection) -> Iterator[Reference]:
    """Every file that any table names. A table names one by ``storage_key``, ``size``, ``sha256``:
    found by these columns, so that a table made later is not forgotten here."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = 'storage_key' ORDER BY table_name"
    ).fetchall()
    known = {
        str(row[0])
        for row in connection.execute(
            "SELECT storage_key FROM handin_file WHERE scan_finding IN (%s, %s)", [MISSING, DAMAGED]
        )
    }
    seen = set()
    for (table,) in found:
        query = SQL("SELECT storage_key, size, sha256 FROM public.{} ORDER BY storage_key").format(
            Identifier(str(table))
        )
        for key, size, sha256 in connection.execute(query):
            if key not in seen:
                seen.add(key)
                yield Reference(key, size, sha256, key in known)


def _files(
    store: FileStore, references: list[Reference], archive: ArchiveWriter
) -> tuple[list[FileEntry], list[Absent]]:
    copied: list[FileEntry] = []
    absent: list[Absent] = []
    for reference in references:
        try:
            copied.append(_copy(store, reference, archive))
        except FileMissing:
            why = "known" if reference.known_bad else "missing"
            absent.append(Absent.model_validate({"key": reference.key, "why": why}))
        except FileCorrupt:
            why = "known" if reference.known_bad else "damaged"
            absent.append(Absent.model_validate({"key": reference.key, "why": why}))
    return copied, absent


def _copy(store: FileStore, reference: Reference, archive: ArchiveWriter) -> FileEntry:
    """The file from where it lies: a stopped one moves into quarantine, perhaps just now."""
    places = [reference.key]
    if reference.key.startswith(HANDINS):
        places += [quarantine_key(reference.key), reference.key]
    for place in places:
        try:
            stored = store.stat(place)
            if (stored.size, stored.sha256) != (reference.size, reference.sha256):
                raise FileCorrupt("The stored file is another one than was put there.")
            content = archive.add(member_name(place), stored.size, store.open(place))
        except FileMissing:
            continue
        if content.sha256 != reference.sha256:
            # The store checks too; a backup does not rest on that.
            raise FileCorrupt("The stored file is damaged.")
        return FileEntry(key=place, size=content.size, sha256=content.sha256)
    raise FileMissing("The file is not in the store.")


def _without_removed(url: str, absent: list[Absent]) -> list[Absent]:
    """Tell what a student took out of a draft while the backup ran from what is lost."""
    if not absent:
        return []
    with pg_tools.connect(url) as connection:
        still = {reference.key for reference in _references(connection)}
    return [one if one.key in still else Absent(key=one.key, why="removed") for one in absent]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
