"""Writing what was captured as a WARC file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final

from warcio.statusandheaders import StatusAndHeaders  # type: ignore[import-untyped]
from warcio.warcwriter import WARCWriter  # type: ignore[import-untyped]

from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import Captured
from dask_platform.security.weburl import BadAddress, parse

#: Of the headers of an answer, those that a copy keeps. Nothing that says who asked.
KEPT: Final = ("content-type", "content-language", "last-modified", "location")
_IN_MEMORY: Final = 1024 * 1024


def write(stream: BinaryIO, answers: Iterable[Captured], *, title: str = "") -> int:
    """Write ``answers`` to ``stream`` as a WARC 1.1 file; how many there were.

    Bodies are written unpacked, so that a part of a film is found without reading what comes before
    it. Memory used is constant: a body larger than 1 MiB waits in a temporary file until its length
    is known. ``title`` stands in the file's own description. Raises ``Invalid`` for an address that
    is not canonical or has a fragment, with what came before it written.
    """
    writer = WARCWriter(stream, gzip=False, warc_version="WARC/1.1")
    about = {"format": "WARC File Format 1.1", "title": " ".join(title.split())}
    writer.write_record(writer.create_warcinfo_record(None, about))
    count = 0
    for one in answers:
        _write(writer, one)
        count += 1
    return count


def _write(writer: WARCWriter, one: Captured) -> None:
    try:
        canonical = parse(one.url).text
    except BadAddress:
        canonical = None
    if canonical != one.url:
        raise Invalid(N_("What was captured has an address that cannot be looked up again."))
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
        for chunk in one.body:
            body.write(chunk)
        size = body.tell()
        body.seek(0)
        headers = [(name, one.headers[name]) for name in KEPT if name in one.headers]
        headers.append(("content-length", str(size)))
        record = writer.create_warc_record(
            one.url,
            "response",
            payload=body,
            length=size,
            http_headers=StatusAndHeaders(
                f"{one.status} {_phrase(one.status)}", headers, protocol="HTTP/1.1"
            ),
            warc_headers_dict={"WARC-Date": _date(one.at)},
        )
        writer.write_record(record)


def _date(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
