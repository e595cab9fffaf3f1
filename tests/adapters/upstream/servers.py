"""Servers that do what they are told: a web server for hostile and honest answers, and a DNS."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from dask_platform.adapters.upstream import Page

#: Does what it likes with a connection, having read one request; True: wait for another request.
Answer = Callable[[ssl.SSLSocket, bytes], bool]


def saying(data: bytes, *, more: bool = False, pause: float = 0) -> Answer:
    """Send ``data`` and close; with ``more`` expect another request; ``pause`` before closing."""

    def answer(line: ssl.SSLSocket, request: bytes) -> bool:
        line.sendall(data)
        select.select([line], [], [], pause)  # shorter, if the client gives up
        return more

    return answer


class WebServer:
    """On loopback. ``accepted`` counts connections, ``requests`` keeps what each asked.

    ``answer`` may be changed between requests. Without ``tls`` it is a listener that only counts.
    """

    def __init__(self, tls: ssl.SSLContext | None, answer: Answer | None = None) -> None:
        self.tls = tls
        self.answer = answer or saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", more=True)
        self.accepted = 0
        self.requests: list[bytes] = []
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a thread of the test server hangs"
        self._listener.close()

    def waiting(self) -> bool:
        """Whether somebody has knocked and was not yet let in."""
        return bool(select.select([self._listener], [], [], 0)[0])

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return  # closed
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self._start(lambda plain=plain: self._serve(plain))  # type: ignore[misc]

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(5)
        # Whoever is refused hangs up in the middle of anything; that is what is tested.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(plain)
            if self.tls is None:
                return
            line = stack.enter_context(self.tls.wrap_socket(plain, server_side=True))
            while (request := self._request(line)) and self.answer(line, request):
                pass
            if not self._closing.is_set():
                with contextlib.suppress(OSError):
                    line.settimeout(0.2)
                    line.unwrap()

    def _request(self, line: ssl.SSLSocket) -> bytes:
        """One request with its form; nothing when the client has gone or the test is over."""
        data = b""
        while not self._closing.is_set():
            if not line.pending() and not select.select([line], [], [], 0.02)[0]:
                continue
            came = line.recv(65536)
            if not came:
                break
            data += came
            head, end, form = data.partition(b"\r\n\r\n")
            if not end:
                continue
            length = next(
                (int(text[15:]) for text in head.split(b"\r\n") if text[:15] == b"Content-Length:"),
                0,
            )
            if len(form) >= length:
                self.requests.append(data)
                return data
        return b""


def honest(pages: dict[str, Page]) -> Answer:
    """A well-behaved site: ``pages`` by path and query; ranges, HEAD, ETags as they should be."""

    def answer(line: ssl.SSLSocket, request: bytes) -> bool:
        first, *rest = request.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
        method, target, _version = first.split(" ")
        asked = {key.lower(): value for key, value in (text.split(": ", 1) for text in rest)}
        page = pages.get(target, Page(b"not found", 404))
        status, body = page.status, page.body
        out = [f"{name}: {value}" for name, value in page.headers.items()]
        out += [f"Set-Cookie: {cookie}" for cookie in page.set_cookies]
        if asked.get("if-none-match") == page.headers.get("etag", ""):
            line.sendall("\r\n".join(["HTTP/1.1 304 Not Modified", *out, "", ""]).encode())
            return True
        if "range" in asked:
            start, _, stop = asked["range"].removeprefix("bytes=").partition("-")
            last = min(int(stop), len(body) - 1) if stop else len(body) - 1
            if int(start) > last:
                out.append(f"Content-Range: bytes */{len(body)}")
                status, body = 416, b""
            else:
                out.append(f"Content-Range: bytes {start}-{last}/{len(body)}")
                status, body = 206, body[int(start) : last + 1]
        promised = len(body) + (10 if page.breaks else 0)
        out.append(f"Content-Length: {promised}")
        head = "\r\n".join([f"HTTP/1.1 {status} Words", *out, "", ""]).encode()
        line.sendall(head + (b"" if method == "HEAD" else body))
        return page.breaks is None

    return answer


@dataclass
class Zone:
    """What the DNS knows. ``answers`` by name and kind: a list of record texts such as
    ``"203.0.113.10"`` or, with another name before it, ``"other.example. A 10.0.0.1"``. Of
    ``turns`` one list is used up each time before ``answers`` is looked at. Names in ``silent`` get
    no answer, those in ``slow`` a late one (seconds), those in ``failing`` an error."""

    answers: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    turns: dict[tuple[str, str], list[list[str]]] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)


class NameServer:
    """Real DNS over UDP on loopback. ``queries`` keeps what was asked, as (name, kind)."""

    def __init__(self) -> None:
        self.zone = Zone()
        self.queries: list[tuple[str, str]] = []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._sock.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            data, client = self._sock.recvfrom(4096)
            if not data:
                return  # woken to be closed
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text(omit_final_dot=True)
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            self.queries.append((name, kind))
            if name in self.zone.silent:
                continue
            if name in self.zone.slow:
                self._closing.wait(self.zone.slow[name])
            self._sock.sendto(self._reply(query, name, kind).to_wire(), client)

    def _reply(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if name in self.zone.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == name for known, _ in self.zone.answers):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        found: dict[tuple[str, str], list[str]] = {}
        for text in self._records(name, kind):
            words = text.split(" ")
            owner, rdtype, value = words if len(words) == 3 else (f"{name}.", kind, text)
            found.setdefault((owner, rdtype), []).append(value)
        for (owner, rdtype), values in found.items():
            reply.answer.append(dns.rrset.from_text_list(owner, 60, "IN", rdtype, values))
        return reply

    def _records(self, name: str, kind: str) -> list[str]:
        if turns := self.zone.turns.get((name, kind)):
            return turns.pop(0)
        return self.zone.answers.get((name, kind), [])
