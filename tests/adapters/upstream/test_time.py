"""Slow, dripping and silent sites are given up in time, and a stop is heard at once."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from dask_platform.adapters.upstream import HttpsUpstream, Patience
from dask_platform.kernel.errors import (
    UpstreamCertificateRefused,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dask_platform.kernel.ports import UpstreamRequest
from tests.adapters.upstream.conftest import HOST, PUBLIC, Setting
from tests.adapters.upstream.servers import Answer, saying

MIB = 1024 * 1024
PAGE = UpstreamRequest(f"https://{HOST}/")
OK = b"HTTP/1.1 200 OK\r\n"
#: Waits long, so that only the limit under test can end it.
PATIENT = Patience(names=5, connect=30, head=30, idle=30)


def dripping(before: bytes, drop: bytes, pause: float = 0.02) -> Answer:
    """Send ``before``, and then ``drop`` again and again, never to stop."""

    def answer(line: ssl.SSLSocket, request: bytes) -> bool:
        line.sendall(before)
        while True:
            line.sendall(drop)
            time.sleep(pause)

    return answer


def read(upstream: HttpsUpstream, seconds: float, stopped: Callable[[], bool]) -> None:
    with upstream.fetch(PAGE, largest=MIB, seconds=seconds, stopped=stopped) as answer:
        for _chunk in answer.body:
            pass


SLOW = {
    "a dripping status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "dripping headers": dripping(OK, b"X-A: b\r\n", 0.1),
    "one dripping header": dripping(OK + b"X-A: ", b"b"),
    "dripping announcements": dripping(b"", b"H", 0.1),
    "a dripping body": dripping(OK + b"Content-Length: 100000\r\n\r\n", b"x"),
    "a dripping body without length": dripping(OK + b"\r\n", b"x"),
    "dripping chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "half a chunk size": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5", pause=1.5),
    "silence": saying(b"", pause=1.5),
    "a dripping trailer": dripping(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", 0.1
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_the_time_for_all_of_it_cuts(setting: Setting, name: str) -> None:
    setting.web.answer = SLOW[name]
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        read(setting.upstream(patience=PATIENT), 0.5, lambda: False)
    assert 0.4 < time.monotonic() - started < 2


@pytest.mark.parametrize("name", SLOW)
def test_a_stop_cuts(setting: Setting, name: str) -> None:
    setting.web.answer = SLOW[name]
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(UpstreamStopped):
        read(setting.upstream(patience=PATIENT), 30, stop.is_set)
    assert time.monotonic() - started < 1.3


def test_headers_have_a_time_of_their_own(setting: Setting) -> None:
    setting.web.answer = SLOW["dripping headers"]
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        read(setting.upstream(), 30, lambda: False)
    assert time.monotonic() - started < 3


def test_a_body_that_stands_still(setting: Setting) -> None:
    setting.web.answer = saying(OK + b"Content-Length: 9\r\n\r\nhello", pause=2)
    upstream = setting.upstream(patience=Patience(connect=1, head=1, idle=0.3))
    with upstream.fetch(PAGE, largest=MIB, seconds=30) as answer:
        assert next(answer.body) == b"hello"
        started = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            next(answer.body)
    assert time.monotonic() - started < 1.5


def test_a_steady_slow_body_is_let_through(setting: Setting) -> None:
    """Slow is not wrong: each step is within its limit, and all of it within its own."""

    def steady(line: ssl.SSLSocket, request: bytes) -> bool:
        line.sendall(OK + b"Content-Length: 10\r\n\r\n")
        for _ in range(10):
            time.sleep(0.05)
            line.sendall(b"x")
        return True

    setting.web.answer = steady
    upstream = setting.upstream(patience=Patience(connect=1, head=1, idle=0.4))
    with upstream.fetch(PAGE, largest=MIB, seconds=10) as answer:
        assert b"".join(answer.body) == b"x" * 10
    upstream.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def leading_to(setting: Setting, listener: socket.socket, patience: Patience) -> HttpsUpstream:
    return setting.upstream(patience=patience, stand_ins={PUBLIC: listener.getsockname()[1]})


def test_one_that_never_agrees_on_tls(setting: Setting, silent: socket.socket) -> None:
    upstream = leading_to(setting, silent, Patience(connect=0.4))
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        upstream.fetch(PAGE, largest=MIB, seconds=30)
    assert time.monotonic() - started < 2


def test_a_stop_while_agreeing_on_tls(setting: Setting, silent: socket.socket) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with pytest.raises(UpstreamStopped):
        leading_to(setting, silent, PATIENT).fetch(
            PAGE, largest=MIB, seconds=30, stopped=stop.is_set
        )
    assert time.monotonic() - started < 1.2


def test_one_that_never_answers(setting: Setting) -> None:
    setting.web.answer = saying(b"", pause=2)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        read(setting.upstream(patience=Patience(connect=1, head=0.3)), 30, lambda: False)
    assert time.monotonic() - started < 1.5


def test_nobody_at_home(setting: Setting, silent: socket.socket) -> None:
    upstream = leading_to(setting, silent, Patience())
    silent.close()
    with pytest.raises(UpstreamUnavailable):
        upstream.fetch(PAGE, largest=MIB, seconds=5)


def test_the_next_address_is_tried(setting: Setting) -> None:
    setting.dns.zone.answers = {(HOST, "A"): ["203.0.113.9", PUBLIC]}
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        upstream = setting.upstream(stand_ins={"203.0.113.9": unused.getsockname()[1]})
        with upstream.fetch(PAGE, largest=MIB, seconds=5) as answer:
            assert b"".join(answer.body) == b"ok"
        upstream.close()


def test_one_that_speaks_no_tls(setting: Setting) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def greet() -> None:
            line, _ = plain.accept()
            with line:
                line.sendall(b"220 mail.example ESMTP\r\n" * 10)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(UpstreamCertificateRefused):
            leading_to(setting, plain, Patience(connect=1)).fetch(PAGE, largest=MIB, seconds=5)
        thread.join()


def test_the_stop_is_asked_with_every_chunk_and_seldom_else(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    setting.web.answer = saying(OK + b"Content-Length: 1000000\r\n\r\n" + bytes(1_000_000))
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return False

    with upstream.fetch(PAGE, largest=MIB, seconds=10, stopped=stopped) as answer:
        chunks = sum(1 for _ in answer.body)
    assert chunks < asked <= 4 * chunks + 20
