"""An answer that comes from us and not from a site: kept, or out of a copy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping

from dask_platform.kernel.ports import SelfClosing


class OwnAnswer(SelfClosing):
    """See :class:`dask_platform.kernel.ports.UpstreamResponse`. ``also`` is done on closing."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        chunks: Generator[bytes, None, None],
        set_cookies: tuple[str, ...] = (),
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.set_cookies = set_cookies
        self._chunks = chunks
        self._also = also

    @property
    def body(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._chunks.close()
        self._also()
