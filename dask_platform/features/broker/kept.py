"""What is kept of sites' answers: rows in the database, bytes in the store.

Bytes go to the store first, under a key of their own, then the row; whoever reads goes by the row.
So an answer is there whole or not at all, and a reader of an older one is not disturbed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import BinaryIO, Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select, text

from dask_platform.features.broker.models import KeptAnswer
from dask_platform.kernel.ids import new_id
from dask_platform.web.platform import Platform

FOLDER: Final = "answers/"
#: The longest ``ETag`` that is kept and asked with.
LONGEST_ETAG: Final = 1000
#: A file is written before its row: so long it may be without one.
ORPHAN_AGE: Final = timedelta(hours=1)
# Asked for each file of a page: who asks and what, in one round trip.
_FIND: Final = text(
    "WITH me AS MATERIALIZED (SELECT set_config('dask.actor', :person, true))"
    " SELECT row_to_json(k) FROM me, LATERAL"
    " dask_kept_answer(CASE WHEN me.set_config IS NOT NULL THEN CAST(:key AS bytea) END) k"
)
_KEEP: Final = text(
    "SELECT dask_keep_answer(:key, :file, CAST(:headers AS jsonb), :size, :sha256, :etag, :now,"
    " :until, :head_ms, :took_ms, :most)"
)
_FRESHEN: Final = text(
    "SELECT dask_freshen_answer(:key, :file, CAST(:headers AS jsonb), :now, :until)"
)
_DROP: Final = text("SELECT dask_drop_answer(:key, :file)")

log = structlog.get_logger("dask.kept")


@dataclass(frozen=True, slots=True)
class Found:
    """A kept answer. The site took ``head_seconds`` to begin it and ``took_seconds`` in all."""

    file_key: str
    headers: Mapping[str, str]
    size: int
    sha256: str
    etag: str | None
    fresh_until: datetime
    head_seconds: float
    took_seconds: float


@dataclass(frozen=True, slots=True)
class Came:
    """An answer that has come whole. ``until`` as ``freshness`` says it, ``at`` when it was asked
    for."""

    headers: Mapping[str, str]
    at: datetime
    until: datetime
    head_seconds: float
    took_seconds: float


def find(platform: Platform, person: UUID, key: bytes) -> Found | None:
    """What is kept, for ``person`` to be answered with."""
    row = platform.database.ask(_FIND, {"key": key, "person": str(person)})
    if row is None:
        return None
    return Found(
        row["file_key"], row["headers"], row["size"], row["sha256"], row["etag"],
        datetime.fromisoformat(row["fresh_until"]), row["head_ms"] / 1000, row["took_ms"] / 1000,
    )  # fmt: skip


def keep(
    platform: Platform, person: UUID, key: bytes, came: Came, body: BinaryIO, before: Found | None
) -> Found | None:
    """Keep ``body``, which stands anywhere and is read from its start. None where there is no more
    room. The same bytes as ``before`` are not written again."""
    sha256, size = _measured(body)
    etag = came.headers.get("etag")
    found = Found(
        f"{FOLDER}{new_id().hex}", came.headers, size, sha256,
        etag if etag and len(etag) <= LONGEST_ETAG else None, came.until,
        came.head_seconds, came.took_seconds,
    )  # fmt: skip
    if before is not None and (before.sha256, before.size, before.etag) == (sha256, size, etag):
        freshen(platform, person, key, before.file_key, came)
        return replace(found, file_key=before.file_key)
    platform.files.put(found.file_key, body, size=size, sha256=sha256)
    values = {
        "key": key,
        "file": found.file_key,
        "headers": json.dumps(dict(found.headers)),
        "size": size,
        "sha256": sha256,
        "etag": found.etag,
        "now": came.at,
        "until": found.fresh_until,
        "head_ms": int(found.head_seconds * 1000),
        "took_ms": int(found.took_seconds * 1000),
        "most": platform.settings.site_answers_bytes,
    }
    with platform.database.work(person) as uow:
        kept = uow.scalar(_KEEP, values)
    if not kept:
        platform.files.delete(found.file_key)
    return found if kept else None


def _measured(body: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    body.seek(0)
    while chunk := body.read(1024 * 1024):
        digest.update(chunk)
        size += len(chunk)
    body.seek(0)
    return digest.hexdigest(), size


def freshen(platform: Platform, person: UUID, key: bytes, file_key: str, came: Came) -> None:
    """The site has confirmed what is kept."""
    values = {"key": key, "file": file_key, "headers": json.dumps(dict(came.headers))}
    with platform.database.work(person) as uow:
        uow.execute(_FRESHEN, {**values, "now": came.at, "until": came.until})


def drop(platform: Platform, person: UUID, key: bytes, file_key: str) -> None:
    """The site does not allow any more that it is kept. Its bytes go with the next sweep."""
    with platform.database.work(person) as uow:
        uow.execute(_DROP, {"key": key, "file": file_key})


def sweep(platform: Platform) -> int:
    """Remove what is too old or too much, and bytes that no row names; how many files. Run as the
    worker. A tenth of the room is made free, so that there is room until the next sweep."""
    now, settings = platform.clock.now(), platform.settings
    written = dict(platform.files.keys(FOLDER))
    newest_first = select(
        KeptAnswer.key,
        func.sum(KeptAnswer.size)
        .over(order_by=(KeptAnswer.stored_at.desc(), KeptAnswer.key))
        .label("together"),
    ).subquery()
    too_much = select(newest_first.c.key).where(
        newest_first.c.together > settings.site_answers_bytes * 9 // 10
    )
    too_old = KeptAnswer.stored_at < now - timedelta(days=settings.site_answers_days)
    with platform.database.work() as uow:
        uow.execute(delete(KeptAnswer).where(too_old | KeptAnswer.key.in_(too_much)))
        named = set(uow.scalars(select(KeptAnswer.file_key)))
    orphans = [key for key, at in written.items() if key not in named and at < now - ORPHAN_AGE]
    for key in orphans:
        platform.files.delete(key)
    return len(orphans)


class Own:
    """What each person knows already of what is kept, in this process: whoever has fetched an
    answer to its end may have it at once when they come again, and what was not kept a moment ago
    need not be looked for. All of it is by person: nobody is served faster for what another did.
    Forgotten with the process, and never written down."""

    MOST: Final = 20_000
    NOTHING_FOR: Final = timedelta(minutes=1)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[UUID, bytes], tuple[datetime, Found | None]] = OrderedDict()

    def fetched(self, person: UUID, key: bytes, found: Found) -> None:
        """The person has had all of it."""
        self._add((person, key), found.fresh_until, found)

    def nothing(self, person: UUID, key: bytes, now: datetime) -> None:
        """The person has seen that the site does not let it be kept."""
        self._add((person, key), now + self.NOTHING_FOR, None)

    def forget(self, person: UUID, key: bytes) -> None:
        with self._lock:
            self._known.pop((person, key), None)

    def known(self, person: UUID, key: bytes, now: datetime) -> tuple[bool, Found | None]:
        """Whether the person knows, and what."""
        with self._lock:
            until, found = self._known.get((person, key), (now, None))
        return now < until, found

    def _add(self, place: tuple[UUID, bytes], until: datetime, found: Found | None) -> None:
        with self._lock:
            self._known[place] = (until, found)
            self._known.move_to_end(place)
            if len(self._known) > self.MOST:
                self._known.popitem(last=False)


class Later:
    """Writing what came, behind the student's back: how long that takes would tell that it was
    written. One thread, and few waiting; more than that is not kept."""

    MOST: Final = 32

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: set[Future[None]] = set()

    def do(self, work: Callable[[], None], instead: Callable[[], None] = lambda: None) -> None:
        """Do ``work`` some time, or ``instead`` at once where too much waits already."""
        with self._lock:
            full = len(self._waiting) >= self.MOST
            if not full:
                # Made when first needed: a thread does not survive the fork of a worker.
                self._thread = self._thread or ThreadPoolExecutor(1, "kept")
                future = self._thread.submit(self._try, work)
                self._waiting.add(future)
        if full:
            instead()
        else:
            future.add_done_callback(self._done)

    def settle(self) -> None:
        """Wait until everything that waits now is done."""
        with self._lock:
            waiting = list(self._waiting)
        for one in waiting:
            one.result()

    def _done(self, future: Future[None]) -> None:
        with self._lock:
            self._waiting.discard(future)

    @staticmethod
    def _try(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            # Nobody waits for it, and nothing is lost: the site is asked again.
            log.warning("not_kept", error=type(error).__name__)
