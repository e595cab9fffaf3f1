"""Adding a copy of a site to the store, and removing one.

A copy is bytes with a hash. Whoever adds it opens nothing: it is shown when a rule names its hash,
and that takes two officers, so two people approve exactly these bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import delete, exists, func, select, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.whitelists.models import StoredCopy
from dask_platform.features.whitelists.rules import FrozenCopy, Rule
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import (
    Closed,
    Conflict,
    CopyBroken,
    Invalid,
    NotVisible,
)
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import Copies, CopyFacts, FileStore, Scanner
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise
from dask_platform.web.platform import Platform

#: Where copies lie in the store, and the folder in DASK_HOME where they are opened.
COPIES: Final = "copies/"
#: For examining and scanning what is sent in on a page, in seconds. Larger ones are the operator's.
ON_A_PAGE: Final = 90.0
_CHUNK: Final = 1024 * 1024
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('dask whitelist', 0))")
NOTHING_HERE: Final = N_("There is nothing here.")


@dataclass(frozen=True, slots=True)
class Examined:
    """A file that has been read through and scanned, and may be put away. ``path`` is there only
    inside ``examined``."""

    path: Path
    sha256: str
    size: int
    facts: CopyFacts


def copies_of(platform: Platform) -> Copies:
    """The port. It is set up in every process."""
    assert platform.copies is not None  # noqa: S101 - every process is set up with it
    return platform.copies


def folder_of(platform: Platform) -> Path:
    """``DASK_HOME/copies``, for this user alone."""
    folder = platform.settings.home / "copies"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def examined(platform: Platform, stream: BinaryIO, *, seconds: float) -> Iterator[Examined]:
    """Look a file through before anything is done with it, with no transaction open.

    Every byte is read in a process of its own; then everything in it that is not a page or a style
    sheet goes through the virus scanner, file by file, for in the packed whole no scanner sees
    anything. (Pages and style sheets are taken apart and made anew before anybody sees them.)

    Raises ``CopyBroken``, ``ScannerUnavailable``, ``ScanRefused``.
    """
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="new-", dir=folder_of(platform)) as folder:
        path = Path(folder) / "copy"
        sha256, size = _laid_down(stream, path)
        facts = copies_of(platform).examine(path, seconds=seconds)
        _scan(copies_of(platform), platform.scanner, path, facts, until)
        yield Examined(path, sha256, size, facts)


def add(
    uow: UnitOfWork, actor: Actor | None, files: FileStore, new: Examined, now: datetime
) -> str:
    """Put the file in the store, and write down what it is; its hash. ``actor`` None: an operator
    at the command line. Raises ``Conflict`` where it is there already."""
    if actor is not None:
        authorise(actor, Permission.WHITELIST_PROPOSE)
    if uow.scalar(select(exists().where(StoredCopy.sha256 == new.sha256))):
        raise Conflict(N_("This copy is here already."))
    _put(files, new)
    uow.add(
        StoredCopy(
            sha256=new.sha256, storage_key=COPIES + new.sha256, kind=new.facts.kind,
            size=new.size, title=new.facts.title, facts=_written(new.facts),
            added_by=actor.person_id if actor else None,
            added_name=actor.display_name if actor else "dask-platform", added_at=now,
        )
    )  # fmt: skip
    uow.flush()
    record(
        uow, actor, EventKind.COPY_ADDED, thing=("copy", new.sha256), size=new.size,
        system=None if actor else "whitelist copy",
    )  # fmt: skip
    return new.sha256


def remove(uow: UnitOfWork, actor: Actor, sha256: str) -> None:
    """Take a copy away that no rule in force and no waiting proposal names. Its bytes are swept
    from the store at night."""
    authorise(actor, Permission.WHITELIST_PROPOSE)
    # Nobody proposes or approves it meanwhile.
    uow.execute(_LOCK)
    found = uow.get(StoredCopy, sha256)
    if found is None:
        raise NotVisible(NOTHING_HERE)
    if uow.scalar(select(func.dask_copy_named(sha256))):
        raise Closed(N_("A rule names this copy. Change the rule first."))
    uow.execute(delete(StoredCopy).where(StoredCopy.sha256 == sha256))
    record(uow, actor, EventKind.COPY_REMOVED, thing=("copy", sha256))


def must_be_here(uow: UnitOfWork, rule: Rule | None) -> None:
    """Raises ``Invalid`` where ``rule`` names a copy that has not been added, or of another kind:
    two people would approve what neither could have looked at."""
    named: FrozenCopy | None = rule.frozen_copy if rule else None
    if named is None:
        return
    found = uow.get(StoredCopy, named.sha256)
    if found is None:
        raise Invalid(N_("There is no such copy. Add it first."), "frozen_copy")
    if found.kind != named.kind:
        raise Invalid(N_("The copy is of another kind than the rule says."), "frozen_copy")


def _laid_down(stream: BinaryIO, path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if not size:
        raise CopyBroken(N_("The file is empty."))
    return digest.hexdigest(), size


def _scan(copies: Copies, scanner: Scanner, path: Path, facts: CopyFacts, until: float) -> None:
    cleaned = ("text/html", "application/xhtml+xml", "text/css")
    for one in copies.open(path, facts.kind).files():
        if time.monotonic() > until:
            one.body.close()
            raise CopyBroken(
                N_("The file takes longer to read through than it may. It is not taken.")
            )
        if not one.size or one.content_type.partition(";")[0] in cleaned:
            one.body.close()
            continue
        if not scanner.scan(one.body).clean:
            raise CopyBroken(
                N_("A virus was found in the copy, at %(address)s. It is not taken."),
                address=one.address[:200],
            )


def _put(files: FileStore, new: Examined) -> None:
    key = COPIES + new.sha256
    try:
        with new.path.open("rb") as stream:
            files.put(key, stream, size=new.size, sha256=new.sha256)
    except Conflict:
        # Removed and not yet swept, or left by somebody who was interrupted: the very same bytes.
        if files.stat(key).sha256 != new.sha256:
            raise


def _written(facts: CopyFacts) -> dict[str, Any]:
    said = asdict(facts)
    said["made_on"] = facts.made_on.isoformat() if facts.made_on else None
    return said


def room_for(platform: Platform, size: int) -> None:
    """Raises ``Invalid`` where the disk of DASK_HOME could not take a file of ``size`` bytes
    twice: once to look at it, once to open it."""
    if shutil.disk_usage(folder_of(platform)).free < 2 * size:
        raise Invalid(N_("There is not enough room on the disk for this copy."))


def hashes(uow: UnitOfWork) -> set[str]:
    """The copies that are written down."""
    return set(uow.scalars(select(StoredCopy.sha256)))


def sweep_store(platform: Platform, known: set[str], older_than: timedelta) -> int:
    """Delete from the store the bytes of copies that were removed, or never written down; how many.
    What was written lately may be on its way in."""
    limit = platform.clock.now() - older_than
    gone = [
        key
        for key, at in platform.files.keys(COPIES)
        if key.removeprefix(COPIES) not in known and at < limit
    ]
    for key in gone:
        platform.files.delete(key)
    return len(gone)
