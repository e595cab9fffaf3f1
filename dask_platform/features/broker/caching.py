"""Answers of sites kept for others: fewer fetches, and no student can tell.

``fetch`` stands in front of ``Upstream.fetch``. Kept is what a site allows to be kept for
everybody, whole, and only where nothing of the student went out: a GET without cookie, form or free
text, answered by 200 without ``Set-Cookie``. It is found by its canonical address and the scope of
its rule, never by anything that a browser sends, and never by another scope. Whether a page is open
is decided before.

A kept answer comes with the headers, and as slowly, as it came from the site the first time: how
long one waits does not tell whether somebody has been there. Whoever has fetched it to its end
themselves has it at once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast
from uuid import UUID

from dask_platform.features.broker import kept
from dask_platform.features.broker.answers import OwnAnswer
from dask_platform.features.broker.fetching import SHOWN, Kind
from dask_platform.features.broker.freshness import kept_until
from dask_platform.features.broker.kept import Came, Found, Later, Own
from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.rules import MIB, Rule
from dask_platform.kernel.errors import (
    FileCorrupt,
    FileMissing,
    StorageUnavailable,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dask_platform.kernel.ports import Upstream, UpstreamRequest, UpstreamResponse
from dask_platform.web.platform import Platform
from dask_platform.web.uploads import temporary_folder

#: The most bytes of one answer that is kept.
LARGEST: Final = 16 * MIB
#: The longest that a kept answer is held back, in seconds.
LONGEST_WAIT: Final = 3.0
_CHUNK: Final = 64 * 1024
_LOOK_UP: Final = 0.1
_IN_MEMORY: Final = 256 * 1024

own = Own()
later = Later()
# Rules are replaced whole when one changes: the same object says the same.
_said: dict[str, tuple[Rule, str]] = {}


@dataclass(frozen=True, slots=True)
class _Sought:
    """A request of which something may be kept. ``found`` is what is, ``mine`` whether the person
    has fetched it before. ``begun`` by the monotonic clock, ``at`` by the wall's."""

    platform: Platform
    person: UUID
    request: UpstreamRequest
    key: bytes
    found: Found | None
    mine: bool
    begun: float
    at: datetime


def fetch(
    platform: Platform,
    person: UUID,
    request: UpstreamRequest,
    rule: Rule,
    asked: Asked,
    *,
    typed: bool,
    largest: int,
    seconds: float,
    stopped: Callable[[], bool] = lambda: False,
) -> UpstreamResponse:
    """As ``Upstream.fetch``, with its errors, for a request that ``rule`` allows to ``person``, who
    asks as ``asked``. ``typed``: free text goes out with it. No connection to the database is held
    while it waits, for the site or for time to pass."""
    upstream = cast(Upstream, platform.upstream)
    ask = partial(upstream.fetch, largest=largest, seconds=seconds, stopped=stopped)
    plain = request.method == "GET" and request.cookie is None and request.etag is None
    if typed or not plain or not platform.settings.site_answers_bytes:
        return ask(request)
    begun, at = time.monotonic(), platform.clock.now()
    key = key_of(request.url, rule, asked)
    mine, found = own.known(person, key, at)
    if not mine:
        found = kept.find(platform, person, key)
    sought = _Sought(platform, person, request, key, found, mine, begun, at)
    if found is not None and found.size <= largest:
        try:
            held = _answered(sought, found, _Pace(begun, begun + seconds, stopped), ask)
        except (FileMissing, FileCorrupt, StorageUnavailable):
            own.forget(person, key)
            sought, held = replace(sought, found=None), None
        if held is not None:
            return held
    return _keeping(sought, ask(request))


def _answered(
    sought: _Sought, found: Found, pace: _Pace, ask: Callable[[UpstreamRequest], UpstreamResponse]
) -> UpstreamResponse | None:
    """What is kept, where it may be handed out; None where the site has to be asked for all of it.
    Raises, before anything is handed out, what the store raises."""
    if sought.at < found.fresh_until:
        return _opened(sought, found, pace)
    if found.etag is None or sought.request.span is not None:
        return None
    answer = ask(replace(sought.request, etag=found.etag))
    if answer.status != 304:
        return _keeping(sought, answer)
    answer.close()
    return _opened(sought, _confirmed(sought, found, answer), pace, answer.set_cookies)


def key_of(url: str, rule: Rule, asked: Asked) -> bytes:
    """The name of what is kept: address, rule as it reads now, and of unit, level and courses what
    the rule is narrowed to. Nothing in it is a browser's to choose but the address."""
    scope = rule.scope
    parts = [
        url,
        rule.id,
        _digest(rule),
        asked.unit if scope.units else None,
        asked.level if scope.security_levels else None,
        sorted(asked.courses.intersection(scope.courses)),
        asked.sitting if scope.sittings else None,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _digest(rule: Rule) -> str:
    held = _said.get(rule.id)
    if held is None or held[0] is not rule:
        digest = hashlib.sha256(rule.model_dump_json(by_alias=True).encode()).hexdigest()
        held = _said[rule.id] = (rule, digest)
    return held[1]


def _confirmed(sought: _Sought, found: Found, answer: UpstreamResponse) -> Found:
    """What is kept, with what the 304 says of it."""
    said = {name: value for name, value in answer.headers.items() if name in _FRESHENED}
    # How old it was the first time says nothing of now.
    before = {name: value for name, value in found.headers.items() if name not in ("age", "date")}
    headers = {**before, **said}
    until = kept_until(headers, sought.at)
    of = (sought.platform, sought.person, sought.key, found.file_key)
    if until is None or answer.set_cookies:
        later.do(partial(kept.drop, *of))
        return found
    came = Came(headers, sought.at, until, found.head_seconds, found.took_seconds)
    later.do(partial(kept.freshen, *of, came))
    return replace(found, headers=headers, fresh_until=until)


#: What an answer of 304 may change of what is kept.
_FRESHENED: Final = frozenset({"age", "cache-control", "date", "etag", "expires", "vary"})


# -- what is kept, handed out ------------------------------------------------------------


class _Pace:
    """Holding back, and looking up meanwhile whether everything still holds."""

    def __init__(self, begun: float, ends: float, stopped: Callable[[], bool]) -> None:
        self.begun = begun
        self._ends = ends
        self._stopped = stopped

    def check(self) -> None:
        if self._stopped():
            raise UpstreamStopped("stopped by the caller")
        if time.monotonic() >= self._ends:
            raise UpstreamTimeout("over the time for all of it")

    def wait(self, seconds: float) -> None:
        """Until so many seconds after the beginning, and never past ``LONGEST_WAIT``."""
        until = self.begun + min(seconds, LONGEST_WAIT)
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_UP))
            self.check()


def _opened(
    sought: _Sought, found: Found, pace: _Pace, set_cookies: tuple[str, ...] = ()
) -> OwnAnswer | None:
    """The kept answer or the part of it that was asked for; None where the part is not in it."""
    span = sought.request.span
    headers = dict(found.headers)
    offset, length = 0, found.size
    if span is not None:
        first, last = span
        last = found.size - 1 if last is None else min(last, found.size - 1)
        if first > last or headers.get("accept-ranges", "").lower() != "bytes":
            return None
        offset, length = first, last - first + 1
        headers["content-range"] = f"bytes {first}-{last}/{found.size}"
        headers["content-length"] = str(length)
    pace.check()
    # Missing, damaged, or no answer from the store: known with the first bytes.
    chunks = sought.platform.files.open(found.file_key, offset=offset, length=length)
    first_bytes = next(chunks, b"")
    if not sought.mine:
        pace.wait(found.head_seconds)
    body = _replay(chain([first_bytes], chunks), sought, found, pace, length)
    return OwnAnswer(200 if span is None else 206, headers, body, set_cookies)


def _replay(
    chunks: Iterator[bytes], sought: _Sought, found: Found, pace: _Pace, length: int
) -> Generator[bytes, None, None]:
    for_body = found.took_seconds - found.head_seconds
    sent = 0
    try:
        for large in chunks:
            for at in range(0, len(large), _CHUNK):
                chunk = large[at : at + _CHUNK]
                sent += len(chunk)
                if sought.mine:
                    pace.check()
                else:
                    pace.wait(found.head_seconds + for_body * sent / length)
                yield chunk
    except (FileMissing, FileCorrupt, StorageUnavailable) as error:
        raise UpstreamUnavailable(f"what was kept broke off: {type(error).__name__}") from None
    if sought.request.span is None:
        own.fetched(sought.person, sought.key, found)


# -- what comes, kept --------------------------------------------------------------------


def _keeping(sought: _Sought, answer: UpstreamResponse) -> UpstreamResponse:
    """The answer itself, written down on its way where it may be kept."""
    if sought.request.span is not None:
        return answer
    until = _may_be_kept(answer, sought.at)
    if until is None:
        own.nothing(sought.person, sought.key, sought.at)
        return answer
    head = time.monotonic() - sought.begun
    came = Came(dict(answer.headers), sought.at, until, head, head)
    chunks = _written_down(sought, answer, came)
    return OwnAnswer(answer.status, answer.headers, chunks, answer.set_cookies, answer.close)


def _may_be_kept(answer: UpstreamResponse, at: datetime) -> datetime | None:
    length = answer.headers.get("content-length", "0")
    if answer.status != 200 or answer.set_cookies or Kind.of(answer).mime not in SHOWN:
        return None
    if not length.isdigit() or int(length) > LARGEST:
        return None
    return kept_until(answer.headers, at)


def _written_down(
    sought: _Sought, answer: UpstreamResponse, came: Came
) -> Generator[bytes, None, None]:
    """The bytes as they come. What breaks off, or is not read to its end, is not kept."""
    chunks = iter(answer.body)
    took, size = came.head_seconds, 0
    folder = temporary_folder(sought.platform.settings.home)
    body = cast(BinaryIO, SpooledTemporaryFile(_IN_MEMORY, dir=str(folder)))  # noqa: SIM115
    handed_on = False
    try:
        while True:
            # What the reader of this takes its time for is none of the site's.
            asked = time.monotonic()
            chunk = next(chunks, None)
            took += time.monotonic() - asked
            if chunk is None:
                break
            size += len(chunk)
            if size <= LARGEST:
                body.write(chunk)
            elif not body.closed:
                body.close()
            yield chunk
        if size <= LARGEST:
            handed_on = True
            later.do(partial(_keep, sought, replace(came, took_seconds=took), body), body.close)
    finally:
        if not handed_on:
            body.close()


def _keep(sought: _Sought, came: Came, body: BinaryIO) -> None:
    platform, person, key = sought.platform, sought.person, sought.key
    with body:
        found = kept.keep(platform, person, key, came, body, sought.found)
    if found is not None:
        own.fetched(person, key, found)
