"""How much one student may ask of sites, and how much of us one site may hold.

Three things are counted, in this process alone: the requests of a person that are under way, how
fast they come (a bucket that fills evenly), and the threads that one host holds. The first two keep
one student from being a flood, and from telling something by the rhythm of requests any faster than
that. The third keeps one host that hangs from taking every thread of the process; a host that
answers may serve a whole class at once.

Each process allows its share of the rate, so that all of them together allow the whole. Free text
has a lower limit, which holds over all processes because it is counted in the log itself: see
``visits.texts_since``.

Nothing here sleeps or looks at a clock but ``admit``; times are seconds on one monotonic clock.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from dask_platform.kernel.settings import Settings

#: A picture waits this long for its turn, in seconds, and so many of one person wait at a time.
PATIENCE: Final = 2.0
MOST_WAITING: Final = 3
#: What one browser asks for at once.
ONE_BROWSER: Final = 6
#: From when on, in seconds, a host that has not answered counts as one that hangs.
SLOW: Final = 3.0
#: Buckets that are kept before those of people who have gone are thrown away.
MOST_BUCKETS: Final = 5_000
_STEP: Final = 0.05


class Refused(Exception):
    """Too much. ``reason``: ``rate`` (too fast, or too many at once), ``texts`` (free text too
    often) or ``busy`` (the host holds its threads). ``after``: seconds until it may go better;
    ``turns``: whether others who are served now make room, so that a turn is worth waiting for."""

    def __init__(self, reason: str, after: float, *, turns: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.turns = turns

    @property
    def seconds(self) -> int:
        """For ``Retry-After``: whole seconds, at least one."""
        return max(1, math.ceil(self.after))


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is allowed in one process. ``burst`` requests at once and ``per_second`` after them,
    ``at_once`` under way, ``texts`` with free text a minute. ``per_host`` threads may wait for a
    host that does not answer, and ``host_most`` serve one in all."""

    at_once: int
    burst: float
    per_second: float
    texts: float
    per_host: int
    host_most: int

    @classmethod
    def of(cls, settings: Settings) -> Allowance:
        """The share of one of the installation's processes, never less than one page needs."""
        return cls(
            at_once=settings.site_requests_at_once,
            burst=max(settings.site_requests_burst / settings.workers, 10),
            per_second=max(settings.site_requests_per_second / settings.workers, 1),
            texts=settings.site_texts_per_minute,
            per_host=settings.site_threads_per_host,
            host_most=max(settings.threads * 3 // 4, min(settings.threads, ONE_BROWSER)),
        )


@dataclass(slots=True)
class Bucket:
    """Fills by ``per_second`` up to ``size``; each request takes one out."""

    size: float
    per_second: float
    level: float
    at: float

    @classmethod
    def full(cls, size: float, per_second: float, now: float) -> Bucket:
        return cls(size, per_second, size, now)

    def wait(self, now: float) -> float:
        """Seconds until one can be taken; 0 where one can. A clock that goes back fills nothing."""
        if now > self.at:
            self.level = min(self.size, self.level + (now - self.at) * self.per_second)
            self.at = now
        return 0.0 if self.level >= 1 else (1 - self.level) / self.per_second

    def take(self) -> None:
        """Take one; ``wait`` has said that one is there."""
        self.level -= 1


class Lease:
    """A request under way since ``begun``. ``answers`` once the host sends a file; ``close`` when
    its last byte has been sent on; again does no harm."""

    def __init__(self, begun: float, ended: Callable[[Lease], None]) -> None:
        self._begun = begun
        self._answered = False
        self._ended: Callable[[Lease], None] | None = ended

    def answers(self) -> None:
        self._answered = True

    def hangs(self, now: float) -> bool:
        """Whether the host has let it wait for long."""
        return not self._answered and now - self._begun >= SLOW

    def close(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)


@dataclass(slots=True)
class _Person:
    requests: Bucket
    texts: Bucket
    under_way: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Limits:
    """One for a process, for many threads."""

    allowance: Allowance
    _people: dict[UUID, _Person] = field(default_factory=dict)
    _hosts: dict[str, set[Lease]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, person_id: UUID, host: str, now: float, *, typed: bool = False) -> Lease:
        """Let a request to ``host`` begin, or raise ``Refused`` and count nothing."""
        with self._lock:
            person = self._person(person_id, now)
            self._judge(person, host, now, typed)
            person.requests.take()
            if typed:
                person.texts.take()
            person.under_way += 1
            lease = Lease(now, lambda one: self._leave(person, host, one))
            self._hosts.setdefault(host, set()).add(lease)
        return lease

    def admit(
        self,
        person_id: UUID,
        host: str,
        *,
        typed: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Lease:
        """``enter``, after waiting a little for a turn where that helps.

        A page of forty pictures asks for them all, and none would be there afterwards if those too
        many were refused at once. Few may wait, for each waits in a thread; and nobody waits for a
        host that hangs, or it would take the threads after all.
        """
        until = clock() + PATIENCE
        waits = False
        try:
            while True:
                now = clock()
                try:
                    return self.enter(person_id, host, now, typed=typed)
                except Refused as refused:
                    if not refused.turns or now + refused.after > until:
                        raise
                    if not waits and not self._queue(person_id, now):
                        raise
                    waits = True
                    sleep(max(_STEP, refused.after))
        finally:
            if waits:
                with self._lock:
                    self._people[person_id].waiting -= 1

    def under_way(self) -> int:
        """How many requests are under way in this process."""
        with self._lock:
            return sum(len(one) for one in self._hosts.values())

    def _judge(self, person: _Person, host: str, now: float, typed: bool) -> None:
        allowed = self.allowance
        held = self._hosts.get(host, set())
        if sum(one.hangs(now) for one in held) >= allowed.per_host:
            raise Refused("busy", 5)
        if len(held) >= allowed.host_most:
            raise Refused("busy", _STEP, turns=not any(one.hangs(now) for one in held))
        if typed and (wait := person.texts.wait(now)):
            raise Refused("texts", wait)
        if person.under_way >= allowed.at_once:
            raise Refused("rate", _STEP, turns=True)
        if wait := person.requests.wait(now):
            raise Refused("rate", wait, turns=True)

    def _queue(self, person_id: UUID, now: float) -> bool:
        with self._lock:
            person = self._person(person_id, now)
            if person.waiting >= MOST_WAITING:
                return False
            person.waiting += 1
            return True

    def _leave(self, person: _Person, host: str, lease: Lease) -> None:
        with self._lock:
            person.under_way -= 1
            self._hosts[host].discard(lease)
            if not self._hosts[host]:
                del self._hosts[host]

    def _person(self, person_id: UUID, now: float) -> _Person:
        found = self._people.get(person_id)
        if found is None:
            if len(self._people) >= MOST_BUCKETS:
                self._forget(now)
            allowed = self.allowance
            found = self._people[person_id] = _Person(
                Bucket.full(allowed.burst, allowed.per_second, now),
                Bucket.full(allowed.texts, allowed.texts / 60, now),
            )
        return found

    def _forget(self, now: float) -> None:
        """Of people with nothing under way and full buckets there is nothing to know."""
        for person_id, person in list(self._people.items()):
            for bucket in (person.requests, person.texts):
                bucket.wait(now)
            idle = not person.under_way and not person.waiting
            if idle and all(one.level >= one.size for one in (person.requests, person.texts)):
                del self._people[person_id]
