"""The load: a process for each connection, each asking again as soon as it was answered.

The client is as small as it can be (of the answer only the status and the length are read), because
it runs on the same processors as what it measures.
"""

from __future__ import annotations

import multiprocessing
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WARM_UP = 2.0  # seconds before anything counts
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nLocation: (\S+)", re.IGNORECASE)
_HIDDEN = rb'name="%s"[^>]*value="([^"]*)"'


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and the name to ask for there."""

    port: int
    name: str
    ca_file: str


@dataclass(frozen=True, slots=True)
class Pages:
    """The same page again and again, as one person."""

    path: str
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class HandIns:
    """Each piece of ``work`` (cookie, path of the assignment) is handed in once, with a file."""

    work: tuple[tuple[str, str], ...]
    token: str
    size: int


@dataclass(slots=True)
class Result:
    """Seconds of each turn that counted, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ran_out: bool = False


class Connection:
    """One kept-alive connection over TLS, made anew when the server says that it closes it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._context = ssl.create_default_context(cafile=target.ca_file)
        self._host = f"{target.name}:{target.port}"
        self._socket = self._connect()

    def _connect(self) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self._target.port), 30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(raw, server_hostname=self._target.name)

    def ask(
        self, method: str, path: str, cookie: str, body: bytes = b"", kind: str = ""
    ) -> tuple[int, bytes, bytes]:
        """Status, head and body of the answer. Raises ``OSError`` when it breaks off."""
        lines = [
            f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"Cookie: {cookie}",
            f"Referer: https://{self._host}/", f"Content-Length: {len(body)}",
        ]  # fmt: skip
        if kind:
            lines.append(f"Content-Type: {kind}")
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return self._answer()

    def _answer(self) -> tuple[int, bytes, bytes]:
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._more()
        head, body = got[:end], got[end + 4 :]
        status = int(head[9:12])
        length = _LENGTH.search(head)
        if length is None:
            raise OSError(f"an answer without a length: {head[:200]!r}")
        while len(body) < int(length[1]):
            body += self._more()
        if b"\r\nConnection: close" in head:
            # nginx does so after a thousand requests.
            self._socket.close()
            self._socket = self._connect()
        return status, head, body

    def _more(self) -> bytes:
        data = self._socket.recv(262144)
        if not data:
            raise OSError("the server closed the connection")
        return data


def measure(target: Target, plans: list[Pages | HandIns], seconds: float) -> Result:
    """Run every plan at the same time for so long; all results together."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(plans))
    found: Any = context.Queue()
    children = [
        context.Process(target=_run, args=(target, plan, seconds, start, found), daemon=True)
        for plan in plans
    ]
    for child in children:
        child.start()
    together = Result()
    for _child in children:
        one = found.get(timeout=seconds + WARM_UP + 120)
        together.seconds += one.seconds
        together.errors += one.errors
        together.ran_out = together.ran_out or one.ran_out
    for child in children:
        child.join()
    return together


def _run(target: Target, plan: Pages | HandIns, seconds: float, start: Any, found: Any) -> None:
    result = Result()
    try:
        turns = _pages(target, plan) if isinstance(plan, Pages) else _hand_ins(target, plan)
        start.wait(60)
        begin = time.perf_counter() + WARM_UP
        before = time.perf_counter()
        for error in turns:
            now = time.perf_counter()
            if error:
                result.errors.append(error)
            elif before >= begin and now <= begin + seconds:
                result.seconds.append(now - before)
            before = now
            if now > begin + seconds or len(result.errors) > 5:
                break
        else:
            result.ran_out = True
    except OSError as error:
        result.errors.append(str(error))
    found.put(result)


def _pages(target: Target, plan: Pages) -> Iterator[str]:
    connection = Connection(target)
    while True:
        status, _head, _body = connection.ask("GET", plan.path, plan.cookie)
        yield "" if status == 200 else f"{plan.path}: {status}"


def _hand_ins(target: Target, plan: HandIns) -> Iterator[str]:
    """From the file to the receipt: four requests, as a browser makes them."""
    connection = Connection(target)
    for number, (cookie, path) in enumerate(plan.work):
        kind, body = _form(plan, f"{path} {cookie} {number}")
        status, head, _page = connection.ask("POST", f"{path}/save", cookie, body, kind)
        if status != 303:
            yield f"save: {status} {_page[-1500:]!r}"
            continue
        status, _head, page = connection.ask("GET", _location(head), cookie)
        attempt = re.search(_HIDDEN % b"attempt", page)
        shown = re.search(_HIDDEN % b"shown", page)
        if status != 200 or attempt is None or shown is None:
            yield f"the last step: {status}"
            continue
        body = b"csrf_token=%s&attempt=%s&shown=%s" % (
            plan.token.encode(), attempt[1], shown[1]
        )  # fmt: skip
        status, head, _page = connection.ask(
            "POST", f"{path}/hand-in", cookie, body, "application/x-www-form-urlencoded"
        )
        if status != 303:
            yield f"hand-in: {status}"
            continue
        status, _head, page = connection.ask("GET", _location(head), cookie)
        yield "" if status == 200 else f"receipt: {status}"


def _location(head: bytes) -> str:
    found = _LOCATION.search(head)
    return found[1].decode() if found else "/"


def _form(plan: HandIns, unique: str) -> tuple[str, bytes]:
    boundary = "----bench-5f0d3a"
    fields = {"csrf_token": plan.token, "version": "0", "text": "Svaret.", "next": "hand-in"}
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="svar.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    )
    body = "".join(parts).encode() + pdf(plan.size, unique) + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def pdf(size: int, unique: str) -> bytes:
    """A PDF of ``size`` bytes that is like no other."""
    head = f"%PDF-1.7\n% {unique}\n1 0 obj<</Type/Catalog>>endobj\n".encode()
    tail = b"\nxref\n0 1\n0000000000 65535 f \ntrailer<</Root 1 0 R>>\nstartxref\n45\n%%EOF\n"
    return head + b"%" * (size - len(head) - len(tail)) + tail
