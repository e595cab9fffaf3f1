"""Connections kept for the next page of the same host.

A handshake costs two round trips and most of the time of a small page, so it is worth keeping. What
a kept connection could bring in is shut out: it is used for its own host only, its address is
judged anew, it is dropped a minute after its name was resolved, and so is one on which the other
side has said anything unasked.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from dask_platform.adapters.upstream.line import Line
from dask_platform.security.addresses import Outside

#: Seconds: since the name was resolved, and since the last use.
OLDEST: Final = 60.0
LONGEST_IDLE: Final = 15.0
MOST_PER_HOST: Final = 8
MOST: Final = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    host: str
    line: Line
    put: float


class Pool:
    """For many threads. ``oldest`` in seconds; 0 keeps nothing."""

    def __init__(self, outside: Outside, *, oldest: float = OLDEST) -> None:
        self._outside = outside
        self._oldest = oldest
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []

    def take(self, host: str) -> Line | None:
        """The connection to ``host`` that was used last, if it is still good."""
        while (kept := self._pop(host)) is not None:
            if self._outside.vetted(kept.line.address) and kept.line.quiet():
                return kept.line
            kept.line.close()
        return None

    def put(self, host: str, line: Line) -> None:
        """Keep ``line``, which carries nothing any more, or close it."""
        kept = _Kept(host, line, time.monotonic())
        with self._lock:
            surplus = self._outlived()
            self._kept.append(kept)
            of_host = [one for one in self._kept if one.host == host]
            for over in (of_host[:-MOST_PER_HOST], self._kept[:-MOST]):
                surplus += over
                self._kept = [one for one in self._kept if one not in over]
        for one in surplus:
            one.line.close()

    def __len__(self) -> int:
        return len(self._kept)

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for one in kept:
            one.line.close()

    def _pop(self, host: str) -> _Kept | None:
        with self._lock:
            surplus = self._outlived()
            found = next((one for one in reversed(self._kept) if one.host == host), None)
            if found is not None:
                self._kept.remove(found)
        for one in surplus:
            one.line.close()
        return found

    def _outlived(self) -> list[_Kept]:
        """Take out, and return, what is too old; the lock is held."""
        now = time.monotonic()
        old = [
            one
            for one in self._kept
            if now - one.line.since >= self._oldest or now - one.put >= LONGEST_IDLE
        ]
        self._kept = [one for one in self._kept if one not in old]
        return old
