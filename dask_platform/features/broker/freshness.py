"""May an answer be kept for others, and until when? What a site says, read strictly (RFC 9111).

Only what a site allows in so many words is kept: nothing is guessed from a date of change, and a
header that cannot be read allows nothing. Kept answers end at full minutes, hours or days by the
clock on the wall, never later than the site says. So it does not depend on who came first when
somebody's own copy runs out, and nobody can tell from it that another was there before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - a word of the grammar
# Possessive, so that no header makes it try again.
_DIRECTIVE: Final = re.compile(
    rf'[ \t]*+(?:({_TOKEN})(?:=({_TOKEN}|"(?:[^"\\]|\\.)*+"))?)?[ \t]*+(?:,|\Z)'
)
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_FORBIDS: Final = frozenset({"no-store", "private"})
#: Lengths of a cell of the clock, the longest that fits is taken.
_CELLS: Final = (86400, 3600, 600, 60)
#: No cell is longer; and the calendar ends soon after what some sites write.
_LONGEST: Final = timedelta(seconds=_CELLS[0])


def kept_until(headers: Mapping[str, str], asked_at: datetime) -> datetime | None:
    """Until when an answer with these headers (lower-case names) serves others unasked; None where
    it may not be kept at all. ``asked_at``, when the request went out, stands for "it may be kept,
    and the site is asked each time": only where there is an ``ETag`` to ask with.
    """
    said = directives(headers.get("cache-control", ""))
    if said is None or said.keys() & _FORBIDS or not _same_for_all(headers.get("vary")):
        return None
    lifetime = _lifetime(said, headers, asked_at)
    age = _age(headers, asked_at)
    if lifetime is None or age is None:
        return None
    until = asked_at
    if "no-cache" not in said:
        left = min(lifetime - age, _LONGEST)
        until = max(until, min(asked_at + left, _end_of_cell(asked_at, lifetime)))
    return until if until > asked_at or "etag" in headers else None


def directives(header: str) -> dict[str, str | None] | None:
    """The directives of a ``Cache-Control``, names in lower case; None where it cannot be read, or
    where one stands twice and a reader would choose."""
    found: dict[str, str | None] = {}
    at = 0
    while at < len(header):
        match = _DIRECTIVE.match(header, at)
        if match is None:
            return None
        at = match.end()
        if match[1] is None:
            continue  # a list may have empty places
        name = match[1].lower()
        if name in found:
            return None
        found[name] = match[2]
    return found


def _same_for_all(vary: str | None) -> bool:
    """Whether every request of ours gets the same. Our headers are fixed but for the coding, and a
    whole answer is always asked for in the same coding."""
    names = {one.strip().lower() for one in (vary or "").split(",")}
    return names <= {"", "accept-encoding"}


def _lifetime(
    said: Mapping[str, str | None], headers: Mapping[str, str], asked_at: datetime
) -> timedelta | None:
    """For how long it is fresh, from when it was made; None where nothing, or nonsense, is said."""
    for name in ("s-maxage", "max-age"):
        if name in said:
            return _seconds(said[name])
    if "expires" in headers:
        # What is no date has run out: so says the standard, and sites write «0» or «-1».
        ends = _date(headers["expires"])
        begins = _date(headers["date"]) if "date" in headers else asked_at
        return max(ends - begins, timedelta(0)) if ends and begins else timedelta(0)
    return timedelta(0) if "no-cache" in said else None


def _age(headers: Mapping[str, str], asked_at: datetime) -> timedelta | None:
    """How old the answer was when it was asked for; None where that cannot be read."""
    age = _seconds(headers.get("age", "0"))
    made = _date(headers["date"]) if "date" in headers else asked_at
    if age is None or made is None:
        return None
    return max(age, asked_at - made)


def _end_of_cell(at: datetime, lifetime: timedelta) -> datetime:
    """The end of the minute, ten minutes, hour or day that ``at`` lies in, whichever is the longest
    not longer than ``lifetime``; ``at`` itself for a lifetime shorter than a minute."""
    seconds = next((one for one in _CELLS if one <= lifetime.total_seconds()), 0)
    if not seconds:
        return at
    return datetime.fromtimestamp((int(at.timestamp()) // seconds + 1) * seconds, UTC)


def _seconds(said: str | None) -> timedelta | None:
    return timedelta(seconds=int(said)) if said and _SECONDS.fullmatch(said) else None


def _date(said: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
