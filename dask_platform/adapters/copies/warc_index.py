"""Where each answer lies in a WARC file: made once, beside the file, as a small SQLite database."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final

import ada_url
from warcio.archiveiterator import ArchiveIterator  # type: ignore[import-untyped]
from warcio.exceptions import ArchiveLoadFailed  # type: ignore[import-untyped]

from dask_platform.adapters.copies.common import (
    CHUNK,
    FIRST,
    HEAD,
    WHOLE_SENTENCE,
    content_type,
    is_page,
    most_unpacked,
    one_line,
    title_of,
)
from dask_platform.adapters.copies.decoding import KNOWN, decoded
from dask_platform.kernel.errors import CopyBroken
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import CopyFacts, CopyPage
from dask_platform.security.weburl import BadAddress, WebAddress, parse

MOST_ANSWERS: Final = 1_000_000
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
BROKEN: Final = N_("The WARC file is broken: it cannot be read to its end.")
_NO_ADDRESS: Final = N_("Answers at addresses that cannot be asked for are left out.")
_INFO: Final = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE)
_SCHEMA: Final = """
CREATE TABLE answer (
  url TEXT PRIMARY KEY, number INTEGER NOT NULL, offset INTEGER NOT NULL, start INTEGER,
  type TEXT NOT NULL, size INTEGER NOT NULL, location TEXT, title TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_WRITE: Final = "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FIND: Final = "SELECT offset, start, type, size, location FROM answer WHERE url = ?"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer lies. ``start`` is the first byte of a body that lies there as it is; None
    where the record must be read from ``offset`` on. ``location``: it leads to that address."""

    offset: int
    start: int | None
    content_type: str
    size: int
    location: str | None


def make(path: Path, index: Path) -> CopyFacts:
    """Read all of the WARC file at ``path`` and write ``index``; what the file holds.

    Kept are answers with status 200 and redirects, at addresses that can be asked for; of two at
    one address the later in the file. http is read as https: nothing is asked for otherwise. Raises
    ``CopyBroken`` where the file is broken or unpacks to too much.
    """
    index.unlink(missing_ok=True)
    with closing(sqlite3.connect(index)) as database:
        database.executescript(_SCHEMA)
        try:
            facts = _read(path, database)
        except ArchiveLoadFailed:
            raise CopyBroken(BROKEN) from None
        database.commit()
    return facts


def find(index: Path, url: str) -> Place | None:
    """The answer at ``url``. Opens and closes the index: no connection outlives its thread."""
    with _opened(index) as database:
        row = database.execute(_FIND, (url,)).fetchone()
    return Place(*row) if row else None


def main_page(index: Path, host: str) -> str | None:
    """The first page of ``host`` that was captured."""
    with _opened(index) as database:
        row = database.execute(
            "SELECT url FROM answer WHERE url LIKE ? AND (type LIKE 'text/html%' OR"
            " type LIKE 'application/xhtml+xml%') AND location IS NULL ORDER BY number LIMIT 1",
            (f"https://{host}/%",),
        ).fetchone()
    return str(row[0]) if row else None


def all_answers(index: Path) -> Iterator[tuple[str, Place]]:
    """Every answer but redirects, in the file's order."""
    with _opened(index) as database:
        for row in database.execute(
            "SELECT url, offset, start, type, size, location FROM answer"
            " WHERE location IS NULL ORDER BY offset"
        ):
            yield row[0], Place(*row[1:])


def _opened(index: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{index.absolute().as_uri()}?immutable=1", uri=True))


def _read(path: Path, database: sqlite3.Connection) -> CopyFacts:
    left_out: Counter[str] = Counter()
    title, days = "", []
    unpacked, most, end = 0, most_unpacked(path.stat().st_size), 0
    with path.open("rb") as file:
        records = ArchiveIterator(file, block_size=16 * 1024)
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        for number, record in enumerate(records):
            if number > MOST_ANSWERS:
                raise CopyBroken(N_("There are more answers in the file than can be looked up."))
            if record.format != "warc" or record.length is None:
                raise CopyBroken(BROKEN)
            address = _address(record.rec_headers.get_header("WARC-Target-URI") or "")
            refusal = _unfit(record, address)
            if record.rec_type == "warcinfo":
                said = _INFO.search(record.content_stream().read(HEAD).decode("utf-8", "replace"))
                title = title or (one_line(said[1]) if said else "")
            elif record.rec_type == "response" and refusal is not None:
                left_out[refusal] += 1
            elif record.rec_type == "response" and address is not None:
                days.append(str(record.rec_headers.get_header("WARC-Date") or "")[:10])
                row, size = _row(record, address, file, packed, records, most - unpacked)
                unpacked += size
                database.execute(_WRITE, (address.text, number, *row))
            _to_the_end(record)
            end = records.get_record_offset() + records.get_record_length()
        # A record whose own head is cut off looks like the end.
        file.seek(end)
        if file.read(CHUNK).strip():
            raise CopyBroken(BROKEN)
    if not days:
        raise CopyBroken(N_("There is no page in the file that could be shown."))
    return _facts(database, title, min(days), unpacked, left_out)


def _row(
    record: Any, address: WebAddress, file: BinaryIO, packed: bool, records: Any, most: int
) -> tuple[tuple[object, ...], int]:
    """What the index says of an answer after its URL and number, and its size unpacked."""
    said = content_type(_header(record, "content-type"))
    head, size = bytearray(), 0
    chunked, packing = coding(record)
    start = None
    if not (packed or chunked or packing not in ("", "identity")):
        start = file.tell() - records.reader.rem_length()
    for chunk in decoded(record.raw_stream, chunked=chunked, packing=packing, most=max(most, 0)):
        size += len(chunk)
        if size > most:
            raise CopyBroken(WHOLE_SENTENCE)
        if len(head) < HEAD:
            head += chunk
    location = None
    if _status(record) in REDIRECTS:
        location = str(ada_url.join_url(address.text, _header(record, "location")))
    title = title_of(bytes(head[:HEAD])) if is_page(said) else ""
    return (records.get_record_offset(), start, said, size, location, title), size


def _facts(
    database: sqlite3.Connection, title: str, day: str, unpacked: int, left_out: Counter[str]
) -> CopyFacts:
    pages = database.execute(
        "SELECT url, title, type FROM answer WHERE location IS NULL ORDER BY number"
    ).fetchall()
    shown = [CopyPage(url, said) for url, said, kind in pages if is_page(kind)]
    hosts = sorted({url.split("/", 3)[2] for url, _title, _type in pages})
    if not shown:
        raise CopyBroken(N_("There is no page in the file that could be shown."))
    return CopyFacts(
        kind="warc",
        title=title or shown[0].title or shown[0].address,
        language="",
        made_on=_day(day),
        main=shown[0].address,
        hosts=tuple(hosts[:FIRST]),
        pages=len(shown),
        files=len(pages),
        unpacked=unpacked,
        search="nothing",
        first=tuple(shown[:FIRST]),
        left_out=sum(left_out.values()),
        findings=tuple(left_out),
    )


def _address(said: str) -> WebAddress | None:
    """The address as it will be asked for."""
    if said.startswith("http://"):
        said = f"https://{said[7:]}"
    try:
        return parse(said)
    except BadAddress as bad:
        try:
            return parse(bad.canonical or "")
        except BadAddress:
            return None


def _to_the_end(record: Any) -> None:
    """Read what is left of a record. Raises ``CopyBroken`` where less is there than it says."""
    while record.raw_stream.read(CHUNK):
        pass
    if getattr(record.raw_stream, "limit", 0) > 0:
        raise CopyBroken(BROKEN)


def _unfit(record: Any, address: WebAddress | None) -> str | None:
    """Why an answer is not kept."""
    if address is None:
        return _NO_ADDRESS
    status = _status(record)
    if status in REDIRECTS:
        return None if _leads_somewhere(record) else N_("Redirects that lead nowhere are left out.")
    if status != 200:
        return N_("Answers that are errors or parts of files are left out.")
    if coding(record)[1] not in KNOWN:
        return N_("Answers in a packing that cannot be undone are left out.")
    return None


def _leads_somewhere(record: Any) -> bool:
    try:
        ada_url.join_url("https://site.example/", _header(record, "location"))
    except ValueError:
        return False
    return bool(_header(record, "location"))


def coding(record: Any) -> tuple[bool, str]:
    """Whether the body is in chunks, and how it is packed."""
    chunked = _header(record, "transfer-encoding").strip().lower() == "chunked"
    return chunked, _header(record, "content-encoding").strip().lower()


def _header(record: Any, name: str) -> str:
    headers = record.http_headers
    return str(headers.get_header(name) or "") if headers else ""


def _status(record: Any) -> int:
    said = record.http_headers.get_statuscode() if record.http_headers else ""
    return int(said) if said and said.isdecimal() and len(said) == 3 else 0


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None
