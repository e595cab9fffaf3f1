"""Fetching through the cache as one or the other student does, from a site in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from dask_platform.adapters.upstream import MemoryUpstream, Page
from dask_platform.features.broker import caching, kept
from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.ports import UpstreamRequest, UpstreamResponse
from tests.features.broker.conftest import SITE, html
from tests.features.whitelists.build import rule
from tests.world import World

URL = f"{SITE}/bok"
OPEN = {"cache-control": "public, max-age=90000", "content-type": "text/html"}
#: Early in a day, an hour and a minute, so that no test meets their end by chance.
EARLY = datetime.now(UTC).replace(hour=0, minute=0, second=1, microsecond=0)


#: The SHA-256 of nothing.
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class SlowUpstream(MemoryUpstream):
    """Waits so many seconds before each head, and before the first byte of each body."""

    head = 0.0
    body = 0.0

    def fetch(
        self, request: UpstreamRequest, *, largest: int, seconds: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Any:  # fmt: skip
        time.sleep(self.head)
        answer = super().fetch(request, largest=largest, seconds=seconds, stopped=stopped)
        answer._chunks = self._late(answer._chunks)
        return answer

    def _late(self, chunks: Any) -> Any:
        time.sleep(self.body)
        yield from chunks


class Way:
    """Fetching as one or the other student does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.platform = world.platform
        self.upstream = SlowUpstream({f"{SITE}/": html(""), URL: Page(b"en bok", headers=OPEN)})
        self.platform.upstream = self.upstream
        self.rule: Rule = rule()
        self.asked = Asked(EARLY, unit="nord", level="high", courses=frozenset({"norsk"}))
        self.stopped: Callable[[], bool] = lambda: False

    def ask(self, who: str = "anna", url: str = URL, **said: Any) -> UpstreamResponse:
        given: dict[str, Any] = {"typed": False, "largest": 1 << 30, "seconds": 30.0}
        given |= {key: said.pop(key) for key in tuple(said) if key in given}
        return caching.fetch(
            self.platform, self.world.id(who), UpstreamRequest(url, **said), self.rule,
            self.asked, stopped=self.stopped, **given,
        )  # fmt: skip

    def get(self, who: str = "anna", url: str = URL, **said: Any) -> bytes:
        """All of it, and whatever is to be kept of it is kept."""
        with self.ask(who, url, **said) as answer:
            body = b"".join(answer.body)
        caching.later.settle()
        return body

    def timed(self, who: str) -> tuple[float, float, dict[str, str], bytes]:
        """Seconds to the head and to the end, the headers, and the body."""
        begun = time.monotonic()
        with self.ask(who) as answer:
            head = time.monotonic() - begun
            body = b"".join(answer.body)
        took = time.monotonic() - begun
        caching.later.settle()
        return head, took, dict(answer.headers), body

    @property
    def fetches(self) -> int:
        return len(self.upstream.requests)

    def rows(self) -> list[dict[str, Any]]:
        with self.world.owner() as uow:
            return [dict(row) for row in uow.execute(text("SELECT * FROM kept_answer")).mappings()]

    def files(self) -> list[str]:
        return [key for key, _at in self.platform.files.keys("answers/")]


@contextmanager
def on_the_way(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """A school in which nobody has fetched anything yet."""
    # What a process knows outlives a test; its next world has the same people.
    monkeypatch.setattr(caching, "own", kept.Own())
    world.clock.move(EARLY - world.clock.now())
    try:
        yield Way(world)
    finally:
        caching.later.settle()
