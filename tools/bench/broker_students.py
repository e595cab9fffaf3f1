"""Two hundred students who browse at once: a page, its pictures, some seconds of reading, the next.

One thread plays them all, over TLS, each on a connection of their own. Beside them some open pages
of sites that hang or drip, and give up after a while, as people do.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tools.bench.broker_load import Address, request

THINKING: Final = (2.0, 6.0)
GIVES_UP: Final = 15.0
PAGE: Final = (
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n"
)
PICTURE: Final = (
    "Sec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n"
)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_PICTURES: Final = re.compile(rb'<img[^>]* src="(/bilde/[^"]+)"')


@dataclass(slots=True)
class Browsed:
    """Seconds of each answer, and how many of each status were no 200."""

    pages: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def centiles(self) -> tuple[float, float, float]:
        """p50, p95 and p99 of the pages, in milliseconds."""
        found = statistics.quantiles(self.pages, n=100)
        return found[49] * 1000, found[94] * 1000, found[98] * 1000


def browse(
    address: Address,
    host: str,
    cookies: list[str],
    seconds: float,
    bad: Iterable[tuple[str, list[str]]] = (),
) -> Browsed:
    """All with a cookie browse for so long. ``bad``: hosts that do not answer, each with the
    cookies of those who try them all the same."""
    return asyncio.run(_all(address, host, cookies, seconds, list(bad)))


async def _all(
    address: Address,
    host: str,
    cookies: list[str],
    seconds: float,
    bad: list[tuple[str, list[str]]],
) -> Browsed:
    browsed = Browsed()
    context = ssl.create_default_context(cafile=address.ca_file)
    ends = time.monotonic() + seconds
    tasks = [
        asyncio.create_task(_student(_Line(address.port, host, context, cookie), ends, browsed, at))
        for at, cookie in enumerate(cookies)
    ]
    tasks += [
        asyncio.create_task(_tries(_Line(address.port, name, context, cookie), ends))
        for name, whose in bad
        for cookie in whose
    ]
    await asyncio.gather(*tasks)
    return browsed


class _Line:
    """A student's connection to one host."""

    def __init__(self, port: int, host: str, context: ssl.SSLContext, cookie: str) -> None:
        self._port, self._host, self._context, self._cookie = port, host, context, cookie
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str, kind: str) -> tuple[int, bytes]:
        """Status and body. Raises ``OSError`` when it breaks off."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._context, server_hostname=self._host
            )
        reader, writer = self._streams
        try:
            writer.write(request(target, self._host, self._cookie, kind))
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            self.close()
            raise
        if b"\r\nConnection: close" in head:
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = _LENGTH.search(head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    if not _CHUNKED.search(head):
        raise OSError(f"an answer without an end: {head!r}")
    whole = b""
    while size := int(await reader.readline(), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return whole


async def _student(line: _Line, ends: float, browsed: Browsed, number: int) -> None:
    dice = random.Random(number)  # noqa: S311 - nothing secret
    # Nobody comes at the same moment as all the others.
    await asyncio.sleep(dice.uniform(0, THINKING[1]))
    while time.monotonic() < ends:
        page = await _timed(line, f"/artikkel/{dice.randrange(200)}", PAGE, browsed, browsed.pages)
        for picture in dict.fromkeys(_PICTURES.findall(page)):
            await _timed(line, picture.decode(), PICTURE, browsed, browsed.pictures)
        await asyncio.sleep(dice.uniform(*THINKING))
    line.close()


async def _timed(
    line: _Line, target: str, kind: str, browsed: Browsed, seconds: list[float]
) -> bytes:
    begun = time.perf_counter()
    try:
        status, body = await line.get(target, kind)
    except (OSError, asyncio.IncompleteReadError) as error:
        line.close()
        browsed.errors[type(error).__name__] += 1
        return b""
    if status != 200:
        # A refusal comes fast: among the others it would make them look better.
        browsed.errors[str(status)] += 1
        return b""
    seconds.append(time.perf_counter() - begun)
    return body


async def _tries(line: _Line, ends: float) -> None:
    """Opens a page that does not come, waits, gives up, and tries again."""
    while (left := ends - time.monotonic()) > 0:
        try:
            await asyncio.wait_for(line.get("/side", PAGE), min(GIVES_UP, left))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            line.close()
        await asyncio.sleep(min(1.0, max(0.0, ends - time.monotonic())))
