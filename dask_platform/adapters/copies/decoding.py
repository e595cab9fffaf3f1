"""The body of a captured answer as the browser would have had it: without chunks and packing."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any, Final

from dask_platform.adapters.copies.common import CHUNK
from dask_platform.adapters.upstream.packing import unpacking
from dask_platform.kernel.errors import CopyBroken, UpstreamError
from dask_platform.kernel.messages import N_

#: The packings that can be undone.
KNOWN: Final = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
UNREADABLE: Final = N_("A file in the copy cannot be unpacked.")


def decoded(stream: Any, *, chunked: bool, packing: str, most: int) -> Generator[bytes, None, None]:
    """The bytes of ``stream`` in chunks of at most 64 KiB, in constant memory.

    ``stream`` has ``read(size)`` and ``readline(size)``. Writers of WARC files often unpack chunks
    and leave the header that speaks of them: what does not begin as a chunk is taken as it is.
    Raises ``CopyBroken`` past ``most`` bytes, and for what cannot be unpacked.
    """
    unpack = unpacking(packing if packing not in ("", "identity") else None, most)
    try:
        for piece in _chunks(stream) if chunked else _plain(stream):
            yield from unpack.feed(piece)
        unpack.end()
    except UpstreamError:
        raise CopyBroken(UNREADABLE) from None


def _plain(stream: Any) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece


def _chunks(stream: Any) -> Iterator[bytes]:
    line = stream.readline(CHUNK)
    if not _SIZE.fullmatch(line):
        if line:
            yield line
        yield from _plain(stream)
        return
    while found := _SIZE.fullmatch(line):
        left = int(found[1], 16)
        if left == 0:
            return
        while left:
            piece = stream.read(min(left, CHUNK))
            if not piece:
                raise CopyBroken(UNREADABLE)
            left -= len(piece)
            yield piece
        stream.readline(CHUNK)
        line = stream.readline(CHUNK)
    raise CopyBroken(UNREADABLE)
