"""Cleaned pages, kept in memory for a minute: a class opens the same page together.

A page is the same for two students when its bytes are, and everything that decides about the
addresses in it: the rules, and where and what who asks is, to the minute (hours open and close on
the minute, rules end at midnight). All of that is in the key, so a page that was cleaned for
somebody who may see more is never shown to somebody who may see less.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dask_platform.features.broker.deciding import Desk
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.security.reader import Policy, Rendered

#: What a process keeps, in characters of HTML, and the largest page that is kept at all.
MOST: Final = 16_000_000
LARGEST: Final = 600_000

_Key = tuple[bytes, str | None, str, str, str, Asked, Policy]


class Renderings:
    """For many threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._kept: OrderedDict[_Key, Rendered] = OrderedDict()
        self._size = 0

    def of(
        self, data: bytes, charset: str | None, url: str, host: str, school: str, at: Desk,
        policy: Policy, make: Callable[[], Rendered],
    ) -> Rendered:  # fmt: skip
        """What ``make`` makes of ``data``, from ``url``, or made of the very same before."""
        minute = replace(at.asked, at=at.asked.at.replace(second=0, microsecond=0))
        key = (hashlib.sha256(data).digest(), charset, url, host, school, minute, policy)
        with self._lock:
            if self._engine is not at.engine:
                # New rules: nothing of the old ones is asked for again.
                self._engine = at.engine
                self._kept.clear()
                self._size = 0
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = make()
        if len(made.html) <= LARGEST:
            self._keep(key, made, at.engine)
        return made

    def _keep(self, key: _Key, made: Rendered, engine: Engine) -> None:
        with self._lock:
            if self._engine is not engine or key in self._kept:
                return
            self._kept[key] = made
            self._size += len(made.html)
            while self._size > self._most:
                _old, gone = self._kept.popitem(last=False)
                self._size -= len(gone.html)

    def __len__(self) -> int:
        return len(self._kept)
