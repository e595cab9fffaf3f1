"""The outside world, as the features see it.

A feature receives these; ``entry`` decides which adapter stands behind each. Every port has one
contract suite under ``tests/contracts`` that runs against each adapter and each fake.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self


class Clock(Protocol):
    """Time. Always with a zone, always UTC."""

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the store says it holds. ``size`` in bytes, ``sha256`` as 64 hex digits."""

    key: str
    size: int
    sha256: str


class FileStore(Protocol):
    """Bytes under keys of ours (``[a-z0-9/_-]``, 1–200 characters, no empty part).

    A key is written once: ``put`` on a key that exists replaces nothing and raises ``Conflict``.
    Every method raises ``StorageUnavailable`` when the store does not answer.
    """

    def put(self, key: str, stream: BinaryIO, *, size: int, sha256: str) -> StoredFile:
        """Store ``size`` bytes from ``stream``; visible whole or not at all.

        Raises ``FileCorrupt`` when the stream is not ``size`` bytes with that ``sha256``.
        Memory used is constant.
        """
        ...

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes in chunks of at most 1 MiB. Raises ``FileMissing`` before the first chunk."""
        ...

    def stat(self, key: str) -> StoredFile:
        """Size and hash. Raises ``FileMissing``."""
        ...

    def delete(self, key: str) -> None:
        """Remove; no error when it is not there."""
        ...

    def keys(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        """Every key under ``prefix`` with the time it was written, in key order."""
        ...

    def sweep(self, older_than: timedelta = timedelta(hours=24)) -> int:
        """Remove what broken-off writes left behind; how many. Never touches a visible key."""
        ...

    def internal_path(self, key: str) -> str | None:
        """What nginx is told in ``X-Accel-Redirect``, or None when Python must stream."""
        ...

    def check(self) -> None:
        """Raise ``StorageUnavailable`` unless the store can be written and read."""
        ...


@dataclass(frozen=True, slots=True)
class ScanResult:
    """``signature`` names what was found; None means clean."""

    signature: str | None

    @property
    def clean(self) -> bool:
        return self.signature is None


class Scanner(Protocol):
    """A virus scanner.

    ``scan`` raises ``ScannerUnavailable`` when it does not answer (try again later) and
    ``ScanRefused`` when it answers but will not judge (never treated as clean).
    """

    def scan(self, chunks: Iterator[bytes]) -> ScanResult: ...

    def version(self) -> str:
        """The engine and its signatures, in words for the operator."""
        ...


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """A person as the directory describes them at this moment.

    ``key`` is stable over renames (objectGUID, entryUUID). ``grants`` are (role, unit slug) pairs
    from the group mapping; ``active`` is False for disabled or locked accounts, ``reason`` then
    says why, for the operator. ``locked_out`` is True where wrong passwords alone have shut it:
    anybody can type those, and so it does not tell that the person is gone.
    """

    key: str
    username: str
    display_name: str
    grants: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    active: bool = True
    reason: str | None = None
    locked_out: bool = False


class Directory(Protocol):
    """The county's directory of staff (and, where so set up, students)."""

    def authenticate(self, username: str, password: str) -> DirectoryPerson:
        """Check the password with the person's own bind, and read the person anew.

        Raises ``BadCredentials`` (also for an empty password, before anything is sent),
        ``AccountRefused`` for disabled, locked or expired accounts, ``DirectoryUnavailable``.
        """
        ...

    def people(self) -> Iterator[DirectoryPerson]:
        """Everyone the mapping gives a role, for ``people sync``."""
        ...

    def check(self) -> None:
        """Raise ``DirectoryUnavailable`` unless a server answers the service account."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What is asked of a site outside. It names everything that may differ between two requests:
    all other headers are the installation's, always the same.

    ``url`` is the canonical text of an address that has been decided on. ``span`` is one range, the
    first and the last byte, counted from 0, the last included; None as the last means to the end.
    ``cookie`` is the whole ``Cookie`` header, from the student's jar for this site; ``etag`` goes
    out as ``If-None-Match`` and comes from the broker's own cache. ``form`` is the body of a POST,
    already in the encoding of forms (``a=1&b=2``), and only of a POST.
    """

    url: str
    method: Literal["GET", "HEAD", "POST"] = "GET"
    span: tuple[int, int | None] | None = None
    cookie: str | None = None
    etag: str | None = None
    form: bytes | None = None


class SelfClosing(ABC):
    """For answers: as a context manager they close themselves."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class UpstreamResponse(Protocol):
    """An answer whose head has been read. Iterate ``body`` to the end or call ``close``; as a
    context manager it closes itself.

    ``headers`` has lower-case names and holds no others than ``UPSTREAM_HEADERS``. The body comes
    unpacked; ``content-length`` is given only where it is the length of what ``body`` yields (or,
    for HEAD, would yield). A redirect is an answer like another: nobody has followed it.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def set_cookies(self) -> tuple[str, ...]:
        """The values of ``Set-Cookie``, in their order, for the jar."""
        ...

    @property
    def body(self) -> Iterator[bytes]:
        """Chunks of 1 byte to 64 KiB. Raises the errors of ``Upstream.fetch``."""
        ...

    def close(self) -> None:
        """Drop what has not been read. May be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


#: What passes of the headers of an answer, beside ``Set-Cookie``. All else is dropped.
UPSTREAM_HEADERS = frozenset(
    {
        "accept-ranges",
        "age",
        "cache-control",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "expires",
        "last-modified",
        "location",
        "vary",
    }
)


class Upstream(Protocol):
    """The approved sites outside. It decides nothing about rules: the caller has."""

    def fetch(
        self,
        request: UpstreamRequest,
        *,
        largest: int,
        seconds: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> UpstreamResponse:
        """Send the request and read the head of the answer.

        ``largest`` is the most bytes that the body may have, unpacked. ``seconds`` is for all of
        it, from the name to the last byte of the body. ``stopped`` is asked before each chunk and
        several times a second while waiting, and must be quick; once it says True, nothing more
        comes.

        Raises, here or from ``body``: ``UpstreamAddressRefused`` (before anything is sent, also for
        a url that is not canonical), ``UpstreamNameUnknown``, ``UpstreamUnavailable``,
        ``UpstreamTimeout``, ``UpstreamCertificateRefused``, ``UpstreamAnswerRefused``,
        ``UpstreamTooLarge``, ``UpstreamStopped``. ``ValueError`` for a request that no caller
        should make (a form without POST, a line break in a cookie).
        """
        ...

    def close(self) -> None:
        """Let go of the connections that are kept for another request: a process that ends says so
        to the sites. What is under way goes on; another ``fetch`` opens a new one."""
        ...


CopyKind = Literal["warc", "zim"]


@dataclass(frozen=True, slots=True)
class Captured:
    """One answer of a site as it was captured, to be written into a copy.

    ``url`` is the canonical text of its address, without a fragment. ``headers`` have lower-case
    names; of them a copy keeps the type, the language and where a redirect leads. ``body`` comes
    unpacked and is read once.
    """

    url: str
    at: datetime
    status: int
    headers: Mapping[str, str]
    body: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class CopyPage:
    """A page of a copy. ``address`` is an address, or of a ZIM file, which stands for whichever
    host a rule says, path and query alone."""

    address: str
    title: str


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What a copy holds, read from its bytes; none of it is to be trusted more than those are.

    ``main`` is the first page, as ``CopyPage.address``. ``hosts`` are those that a WARC file has
    answers of, or that a ZIM file names its folders by. ``search`` says what can be searched.
    ``first`` are some of its pages, the main one first. ``left_out`` counts answers that are in the
    file and will never be shown; ``findings`` says why, in English sentences.
    """

    kind: CopyKind
    title: str
    language: str
    made_on: date | None
    main: str
    hosts: tuple[str, ...]
    pages: int
    files: int
    unpacked: int
    search: Literal["nothing", "text", "titles"]
    first: tuple[CopyPage, ...] = ()
    left_out: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyAnswer:
    """What a copy has at an address.

    ``status`` is 200, 206 (``span`` is the first and last byte, both included), 302 (``location``
    is the address that it leads to) or 416. ``size`` is that of the whole file, ``body`` what was
    asked for, in chunks of at most 64 KiB; close it when it is not read to the end.
    """

    status: int
    content_type: str
    size: int
    body: Generator[bytes, None, None]
    span: tuple[int, int] | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class CopyFile:
    """One file of a copy, as it is looked through before the copy is taken."""

    address: str
    content_type: str
    size: int
    body: Generator[bytes, None, None]


class SiteCopy(Protocol):
    """A copy of a site that is open for reading. Safe to share between threads."""

    def get(
        self, url: str, *, home: str, span: tuple[int, int | None] | None = None
    ) -> CopyAnswer | None:
        """What the copy has at ``url``, canonical; None where it has nothing.

        ``home`` is the host that the copy stands for: what a ZIM file does not put under a host is
        that one's. Raises ``CopyBroken`` where the bytes turn out not to be readable.
        """
        ...

    def search(self, words: str, *, home: str, most: int) -> list[CopyPage]:
        """At most ``most`` pages for the words, best first; ``address`` is a canonical url. None
        are found where the copy has no index."""
        ...

    @property
    def searchable(self) -> bool: ...

    def files(self) -> Iterator[CopyFile]:
        """Every file that can be shown, each to be read or closed before the next."""
        ...


class Copies(Protocol):
    """Copies of sites as files: looking at one, opening one, writing one."""

    def examine(self, path: Path, *, seconds: float) -> CopyFacts:
        """Read all of an unknown file, in a process of its own with little memory, and say what it
        is; what is needed to find things in it may be left beside it. Raises ``CopyBroken`` with a
        sentence that says what is wrong."""
        ...

    def open(self, path: Path, kind: CopyKind) -> SiteCopy:
        """Open a file that has been examined. Raises ``CopyBroken``."""
        ...

    def write(self, stream: BinaryIO, answers: Iterable[Captured], *, title: str) -> int:
        """Write the answers to ``stream`` as a WARC file, in constant memory; how many there were.

        Of two for one address both are written, and the later one is shown. Raises ``Invalid`` for
        an address that is not canonical.
        """
        ...
