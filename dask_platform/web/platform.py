"""The parts a running platform consists of, chosen by ``entry`` and handed to the pages."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text

from dask_platform.db.unit_of_work import Database
from dask_platform.kernel.ports import Clock, Copies, Directory, FileStore, Scanner, Upstream
from dask_platform.kernel.settings import Settings
from dask_platform.security.addresses import RoomMap

ROOMS = text(
    "SELECT n.room_id, r.unit_id, n.network::text"
    " FROM room_network n JOIN room r ON r.id = n.room_id"
)
ROOMS_FRESH_FOR = timedelta(seconds=30)


class Rooms:
    """The room map, read again when it is older than half a minute.

    One thread reads while the others go on with the map they have; where the database does not
    answer, the old map stays in force.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._map = RoomMap()
        self._read_at: datetime | None = None

    def current(self) -> RoomMap:
        now = self._clock.now()
        if self._read_at is None:
            with self._lock:
                if self._read_at is None:
                    self._read(now)
        elif now - self._read_at > ROOMS_FRESH_FOR and self._lock.acquire(blocking=False):
            try:
                self._read(now)
            finally:
                self._lock.release()
        return self._map

    def forget(self) -> None:
        """Read again at the next request: called after a change in this process."""
        self._read_at = None

    def _read(self, now: datetime) -> None:
        with self._database.work() as uow:
            self._map = RoomMap((row[0], row[1], row[2]) for row in uow.execute(ROOMS))
        self._read_at = now


@dataclass(slots=True)
class Platform:
    settings: Settings
    database: Database
    clock: Clock
    files: FileStore
    scanner: Scanner
    directory: Directory | None = None
    upstream: Upstream | None = None
    copies: Copies | None = None
    rooms: Rooms = field(init=False)

    def __post_init__(self) -> None:
        self.rooms = Rooms(self.database, self.clock)
