"""An answer while it is being read."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Final

from dask_platform.adapters.upstream.line import Line, Watch
from dask_platform.adapters.upstream.packing import unpacking
from dask_platform.adapters.upstream.request import ETAG
from dask_platform.adapters.upstream.wire import (
    Head,
    LengthBody,
    UntilClosedBody,
    content_length,
    framed,
)
from dask_platform.kernel.errors import UpstreamAnswerRefused, UpstreamTooLarge
from dask_platform.kernel.ports import UPSTREAM_HEADERS, SelfClosing, UpstreamRequest

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(?:(\d{1,15})|\*)")


class HttpsAnswer(SelfClosing):
    """See :class:`dask_platform.kernel.ports.UpstreamResponse`.

    ``begun`` are bytes that came behind the head. ``keep`` is called once, with the connection free
    for another request, when the answer has been read to its end and left nothing over; in every
    other end the connection is closed.
    """

    def __init__(
        self,
        line: Line,
        head: Head,
        begun: bytes,
        *,
        request: UpstreamRequest,
        largest: int,
        watch: Watch,
        idle: float,
        keep: Callable[[], None],
    ) -> None:
        self._line: Line | None = line
        self._head = head
        self._watch = watch
        self._idle = idle
        self._keep = keep
        self._frame = framed(head, request.method)
        without = request.method == "HEAD" or head.status in (204, 304)
        coding = None if without else head.one("content-encoding")
        self._packing = unpacking(coding, largest)
        length = content_length(head)
        _check_range(head, request, length)
        if not without and length is not None and length > largest:
            raise UpstreamTooLarge("its length is over its limit")
        self._headers = _passing(head)
        self._set_cookies = head.all("set-cookie")
        self._body = self._chunks(begun)
        if isinstance(self._frame, LengthBody) and self._frame.done:
            # Nothing to read: the connection is free at once.
            self._packing = unpacking(None, 0)
            self._frame.feed(begun)
            self._finish()

    @property
    def status(self) -> int:
        return self._head.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def set_cookies(self) -> tuple[str, ...]:
        return self._set_cookies

    @property
    def body(self) -> Iterator[bytes]:
        return self._body

    def close(self) -> None:
        self._body.close()
        self._drop()

    def _chunks(self, data: bytes) -> Generator[bytes, None, None]:
        try:
            while self._line is not None:
                for chunk in self._packing.feed(self._frame.feed(data)):
                    self._watch.check()
                    yield chunk
                if self._frame.done:
                    self._finish()
                    return
                self._watch.check()
                until = time.monotonic() + self._idle
                data = self._line.receive(self._watch, until, "sending the body")
                if not data:
                    self._frame.end()
        finally:
            self._drop()

    def _finish(self) -> None:
        """The whole body is there. Bytes behind it are somebody's second answer."""
        if self._frame.extra:
            raise UpstreamAnswerRefused("bytes behind the answer")
        self._packing.end()
        if self._head.keeps_open() and not isinstance(self._frame, UntilClosedBody):
            self._line = None
            self._keep()
        self._drop()

    def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


def _passing(head: Head) -> dict[str, str]:
    """The headers that pass. A length that is not that of the body does not, nor an ``ETag`` that
    could not be sent back as it is."""
    names = set(UPSTREAM_HEADERS)
    if _is_packed(head) or head.status in (204, 304):
        names.discard("content-length")
    if not ETAG.fullmatch(head.one("etag") or ""):
        names.discard("etag")
    return {name: value for name in sorted(names) if (value := head.one(name)) is not None}


def _is_packed(head: Head) -> bool:
    return (head.one("content-encoding") or "identity").lower() != "identity"


def _check_range(head: Head, request: UpstreamRequest, length: int | None) -> None:
    """A part is taken only if it is the one that was asked for, in one piece."""
    if head.status != 206:
        return
    found = _CONTENT_RANGE.fullmatch(head.one("content-range") or "")
    if request.span is None or found is None:
        raise UpstreamAnswerRefused("a part that was not asked for")
    first, last = int(found[1]), int(found[2])
    asked_first, asked_last = request.span
    beyond = asked_last is not None and last > asked_last
    total = int(found[3]) if found[3] else None
    if first != asked_first or last < first or beyond or (total is not None and last >= total):
        raise UpstreamAnswerRefused(f"another part: {found[0]}")
    if length is not None and length != last - first + 1:
        raise UpstreamAnswerRefused("content-length and content-range disagree")
    if _is_packed(head):
        raise UpstreamAnswerRefused("a part of something packed")
