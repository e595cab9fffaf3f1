"""Which server is asked, in what order, and when a dead one is tried again.

ldap3 has a ``ServerPool`` for this, and it is not used. With ``active=True`` it tries for ever when
no server answers, so a log-in hangs; with ``exhaust=True`` a server that failed once is gone until
the process restarts; and it keeps its state in each connection, so every log-in would run into the
dead server anew. Here a failed server is only moved to the back of the queue for a while, every
attempt goes through each server at most once, and the memory is shared by all threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


class Servers:
    """The servers in order of preference. Thread-safe; ``retry_after`` is in seconds."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        retry_after: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls = tuple(urls)
        self._retry_after = retry_after
        self._monotonic = monotonic
        self._failed_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def order(self) -> list[str]:
        """Every server once: those thought well in order of preference, then the failed ones.

        Among the failed, the one that failed longest ago comes first. When its time is up, a server
        returns to its own place and so is tried by the next log-in.
        """
        with self._lock:
            now = self._monotonic()
            resting = {
                url: at for url, at in self._failed_at.items() if now - at < self._retry_after
            }
        well = [url for url in self._urls if url not in resting]
        return well + sorted(resting, key=lambda url: resting[url])

    def failed(self, url: str) -> bool:
        """Note that ``url`` did not serve. True when it was thought well before this."""
        with self._lock:
            known = url in self._failed_at
            self._failed_at[url] = self._monotonic()
            return not known

    def answered(self, url: str) -> bool:
        """Note that ``url`` served. True when it was thought dead before this."""
        with self._lock:
            return self._failed_at.pop(url, None) is not None
