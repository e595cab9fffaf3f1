"""Checking the chain without trusting the database that holds it.

Each row's hash is SHA-256 over the hash before it and every column of the row, each as its length
in bytes, a colon, and its text in UTF-8; null is a minus sign. Times are microseconds since 1970.
The first row follows SHA-256 of ``dask audit chain``.

What this finds: a row that was changed, removed, inserted or moved, up to the newest. What it
cannot find by itself is a chain cut short at its end or written anew from some point on. For that
the end (number and hash) is kept elsewhere: in each signed week, and wherever the operator keeps
what ``audit verify`` prints. ``expect`` holds such a mark against the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.kernel.messages import N_

Row = RowMapping | Mapping[str, Any]
GENESIS = hashlib.sha256(b"dask audit chain").digest()
_COLUMNS = (
    "seq", "at_us", "kind", "actor_id", "actor_name", "actor_role", "unit_id", "address",
    "object_type", "object_id", "subject_id", "request_id", "details",
)  # fmt: skip
_READ = text(
    "SELECT seq::text, (extract(epoch FROM at) * 1000000)::bigint::text AS at_us, kind,"
    " actor_id::text, actor_name, actor_role, unit_id::text, host(address) AS address,"
    " object_type, object_id, subject_id::text, request_id, details::text AS details,"
    " previous, hash FROM audit_event ORDER BY audit_event.seq"
).execution_options(yield_per=2000)
_HEAD = text("SELECT seq, hash FROM audit_head")
_ANCHORS = text(
    "SELECT DISTINCT head_seq, head_hash FROM audit_review WHERE head_seq > 0 ORDER BY head_seq"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of the chain as it was at some time: row number and hash."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """``broken_at`` is the number of the first row that does not fit, and ``why`` says how."""

    rows: int
    end: Mark
    broken_at: int | None = None
    why: str = ""


def link(previous: bytes, row: Row) -> bytes:
    """The hash of ``row`` (texts, or None) after ``previous``."""
    digest = hashlib.sha256(previous)
    for column in _COLUMNS:
        value = row[column]
        if value is None:
            digest.update(b"-")
        else:
            raw = value.encode("utf-8")
            digest.update(str(len(raw)).encode("ascii") + b":" + raw)
    return digest.digest()


def verify(uow: UnitOfWork, *, expect: Mark | None = None) -> Verdict:
    """Walk the whole chain; constant memory."""
    anchors = [Mark(seq, bytes(found)) for seq, found in uow.execute(_ANCHORS)]
    head = uow.execute(_HEAD).one()
    if expect is not None:
        anchors.append(expect)
    with uow.execute(_READ) as rows:  # closed when the walk stops at a broken link
        verdict = walk(rows.mappings(), anchors)
    if verdict.broken_at is None and (head.seq, bytes(head.hash)) != (
        verdict.end.seq,
        verdict.end.hash,
    ):
        last = min(head.seq, verdict.end.seq) + 1
        return Verdict(verdict.rows, verdict.end, last, N_("the newest rows are missing"))
    return verdict


def walk(rows: Iterable[Row], anchors: Iterable[Mark] = ()) -> Verdict:
    """The chain over ``rows`` in order, and every anchor that must lie on it."""
    marks = {mark.seq: mark.hash for mark in anchors}
    end = Mark(0, GENESIS)
    count = 0
    for row, fault in _faults(rows):
        count += 1
        seq = int(row["seq"])
        if not fault and seq in marks and marks.pop(seq) != bytes(row["hash"]):
            fault = N_("the chain was written anew: it differs from what was signed")
        if fault:
            broken = end.seq + 1 if fault.startswith("rows are missing") else seq
            return Verdict(count, end, broken, fault)
        end = Mark(seq, bytes(row["hash"]))
    if marks:
        return Verdict(count, end, end.seq + 1, N_("the chain ends before a row that was signed"))
    return Verdict(count, end)


def _faults(rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
    seq, previous = 0, GENESIS
    for row in rows:
        fault = ""
        if int(row["seq"]) != seq + 1:
            fault = N_("rows are missing before it")
        elif bytes(row["previous"]) != previous:
            fault = N_("it does not follow the row before it")
        elif link(previous, row) != bytes(row["hash"]):
            fault = N_("it was changed")
        yield row, fault
        seq, previous = int(row["seq"]), bytes(row["hash"])
