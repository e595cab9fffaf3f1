"""Copies made for tests: small ZIM and WARC files with a site in them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from libzim.writer import Creator, Hint, Item, StringProvider

from dask_platform.adapters.copies.writing import write
from dask_platform.kernel.ports import Captured

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcff"
    "9fa11e000782027f3dc848ef0000000049454e44ae426082"
)


@dataclass(frozen=True)
class File:
    """A file of a copy. ``path`` as a ZIM file has it."""

    path: str
    body: bytes
    mime: str = "text/html"
    title: str = ""


def page(path: str, title: str, body: str, head: str = "") -> File:
    whole = (
        f"<!doctype html><html lang=nb><head><title>{title}</title>{head}</head>"
        f"<body><h1>{title}</h1>{body}</body></html>"
    )
    return File(path, whole.encode(), "text/html", title)


class _Entry(Item):  # type: ignore[misc]
    def __init__(self, file: File) -> None:
        super().__init__()
        self._file = file

    def get_path(self) -> str:
        return self._file.path

    def get_title(self) -> str:
        return self._file.title

    def get_mimetype(self) -> str:
        return self._file.mime

    def get_contentprovider(self) -> StringProvider:
        return StringProvider(self._file.body)

    def get_hints(self) -> dict[Hint, int]:
        return {Hint.FRONT_ARTICLE: self._file.mime == "text/html"}


def make_zim(
    path: Path, files: Iterable[File], *, main: str, index: bool = True,
    redirects: Iterable[tuple[str, str]] = (), title: str = "Verktøy",
) -> Path:  # fmt: skip
    with Creator(path).config_indexing(index, "nob").set_mainpath(main) as creator:
        for file in files:
            creator.add_item(_Entry(file))
        for source, target in redirects:
            creator.add_redirection(source, source, target, {})
        creator.add_metadata("Title", title)
        creator.add_metadata("Language", "nob")
        creator.add_metadata("Date", "2026-11-20")
    return path


def captured(
    url: str, body: bytes = b"<title>Side</title>", mime: str = "text/html; charset=utf-8",
    status: int = 200, **headers: str,
) -> Captured:  # fmt: skip
    return Captured(url, AT, status, {"content-type": mime, **headers}, [body])


def make_warc(path: Path, answers: Iterable[Captured], title: str = "Verktøy") -> Path:
    with path.open("wb") as stream:
        write(stream, answers, title=title)
    return path


def warc_record(url: str, http: bytes, kind: str = "response") -> bytes:
    """A record with exactly these bytes in it, as a careless or hostile program writes them."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2026-11-22T09:30:00Z\r\nWARC-Record-ID: <urn:uuid:{hash(url) & 0xFFFF:x}>\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def http(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", "Content-Type: text/html", *lines))
    return f"{head}\r\n\r\n".encode() + body


def as_stream(path: Path) -> io.BytesIO:
    return io.BytesIO(path.read_bytes())
