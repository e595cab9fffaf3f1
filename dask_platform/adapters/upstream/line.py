"""One TLS connection to one checked address, with limits that hold whatever the other side does.

The socket never blocks: every wait is a short ``poll``, and between two of them the deadline and
the caller's wish to stop are looked at. A blocking read with a time limit would start that limit
anew with each byte that drips in, and would not hear a stop.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from dask_platform.kernel.errors import (
    UpstreamCertificateRefused,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dask_platform.security.addresses import IPAddress

HTTPS_PORT: Final = 443
#: Seconds between two looks at a stop while waiting.
_LOOK: Final = 0.2
_AT_ONCE: Final = 64 * 1024
_T = TypeVar("_T")

#: Where to knock for an address that stands for a socket on this machine: tests and the demo.
Places = Mapping[IPAddress, tuple[str, int]]


class Watch:
    """What ends one fetch: its deadline, and the caller's ``stopped``."""

    def __init__(self, seconds: float, stopped: Callable[[], bool]) -> None:
        self._ends = time.monotonic() + seconds
        self._stopped = stopped

    def left(self) -> float:
        """Seconds, above 0."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise UpstreamTimeout("over the time for all of it")
        return left

    def check(self) -> None:
        if self._stopped():
            raise UpstreamStopped("stopped by the caller")
        self.left()

    def wait(self, sock: socket.socket, event: int, until: float, doing: str) -> None:
        """Until ``sock`` is ready for ``event``, at most until ``until`` on the monotonic clock."""
        poll = select.poll()
        poll.register(sock, event)
        while True:
            self.check()
            left = until - time.monotonic()
            if left <= 0:
                raise UpstreamTimeout(f"too slow: {doing}")
            if poll.poll(min(left, self.left(), _LOOK) * 1000):
                return


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and name verified against ``ca_file`` and no other store.

    Made by hand: ``ssl.create_default_context`` would write keys to the file that ``SSLKEYLOGFILE``
    in the environment names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.load_verify_locations(cafile=ca_file)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


class Line:
    """An open connection. ``address`` is what was checked, ``since`` when, on the monotonic clock.

    Not for two threads at once.
    """

    def __init__(self, sock: ssl.SSLSocket, address: IPAddress, since: float) -> None:
        self._sock = sock
        self.address = address
        self.since = since

    def send(self, data: bytes, watch: Watch, seconds: float) -> None:
        until = time.monotonic() + seconds
        view = memoryview(data)
        while view:
            act = partial(self._sock.send, view)
            view = view[_patiently(self._sock, act, watch, until, "taking the request") :]

    def receive(self, watch: Watch, until: float, doing: str) -> bytes:
        """What has come, at least one byte; none when the other side has closed as TLS demands."""
        return _patiently(self._sock, partial(self._sock.recv, _AT_ONCE), watch, until, doing)

    def quiet(self) -> bool:
        """Whether the idle connection is still open and nobody has spoken out of turn."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not self._sock.pending() and not poll.poll(0)

    def close(self) -> None:
        self._sock.close()


def connect(
    host: str,
    address: IPAddress,
    tls: ssl.SSLContext,
    watch: Watch,
    *,
    seconds: float,
    places: Places,
) -> Line:
    """Connect to ``address`` itself, within ``seconds``, and have it prove to be ``host``."""
    since = time.monotonic()
    until = since + seconds
    local = places.get(address)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    target = (str(address), HTTPS_PORT) if local is None else local
    plain = socket.socket(socket.AF_INET if local else family, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _open(plain, target, watch, until)
        sock = tls.wrap_socket(
            plain, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except OSError as problem:
        plain.close()
        raise UpstreamUnavailable(f"connecting: {problem}") from None
    except BaseException:
        plain.close()
        raise
    try:
        _patiently(sock, sock.do_handshake, watch, until, "agreeing on TLS")
    except BaseException:
        sock.close()
        raise
    return Line(sock, address, since)


def _open(sock: socket.socket, target: tuple[str, int], watch: Watch, until: float) -> None:
    code = sock.connect_ex(target)
    if code == errno.EINPROGRESS:
        watch.wait(sock, select.POLLOUT, until, "connecting")
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, errno.errorcode.get(code, "?"))


def is_this_machine(address: IPAddress) -> bool:
    """Whether connecting to ``address`` the machine would talk to itself, by an address that nobody
    has told it is its own. Nothing is sent: a datagram socket that "connects" only has the kernel
    choose a route, and one's own address is reached from that same address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect((str(address), HTTPS_PORT))
        except OSError:
            return False  # no way there at all: connecting says so
        return ipaddress.ip_address(probe.getsockname()[0]) == address


def _patiently(
    sock: ssl.SSLSocket, act: Callable[[], _T], watch: Watch, until: float, doing: str
) -> _T:
    """``act`` on a socket that does not block, waiting as TLS asks for; errors in our names."""
    while True:
        try:
            return act()
        except ssl.SSLWantReadError:
            watch.wait(sock, select.POLLIN, until, doing)
        except ssl.SSLWantWriteError:
            watch.wait(sock, select.POLLOUT, until, doing)
        except ssl.SSLZeroReturnError:
            raise UpstreamUnavailable(f"closed: {doing}") from None
        except ssl.SSLCertVerificationError as problem:
            raise UpstreamCertificateRefused(problem.verify_message) from None
        except ssl.SSLEOFError:
            raise UpstreamUnavailable(f"broken off: {doing}") from None
        except ssl.SSLError as problem:
            raise UpstreamCertificateRefused(f"TLS: {problem.reason}") from None
        except OSError as problem:
            raise UpstreamUnavailable(f"{doing}: {problem}") from None
