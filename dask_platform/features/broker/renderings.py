"""Cleaned pages and style sheets, kept in memory: a class opens the same page together.

A page is the same for two students when its bytes are, and everything that decides about the
addresses in it: the rules, and where and what who asks is, to the minute (hours open and close on
the minute, rules end at midnight). All of that is in the key, so a page that was cleaned for
somebody who may see more is never shown to somebody who may see less.

Cleaning takes long enough to be noticed. So whoever has not had a page or a sheet is given it as
late as if it had been cleaned for them: keeping it spares the processor, and tells nobody that
another was there.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from dask_platform.features.broker.deciding import Desk
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.security.reader import Kind, Place, Policy, Rendered

#: What a process keeps, in characters of HTML, and the largest page that is kept at all.
MOST: Final = 16_000_000
LARGEST: Final = 600_000
#: Seconds that one waits for another's cleaning before doing it oneself.
LONGEST_WAIT: Final = 5.0

T = TypeVar("T")
_Key = tuple[bytes, str | None, str, str, str, Asked, Policy]


@dataclass(slots=True)
class _Kept(Generic[T]):
    """``made``, which took ``seconds``, and who has had it already."""

    made: T
    seconds: float
    had: set[UUID]

    def hand_to(self, who: UUID, begun: float) -> T:
        """``made``, to somebody who began to ask at ``begun`` on the monotonic clock."""
        if who not in self.had:
            time.sleep(max(0.0, begun + self.seconds - time.monotonic()))
            self.had.add(who)
        return self.made


class Renderings:
    """For many threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._kept: OrderedDict[_Key, _Kept[Rendered]] = OrderedDict()
        self._making: dict[_Key, threading.Event] = {}
        self._size = 0

    def of(
        self, data: bytes, charset: str | None, url: str, host: str, school: str, at: Desk,
        policy: Policy, who: UUID, make: Callable[[], Rendered],
    ) -> Rendered:  # fmt: skip
        """What ``make`` makes of ``data``, from ``url``, or made of the very same before. To
        ``who`` both take as long, but for what they have had themselves."""
        begun = time.monotonic()
        minute = replace(at.asked, at=at.asked.at.replace(second=0, microsecond=0))
        key = (hashlib.sha256(data).digest(), charset, url, host, school, minute, policy)
        found, making = self._look(key, at.engine)
        if found is None and making is not None:
            # Somebody is at it. A class that opens a page together has it cleaned once, and for no
            # longer than one cleaning takes.
            making.wait(LONGEST_WAIT)
            found, making = self._look(key, at.engine)
        if found is not None:
            return found.hand_to(who, begun)
        if making is None:
            making = threading.Event()
            self._making[key] = making
        try:
            began = time.monotonic()
            made = make()
            if len(made.html) <= LARGEST:
                self._keep(key, _Kept(made, time.monotonic() - began, {who}), at.engine)
        finally:
            self._making.pop(key, None)
            making.set()
        return made

    def _look(
        self, key: _Key, engine: Engine
    ) -> tuple[_Kept[Rendered] | None, threading.Event | None]:
        """What is kept, and the end of the cleaning that is under way."""
        with self._lock:
            if self._engine is not engine:
                # New rules: nothing of the old ones is asked for again.
                self._engine = engine
                self._kept.clear()
                self._size = 0
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found, self._making.get(key)

    def _keep(self, key: _Key, made: _Kept[Rendered], engine: Engine) -> None:
        with self._lock:
            if self._engine is not engine:
                return
            if (other := self._kept.get(key)) is not None:
                other.had |= made.had
                return
            self._kept[key] = made
            self._size += len(made.made.html)
            while self._size > self._most:
                _old, gone = self._kept.popitem(last=False)
                self._size -= len(gone.made.html)

    def __len__(self) -> int:
        return len(self._kept)


_SheetKey = tuple[bytes, str, str, Asked]
#: For a question in which the hour does not count.
_NO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)
#: A sheet, and what was answered about each address in it.
_Sheet = tuple[str, dict[tuple[str, Kind], str | None]]


class Sheets:
    """Style sheets as they were made, the ``most`` that were used last. For many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[_SheetKey, _Kept[_Sheet]] = OrderedDict()

    def of(
        self, data: bytes, url: str, host: str, at: Desk, place: Place, who: UUID,
        make: Callable[[Place], str],
    ) -> str:  # fmt: skip
        """What ``make`` makes of ``data``, asking where each address lies; or made before of the
        same bytes with the same answers. A sheet made for somebody who may see more is not shown to
        somebody who may see less. How long it takes is as with ``Renderings.of``."""
        begun = time.monotonic()
        key = (hashlib.sha256(data).digest(), url, host, replace(at.asked, at=_NO_TIME))
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        if found is not None:
            answered = found.made[1]
            if all(place(other, kind) == was for (other, kind), was in answered.items()):
                return found.hand_to(who, begun)[0]
        asked: dict[tuple[str, Kind], str | None] = {}

        def noted(other: str, kind: Kind) -> str | None:
            asked[other, kind] = place(other, kind)
            return asked[other, kind]

        made = make(noted)
        with self._lock:
            self._kept[key] = _Kept((made, asked), time.monotonic() - begun, {who})
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made
