"""Unpacking with a limit: a few bytes from outside may not become gigabytes here."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from dask_platform.kernel.errors import UpstreamAnswerRefused, UpstreamTooLarge

CHUNK: Final = 64 * 1024
#: Past the first MiB, a body may not unpack to more than this many times what was sent.
MOST_RATIO: Final = 100
_RATIO_FROM: Final = 1024 * 1024
#: zlib's window for each packing that is taken.
_WINDOWS: Final = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}


class Unpacking(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """Chunks of at most 64 KiB."""
        ...

    def end(self) -> None:
        """All has come. Refused when the packing is not complete."""
        ...


def unpacking(coding: str | None, largest: int) -> Unpacking:
    """For the value of ``Content-Encoding``. More than one, or one that was not asked for, is
    refused: what is packed twice multiplies."""
    name = "identity" if coding is None else coding.lower()
    if name == "identity":
        return Plain(largest)
    if name not in _WINDOWS:
        raise UpstreamAnswerRefused(f"content-encoding {name[:40]!r}")
    return Inflating(_WINDOWS[name], largest)


class Plain:
    def __init__(self, largest: int) -> None:
        self._left = largest

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._left -= len(data)
        if self._left < 0:
            raise UpstreamTooLarge("body over its limit")
        for at in range(0, len(data), CHUNK):
            yield data[at : at + CHUNK]

    def end(self) -> None:
        """Nothing to complete."""


class Inflating:
    """gzip or zlib, one stream with nothing behind it."""

    def __init__(self, window: int, largest: int) -> None:
        self._stream = zlib.decompressobj(window)
        self._largest = largest
        self._came = 0
        self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._came += len(data)
        if self._came > self._largest + CHUNK:
            # Empty blocks without end unpack to nothing.
            raise UpstreamTooLarge("packed body over its limit")
        # What zlib still holds when a chunk is full comes with the next bytes: both packings end in
        # a checksum, which it takes only after the last of the body.
        while data:
            if self._stream.eof:
                raise UpstreamAnswerRefused("bytes behind the packed body")
            try:
                piece = self._stream.decompress(data, CHUNK)
            except zlib.error as problem:
                raise UpstreamAnswerRefused(f"packed body: {problem}") from None
            data = self._stream.unconsumed_tail or self._stream.unused_data
            self._given += len(piece)
            if self._given > self._largest:
                raise UpstreamTooLarge("unpacked body over its limit")
            if self._given > max(_RATIO_FROM, MOST_RATIO * self._came):
                raise UpstreamTooLarge("unpacks to too much")
            if piece:
                yield piece

    def end(self) -> None:
        if not self._stream.eof:
            raise UpstreamAnswerRefused("packed body broken off")
