"""An honest fake: pages in memory, under the same rules for what may be asked and what passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field

from dask_platform.adapters.upstream.packing import CHUNK
from dask_platform.adapters.upstream.request import Voice, outgoing
from dask_platform.kernel.errors import (
    UpstreamError,
    UpstreamNameUnknown,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from dask_platform.kernel.ports import UPSTREAM_HEADERS, SelfClosing, UpstreamRequest

_VOICE = Voice("fake")


@dataclass(frozen=True, slots=True)
class Page:
    """What a site has at an address. ``headers`` by lower-case name; length and range are made from
    ``body``. ``breaks`` is raised behind the last byte, as a connection that breaks off does."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    set_cookies: tuple[str, ...] = ()
    breaks: UpstreamError | None = None


class MemoryUpstream:
    """See :class:`dask_platform.kernel.ports.Upstream`.

    ``pages`` by url; a host with no page at all is unknown, and what a known host does not have is
    a 404. ``ill`` are hosts that fail, each with its error. ``requests`` is all that was asked of a
    host that answers, in order.
    """

    def __init__(self, pages: Mapping[str, Page] | None = None) -> None:
        self.pages = dict(pages or {})
        self.ill: dict[str, UpstreamError] = {}
        self.requests: list[UpstreamRequest] = []

    def fetch(
        self,
        request: UpstreamRequest,
        *,
        largest: int,
        seconds: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> MemoryAnswer:
        host = outgoing(request, _VOICE).host
        ends = time.monotonic() + seconds

        def check() -> None:
            if stopped():
                raise UpstreamStopped("stopped by the caller")
            if time.monotonic() >= ends:
                raise UpstreamTimeout("over the time for all of it")

        check()
        if host in self.ill:
            raise self.ill[host]
        if not any(url.startswith(f"https://{host}/") for url in self.pages):
            raise UpstreamNameUnknown(f"{host}: no address")
        self.requests.append(request)
        page = self.pages.get(request.url, Page(b"not found", 404))
        return _answer(page, request, largest, check)

    def close(self) -> None:
        """Nothing is kept open here."""


def _answer(
    page: Page, request: UpstreamRequest, largest: int, check: Callable[[], None]
) -> MemoryAnswer:
    status, body = page.status, page.body
    headers = {name: value for name, value in page.headers.items() if name in UPSTREAM_HEADERS}
    if request.etag is not None and request.etag == headers.get("etag") and status == 200:
        return MemoryAnswer(304, headers, page.set_cookies, _chunks(b"", check, None))
    if request.span is not None and status == 200:
        first, last = request.span
        last = len(body) - 1 if last is None else min(last, len(body) - 1)
        if first > last:
            headers["content-range"] = f"bytes */{len(body)}"
            status, body = 416, b""
        else:
            headers["content-range"] = f"bytes {first}-{last}/{len(body)}"
            status, body = 206, body[first : last + 1]
    if status == 204:
        return MemoryAnswer(204, headers, page.set_cookies, _chunks(b"", check, None))
    headers["content-length"] = str(len(body))
    if request.method == "HEAD":
        return MemoryAnswer(status, headers, page.set_cookies, _chunks(b"", check, None))
    if len(body) > largest:
        raise UpstreamTooLarge("its length is over its limit")
    chunks = _chunks(body, check, page.breaks)
    return MemoryAnswer(status, headers, page.set_cookies, chunks)


def _chunks(
    body: bytes, check: Callable[[], None], breaks: UpstreamError | None
) -> Generator[bytes, None, None]:
    for at in range(0, len(body), CHUNK):
        check()
        yield body[at : at + CHUNK]
    if breaks is not None:
        raise breaks


class MemoryAnswer(SelfClosing):
    """See :class:`dask_platform.kernel.ports.UpstreamResponse`."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        set_cookies: tuple[str, ...],
        chunks: Generator[bytes, None, None],
    ) -> None:
        self.status = status
        self.headers = headers
        self.set_cookies = set_cookies
        self._chunks = chunks
        self.closed = False

    @property
    def body(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed = True
        self._chunks.close()
