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
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from dask_platform.features.broker import deciding, jar
from dask_platform.features.broker.deciding import Desk, desk, who
from dask_platform.kernel.actor import Actor
from dask_platform.web.platform import Platform

#: More sessions than a process serves in the moment that a pass lives.
MOST: Final = 4096

Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Pass:
    """Who asks, and what decides for them. ``until`` on the monotonic clock."""

    actor: Actor
    stood: Desk
    until: float
    jars: dict[str, tuple[jar.Crumb, ...]] = field(default_factory=dict)

    def desk(self, now: datetime) -> Desk:
        """What decides at ``now``."""
        stood = self.stood
        return Desk(stood.engine, stood.rules, replace(stood.asked, at=now))


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
                    self._kept = {k: one for k, one in self._kept.items() if one.until > made.until}
                self._kept[key] = made
        return made

    def cookie(self, held: Pass, host: str, path: str, now: datetime) -> str | None:
        """The ``Cookie`` header for ``host`` from the holder's own jar."""
        crumbs = held.jars.get(host)
        if crumbs is None:
            with self._platform.database.work(held.actor.person_id) as uow:
                crumbs = held.jars[host] = jar.crumbs(uow, held.actor, host)
        return jar.line(crumbs, path, now)

    def _read(self, token: str, host: str, address: str | None) -> Pass | None:
        until = time.monotonic() + deciding.ASK_AGAIN
        with self._platform.database.work() as uow:
            now = self._platform.clock.now()
            actor = who(self._platform, uow, token, host, address, now)
            return None if actor is None else Pass(actor, desk(uow, actor, now), until)
