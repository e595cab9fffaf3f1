"""What held for a session when the database was last asked: good for a moment, for files alone.

A page is decided on what the database says at that moment. The thirty pictures in it follow within
a second, and asking for each of them anew would cost more than fetching them. So what is known of
who asks (placement, room, courses, stops, supervision, the rules in force) is kept for as long as a
transfer that is under way goes on without asking again, ``ASK_AGAIN``; the decision itself is taken
for each request, on its own address and at its own time.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dask_platform.features.broker import deciding, jar
from dask_platform.features.broker.deciding import Desk, Held, held, may_read
from dask_platform.kernel.actor import Actor
from dask_platform.web.platform import Platform

#: More sessions than a process serves in the moment that a pass lives.
MOST: Final = 4096

Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Pass:
    """What holds for who asks. ``until`` on the monotonic clock."""

    held: Held
    until: float
    jars: dict[str, tuple[jar.Crumb, ...]]

    @property
    def actor(self) -> Actor:
        return self.held.actor

    def desk(self, now: datetime) -> Desk:
        """What decides at ``now``."""
        return self.held.desk(now)


class Passes:
    """The passes of one process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kept: dict[Key, Pass] = {}
        self._lock = threading.Lock()

    def of(self, token: str, host: str, address: str | None) -> Pass | None:
        """What holds for ``token`` on ``host``; None where nobody is behind it, or may not read
        sites. Asks the database where the last answer is too old."""
        key = (token, host, address)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept.until:
            return kept
        made = self._read(*key)
        with self._lock:
            if made is None:
                self._kept.pop(key, None)
            else:
                if len(self._kept) >= MOST:
                    now = time.monotonic()
                    self._kept = {k: one for k, one in self._kept.items() if one.until > now}
                self._kept[key] = made
        return made

    def cookie(self, one: Pass, host: str, path: str, now: datetime) -> str | None:
        """The ``Cookie`` header for ``host`` from the holder's own jar."""
        crumbs = one.jars.get(host)
        if crumbs is None:
            with self._platform.database.work(one.actor.person_id) as uow:
                crumbs = one.jars[host] = jar.crumbs(uow, one.actor, host)
        return jar.line(crumbs, path, now)

    def _read(self, token: str, host: str, address: str | None) -> Pass | None:
        until = time.monotonic() + deciding.ASK_AGAIN
        found = held(self._platform, token, host, address, self._platform.clock.now())
        if found is None or not may_read(self._platform, found.actor, address):
            return None
        return Pass(found, until, {host: found.crumbs})
