"""The load on the broker and on what stands beside it, as light as can be: all run on the same two
processors.

``hammer`` keeps a number of connections busy from one thread; ``one_by_one`` and ``drain`` measure
a single one, also over TLS. Of an answer only the status and where it ends are read.
"""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
PATIENCE: Final = 30.0


class LoadError(Exception):
    """An answer was not what it should be: the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect. ``ca_file``: over TLS, as ``name``."""

    port: int
    name: str = "localhost"
    ca_file: str | None = None

    def connect(self) -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ca_file is None:
            return raw
        context = ssl.create_default_context(cafile=self.ca_file)
        return context.wrap_socket(raw, server_hostname=self.name)


@dataclass(slots=True)
class Result:
    """Seconds of each answer that counted, and for how long it was counted."""

    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.lasted

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def request(target: str, host: str, cookie: str = "", more: str = "") -> bytes:
    """A GET as a browser sends it, for a picture where ``more`` says so."""
    line = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{line}{more}\r\n".encode()


class _Line:
    """A connection, and the answer that it waits for."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.socket = address.connect()
        self.socket.setblocking(False)
        self.begun = 0.0
        self._got = bytearray()
        self._need: int | None = None
        self._chunked = False

    def ask(self, data: bytes) -> None:
        self._got.clear()
        self._need, self._chunked = None, False
        self.begun = time.perf_counter()
        self.socket.sendall(data)

    def read(self) -> bool:
        """Whether the answer is whole. Raises ``LoadError`` for any but a 200."""
        try:
            more = self.socket.recv(1 << 20)
        except BlockingIOError:
            return False
        self._got += more
        if self._need is None and not self._chunked:
            end = self._got.find(b"\r\n\r\n")
            if end >= 0:
                self._head(bytes(self._got[:end]), end + 4)
        if self._need is not None and len(self._got) >= self._need:
            return True
        if self._chunked and self._got.endswith(b"0\r\n\r\n"):
            return True
        if not more:
            raise LoadError(f"the connection broke off: {bytes(self._got[:200])!r}")
        return False

    def closes(self) -> bool:
        return _CLOSE.search(self._got, 0, 4000) is not None

    def close(self) -> None:
        self.socket.close()

    def again(self) -> None:
        self.close()
        self.socket = self._address.connect()
        self.socket.setblocking(False)

    def _head(self, head: bytes, end: int) -> None:
        if head[9:12] != b"200":
            raise LoadError(f"not a 200: {bytes(self._got[:600])!r}")
        length = _LENGTH.search(head)
        if length:
            self._need = end + int(length[1])
        elif _CHUNKED.search(head):
            self._chunked = True
        else:
            raise LoadError(f"an answer without an end: {head!r}")


def hammer(
    address: Address, requests: Sequence[bytes], *, connections: int, seconds: float
) -> Result:
    """Ask ``requests`` in turn on so many connections. What is answered within the first second
    does not count."""
    turns: Iterator[bytes] = cycle(requests)
    result = Result()
    warm = time.perf_counter() + 1.0
    ends = warm + seconds
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        lines = [_Line(address) for _ in range(connections)]
        for line in lines:
            stack.callback(line.close)
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.ask(next(turns))
        last = time.perf_counter()
        while (now := time.perf_counter()) < ends:
            events = selector.select(1.0)
            if now - last > PATIENCE:
                raise LoadError("nothing has come for half a minute")
            for key, _event in events:
                line = key.data
                if not line.read():
                    continue
                last = time.perf_counter()
                if last >= warm:
                    result.seconds.append(last - line.begun)
                if line.closes():
                    selector.unregister(line.socket)
                    line.again()
                    selector.register(line.socket, selectors.EVENT_READ, line)
                line.ask(next(turns))
    result.lasted = seconds
    return result


def one_by_one(
    address: Address, requests: Sequence[bytes], *, count: int, rest: float = 0.002
) -> Result:
    """One connection at low load: so many answers, with a little rest before each."""
    result = Result()
    with address.connect() as line:
        for number, data in zip(range(count + 20), cycle(requests), strict=False):
            time.sleep(rest)
            begun = time.perf_counter()
            line.sendall(data)
            _whole(line)
            if number >= 20:
                result.seconds.append(time.perf_counter() - begun)
    result.lasted = sum(result.seconds)
    return result


def _whole(line: socket.socket) -> None:
    got = b""
    while (end := got.find(b"\r\n\r\n")) < 0:
        more = line.recv(1 << 20)
        if not more:
            raise LoadError(f"the connection broke off: {got[:200]!r}")
        got += more
    length = _LENGTH.search(got)
    if got[9:12] != b"200" or length is None:
        raise LoadError(f"not a 200 with a length: {got[:600]!r}")
    need = end + 4 + int(length[1]) - len(got)
    while need > 0:
        more = line.recv(1 << 20)
        if not more:
            raise LoadError("the answer broke off")
        need -= len(more)


def drain(address: Address, data: bytes, size: int) -> float:
    """Fetch one large file of ``size`` bytes; bytes a second."""
    with address.connect() as line:
        begun = time.perf_counter()
        line.sendall(data)
        _whole(line)
        return size / (time.perf_counter() - begun)
