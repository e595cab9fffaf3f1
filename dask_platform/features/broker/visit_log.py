"""Lines of the log of visits, written many at a time.

A picture is on its way in a millisecond; a transaction for its line alone would cost as much again.
So the lines of files wait for a tenth of a second and are written together, each in the name of who
it is about. A line is lost only with the process itself. Where the database does not take them,
they wait; and when too many wait, nothing more goes out: what cannot be written down is not shown.
"""

from __future__ import annotations

import atexit
import itertools
import threading
import time
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from dask_platform.db.unit_of_work import Database
from dask_platform.features.broker import visits
from dask_platform.features.broker.visits import Visit
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Unavailable
from dask_platform.kernel.messages import N_

#: Seconds that a line waits for others; and that a request waits for room among them.
WAIT: Final = 0.1
PATIENCE: Final = 5.0
MOST: Final = 2000

log = structlog.get_logger("dask.broker")

Line = tuple[Actor, Visit]


class VisitLog:
    """One for a process. A thread writes while there is something to write, and ends."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: list[Line] = []
        self._more = threading.Condition()
        self._writing = threading.Lock()
        self._busy = False
        atexit.register(self._last)

    def add(self, actor: Actor, visit: Visit) -> None:
        """Have the line written soon."""
        with self._more:
            self._lines.append((actor, visit))
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name="visits", daemon=True).start()

    def room(self) -> None:
        """Raise ``Unavailable`` when so many lines wait that no more may come to be."""
        if len(self._lines) < MOST:
            return
        with self._more:
            if not self._more.wait_for(lambda: len(self._lines) < MOST, PATIENCE):
                raise Unavailable(N_("The log of visits cannot be written. Try again later."))

    def flush(self) -> None:
        """Write what waits, now."""
        with self._writing:
            lines = self._lines[:MOST]
            if not lines:
                return
            try:
                self._write(lines)
            except (IntegrityError, DataError, ProgrammingError):
                # One that can never be written must not hold the others for ever.
                self._one_by_one(lines)
            with self._more:
                del self._lines[: len(lines)]
                self._more.notify_all()

    def _write(self, lines: list[Line]) -> None:
        with self._database.work() as uow:
            for person_id, own in itertools.groupby(sorted(lines, key=_person), key=_person):
                uow.act_as(person_id)
                visits.record_all(uow, own)

    def _one_by_one(self, lines: list[Line]) -> None:
        for one in lines:
            try:
                self._write([one])
            except (IntegrityError, DataError, ProgrammingError) as error:
                log.error("visit_refused", error=type(error).__name__)

    def _run(self) -> None:
        while True:
            time.sleep(WAIT)
            try:
                self.flush()
            except SQLAlchemyError as error:
                log.error("visits_not_written", error=type(error).__name__, lines=len(self._lines))
                time.sleep(1)
            with self._more:
                if not self._lines:
                    self._busy = False
                    return

    def _last(self) -> None:
        try:
            self.flush()
        except SQLAlchemyError as error:
            log.error("visits_lost", error=type(error).__name__, lines=len(self._lines))


def _person(line: Line) -> UUID:
    return line[0].person_id
