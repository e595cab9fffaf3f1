"""Pages from an approved copy: the same road as for a site, with nothing outside at its end.

What decides, what is cleaned, what stands in the log and what cuts a transfer off is all as for a
site that is fetched; only the bytes come from the copy that the rule names by its hash. No
connection is made, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final, NamedTuple

import structlog

from dask_platform.features.broker.answers import OwnAnswer
from dask_platform.features.broker.deciding import Desk
from dask_platform.features.whitelists.copies import opened
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.features.whitelists.rules import FrozenCopy, Profile, Rule
from dask_platform.kernel.errors import (
    CopyBroken,
    DaskError,
    FileCorrupt,
    FileMissing,
    StorageUnavailable,
    Unavailable,
    UpstreamAnswerRefused,
    UpstreamCopyMissing,
    UpstreamCopyNotReady,
    UpstreamStopped,
    UpstreamTooLarge,
)
from dask_platform.kernel.ports import CopyAnswer, SiteCopy, UpstreamResponse
from dask_platform.web.platform import Platform

#: The most characters that are searched for, and the most pages that are named for them.
MOST_WORDS: Final = 100
MOST_FOUND: Final = 25

log = structlog.get_logger("dask.broker")


class Hit(NamedTuple):
    """A page that was found and may be opened. ``url`` is canonical."""

    url: str
    title: str


def is_frozen(rule: Rule) -> bool:
    return rule.profile is Profile.FROZEN


def fetch(
    platform: Platform,
    rule: Rule,
    url: str,
    span: tuple[int, int | None] | None,
    *,
    largest: int,
    stopped: Callable[[], bool],
) -> UpstreamResponse:
    """What the rule's copy has at ``url``, as an upstream would answer: 200, 206, 302, 416, or 404
    for what it does not have. ``largest``, ``stopped`` and the errors are those of
    ``Upstream.fetch``."""
    found = _copy(platform, rule).get(url, home=rule.host, span=span)
    if found is None:
        return OwnAnswer(404, {}, _none())
    if found.size > largest:
        found.body.close()
        raise UpstreamTooLarge("a file of the copy over the rule's limit")
    return OwnAnswer(found.status, _headers(found), _passed_on(found.body, stopped))


def searchable(platform: Platform, rule: Rule) -> bool:
    """Whether the rule's copy can be searched. A copy that cannot be opened cannot."""
    if not is_frozen(rule) or rule.frozen_copy is None:
        return False
    try:
        return _copy(platform, rule).searchable
    except DaskError:
        return False


def search(platform: Platform, at: Desk, host: str, words: str) -> list[Hit]:
    """The pages on ``host`` that ``words`` are found in, best first, each of them open to who asks.
    Nothing leaves the house: the index lies in the copy. Raises ``UpstreamError``."""
    found: list[Hit] = []
    for rule in searched(at, host) if words else []:
        for one in _copy(platform, rule).search(words, home=host, most=MOST_FOUND):
            decision = at.decide(one.address)
            if decision.allowed and decision.rule == rule.id:
                found.append(Hit(one.address, one.title))
    return found[:MOST_FOUND]


def words_of(written: str) -> str:
    """What somebody wrote, as it is searched for: one line, no longer than ``MOST_WORDS``."""
    line = " ".join(written.split())
    return "".join(one for one in line if one.isprintable())[:MOST_WORDS]


def searched(at: Desk, host: str) -> list[Rule]:
    """The frozen rules on ``host`` that are open to who asks, at this moment."""
    return [
        rule
        for rule in at.rules.values()
        if rule.host == host and rule.frozen_copy is not None and entry(at, rule).allowed
    ]


def entry(at: Desk, rule: Rule) -> Decision:
    """Whether the rule opens anything now: its own first example says so."""
    if not rule.examples.allowed:
        return Decision(False, Reason.NOT_LISTED)
    return at.decide(rule.examples.allowed[0])


def _copy(platform: Platform, rule: Rule) -> SiteCopy:
    named: FrozenCopy | None = rule.frozen_copy
    if named is None:
        raise UpstreamCopyMissing("the rule names no copy")
    try:
        return opened(platform, named)
    except FileMissing:
        log.error("copy_missing", rule=rule.id, sha256=named.sha256)
        raise UpstreamCopyMissing("not in the store") from None
    except StorageUnavailable as error:
        raise UpstreamCopyNotReady(f"the store: {error}") from None
    except Unavailable as error:
        raise UpstreamCopyNotReady(str(error)) from None
    except (CopyBroken, FileCorrupt) as error:
        log.error("copy_broken", rule=rule.id, sha256=named.sha256)
        raise UpstreamAnswerRefused(f"the copy: {error}") from None


def _headers(found: CopyAnswer) -> dict[str, str]:
    if found.location is not None:
        return {"location": found.location}
    given = {"content-type": found.content_type, "accept-ranges": "bytes"}
    if found.status == 416:
        return {**given, "content-range": f"bytes */{found.size}", "content-length": "0"}
    if found.span is None:
        return {**given, "content-length": str(found.size)}
    first, last = found.span
    return {
        **given,
        "content-range": f"bytes {first}-{last}/{found.size}",
        "content-length": str(last - first + 1),
    }


def _passed_on(
    chunks: Generator[bytes, None, None], stopped: Callable[[], bool]
) -> Generator[bytes, None, None]:
    """The chunks, until somebody says stop."""
    try:
        for chunk in chunks:
            if stopped():
                raise UpstreamStopped("stopped by the caller")
            yield chunk
    except CopyBroken as error:
        raise UpstreamAnswerRefused(f"the copy: {error}") from None
    finally:
        chunks.close()


def _none() -> Generator[bytes, None, None]:
    yield from ()
