"""HTTP/1.1 as it comes from strangers: what breaks a rule is refused, never repaired.

Two readers that repair differently see two different answers in the same bytes; whoever controls
the bytes then chooses what each sees. The usual libraries repair: h11 0.16 takes bare line feeds,
unfolds headers, merges equal lengths and lets ``Transfer-Encoding`` win over ``Content-Length``;
``http.client`` takes more. So this reader is our own, small, and knows one spelling of each thing.

Nothing here touches a socket: bytes in, values or ``UpstreamAnswerRefused`` out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from dask_platform.kernel.errors import UpstreamAnswerRefused, UpstreamUnavailable

LONGEST_HEAD: Final = 64 * 1024
LONGEST_LINE: Final = 16 * 1024
MOST_FIELDS: Final = 100
LONGEST_TRAILER: Final = 8 * 1024

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
#: A line end that is not exactly CR LF (a CR at the very end may still get its LF), or a NUL.
_BROKEN_LINE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\0")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_CHUNK_SIZE_BEGUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,8}\r?)?")
#: Two of one of these would let the reader choose.
_ONCE: Final = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "expires",
        "last-modified",
        "location",
        "transfer-encoding",
    }
)


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and header fields, names in lower case, values as Latin-1 without outer blanks.
    ``minor`` is the x of HTTP/1.x."""

    minor: int
    status: int
    fields: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.fields if key == name)

    def one(self, name: str) -> str | None:
        """The field's value; several fields make one list, where that may be."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def keeps_open(self) -> bool:
        """Whether the connection may carry another request after this answer."""
        tokens = (self.one("connection") or "").lower().replace(" ", "").split(",")
        return self.minor == 1 and "close" not in tokens


def head_end(held: bytearray, seen: int) -> int | None:
    """Where the head in ``held`` ends (after its empty line), or None when more must come. ``seen``
    bytes have been looked at before. A broken line is refused as soon as it is there."""
    start = max(0, seen - 3)
    end = held.find(b"\r\n\r\n", start)
    limit = end + 4 if end >= 0 else len(held)
    if broken := _BROKEN_LINE.search(held, start, limit):
        raise UpstreamAnswerRefused(f"line broken by {bytes(broken[0])!r}")
    if limit > LONGEST_HEAD:
        raise UpstreamAnswerRefused("head too long")
    return limit if end >= 0 else None


def parse_head(raw: bytes) -> Head:
    """Read a whole head, its empty line included."""
    if not raw.endswith(b"\r\n\r\n") or _BROKEN_LINE.search(raw):
        raise UpstreamAnswerRefused("head broken")
    first, *rest = raw[:-4].split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or len(first) > LONGEST_LINE:
        raise UpstreamAnswerRefused(f"status line {first[:80]!r}")
    if len(rest) > MOST_FIELDS:
        raise UpstreamAnswerRefused("too many headers")
    fields = tuple(_field(line) for line in rest)
    head = Head(int(status[1]), int(status[2]), fields)
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise UpstreamAnswerRefused(f"{name} twice")
    return head


def _field(line: bytes) -> tuple[str, str]:
    if len(line) > LONGEST_LINE:
        raise UpstreamAnswerRefused("header too long")
    if line[:1] in (b" ", b"\t"):
        raise UpstreamAnswerRefused("folded header")
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise UpstreamAnswerRefused(f"header {line[:80]!r}")
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")


class Body(Protocol):
    """A body as it is framed. ``feed`` takes what came and returns what of it is body; once
    ``done``, ``extra`` says whether bytes came that belong to nothing."""

    done: bool
    extra: bool

    def feed(self, data: bytes) -> bytes: ...

    def end(self) -> None:
        """The connection was closed, properly. ``UpstreamUnavailable`` unless the body is whole."""
        ...


class LengthBody:
    """``length`` bytes, by ``Content-Length`` or because the answer can have no body."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.extra = False

    def feed(self, data: bytes) -> bytes:
        if len(data) > self._left:
            self.extra = True
            data = data[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data

    def end(self) -> None:
        if not self.done:
            raise UpstreamUnavailable("broken off: shorter than its length")


class UntilClosedBody:
    """Everything up to the end of the connection."""

    def __init__(self) -> None:
        self.done = False
        self.extra = False

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        self.done = True


class ChunkedBody:
    """``Transfer-Encoding: chunked``, without chunk extensions. Trailers are read and dropped."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._left = 0
        self._after_chunk = False
        self._in_trailer = False
        self._trailer = 0
        self.done = False
        self.extra = False

    def feed(self, data: bytes) -> bytes:
        self._held += data
        out = bytearray()
        at = 0
        while not self.done:
            if self._left:
                piece = self._held[at : at + self._left]
                if not piece:
                    break
                out += piece
                at += len(piece)
                self._left -= len(piece)
                self._after_chunk = self._left == 0
                continue
            line = self._line(at)
            if line is None:
                break
            at += len(line) + 2
            self._take(line)
        del self._held[:at]
        self.extra = self.done and bool(self._held)
        return bytes(out)

    def end(self) -> None:
        if not self.done:
            raise UpstreamUnavailable("broken off: the last chunk is missing")

    def _line(self, at: int) -> bytes | None:
        """The line at ``at`` without its end; None when more must come."""
        most = LONGEST_TRAILER if self._in_trailer else 0 if self._after_chunk else 8
        end = self._held.find(b"\r\n", at, at + most + 2)
        line = bytes(self._held[at : end if end >= 0 else at + most + 2])
        if end < 0 and len(line) == most + 2:
            raise UpstreamAnswerRefused(f"chunk {line[:40]!r}")
        if self._in_trailer:
            if _BROKEN_LINE.search(line):
                raise UpstreamAnswerRefused("trailer broken")
        elif self._after_chunk:
            if line not in (b"", b"\r"):
                raise UpstreamAnswerRefused(f"after a chunk {line[:40]!r}")
        elif not _CHUNK_SIZE_BEGUN.fullmatch(line):
            raise UpstreamAnswerRefused(f"chunk size {line[:40]!r}")
        return line if end >= 0 else None

    def _take(self, line: bytes) -> None:
        if self._in_trailer:
            self._trailer += len(line) + 2
            if self._trailer > LONGEST_TRAILER:
                raise UpstreamAnswerRefused("trailer too long")
            if line:
                _field(line)
            else:
                self.done = True
        elif self._after_chunk:
            self._after_chunk = False
        else:
            if not _CHUNK_SIZE.fullmatch(line):
                raise UpstreamAnswerRefused(f"chunk size {line[:40]!r}")
            self._left = int(line, 16)
            self._in_trailer = self._left == 0


def content_length(head: Head) -> int | None:
    """The one length that the head gives; refused when it is no plain number."""
    given = head.one("content-length")
    if given is None:
        return None
    if not _LENGTH.fullmatch(given):
        raise UpstreamAnswerRefused(f"content-length {given[:40]!r}")
    return int(given)


def framed(head: Head, method: str) -> Body:
    """How the body of the answer ``head`` to ``method`` ends."""
    length = content_length(head)
    coding = head.one("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise UpstreamAnswerRefused("both transfer-encoding and content-length")
        if coding.lower() != "chunked" or head.minor == 0 or head.status == 204:
            raise UpstreamAnswerRefused(f"transfer-encoding {coding[:40]!r}")
    if head.status == 204 and length:
        raise UpstreamAnswerRefused("204 with a body")
    if method == "HEAD" or head.status in (204, 304):
        return LengthBody(0)
    if coding is not None:
        return ChunkedBody()
    return UntilClosedBody() if length is None else LengthBody(length)
