"""Copies on this machine's own disk, open for reading.

The store may be elsewhere, and a ZIM file is read here and there and not from one end. So the
first who needs a copy fetches it to ``DASK_HOME/copies/<sha256>``, once for all processes; what
does not have that hash is never opened.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from dask_platform.features.whitelists.rules import FrozenCopy
from dask_platform.features.whitelists.service.copies import COPIES, copies_of, folder_of
from dask_platform.kernel.errors import FileCorrupt, Unavailable
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import SiteCopy
from dask_platform.web.platform import Platform

#: How many copies a process keeps open.
KEPT_OPEN: Final = 32
#: How long a page waits while another one fetches the copy, in seconds.
WAIT: Final = 10.0
_PAUSE: Final = 0.05

_open: OrderedDict[tuple[str, str], SiteCopy] = OrderedDict()
_lock = Lock()


def opened(platform: Platform, copy: FrozenCopy) -> SiteCopy:
    """The copy that a rule names. Raises ``FileMissing`` where the store has no such copy,
    ``FileCorrupt`` where its bytes are others, ``CopyBroken`` where they cannot be read, and
    ``Unavailable`` while it is being fetched."""
    folder = folder_of(platform)
    name = (str(folder), copy.sha256)
    with _lock:
        found = _open.get(name)
        if found is not None:
            _open.move_to_end(name)
            return found
    path = folder / copy.sha256
    with _alone(folder / f"{copy.sha256}.lock"):
        if not path.exists():
            _fetch(platform, copy.sha256, path)
        made = copies_of(platform).open(path, copy.kind)
    with _lock:
        _open[name] = made
        while len(_open) > KEPT_OPEN:
            _open.popitem(last=False)
    return made


def sweep_folder(platform: Platform, known: set[str], older_than: timedelta) -> int:
    """Remove from this machine's disk what no copy in the store is any more; how many files.
    Processes that have one open read on; none opens it anew."""
    limit = time.time() - older_than.total_seconds()
    swept = 0
    for path in folder_of(platform).iterdir():
        if path.is_file() and path.name[:64] not in known and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            swept += 1
    return swept


def _fetch(platform: Platform, sha256: str, path: Path) -> None:
    digest = hashlib.sha256()
    handle, name = tempfile.mkstemp(prefix="fetching-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in platform.files.open(COPIES + sha256):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256:
            raise FileCorrupt(N_("The stored copy is damaged. Tell the operator."))
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else, in this process or another one on this machine, is at the same copy."""
    until = time.monotonic() + WAIT
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Unavailable(
                        N_("The copy is being made ready. Try again in a minute.")
                    ) from None
                time.sleep(_PAUSE)
        yield
