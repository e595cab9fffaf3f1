"""From what a recording saw to a rule: the smallest opening that shows it again.

Pure: no database, no clock, no request. What it leaves out it says, with the reason, because an
officer has to know what a student will miss.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pydantic import ValidationError

from dask_platform.features.recorder.paths import opened, plain
from dask_platform.features.recorder.seen import HTML, OF_SCRIPT, PARTS, Asked, Seen, What
from dask_platform.features.recorder.shapes import merged
from dask_platform.features.whitelists.checks import best_case
from dask_platform.features.whitelists.engine import Engine, fold, under
from dask_platform.features.whitelists.hosts import (
    is_public_suffix,
    registrable,
    skeleton,
    strange_letters,
)
from dask_platform.features.whitelists.rules import (
    MOST_BYTES,
    RELAY_NAMES,
    Fault,
    Kind,
    Parameter,
    Profile,
    Rule,
)
from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.messages import N_
from dask_platform.security.hostmap import label_of

ONLY_MOST: Final = 200
PATHS_MOST: Final = 50
HELPERS_MOST: Final = 12
QUERY_MOST: Final = 30
HELPER_QUERY_MOST: Final = 10
TYPES_MOST: Final = 30
EXAMPLES_MOST: Final = 50
CLOSED_MOST: Final = 100
_LENGTHS: Final = (4, 8, 16, 32, 60, 120, 250, 500)

NOTHING_CHOSEN: Final = N_("Choose at least one page that was opened and can be in a rule.")


@dataclass(frozen=True, slots=True)
class Said:
    """What the officer says of the rule. ``parts``: open whole parts of the site where several
    pages share one, and not the pages alone. ``copy`` is the copy that a frozen rule names."""

    id: str
    title: tuple[str, str]
    description: tuple[str, str]
    owner: str
    author: str
    reason: str
    expires: date
    profile: Profile = Profile.READER
    parts: bool = True
    copy: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Something that the rule does not open, and why: a sentence with its places."""

    message: str
    params: dict[str, str]


@dataclass(slots=True)
class Draft:
    """A rule to be read and changed, and what it leaves out."""

    rule: Rule
    left: list[Left] = field(default_factory=list)


def propose(host: str, seen: Sequence[Seen], chosen: Collection[str], said: Said) -> Draft:
    """The rule that opens the ``chosen`` pages (paths as in ``Seen``) of ``host`` and what they
    need. Raises ``Invalid`` where none of them can be opened."""
    if not _fit(host):
        raise Invalid(N_("No rule can name this host: anybody can have a site below it."))
    left: list[Left] = []
    asked = _Parameters(left)
    pages = [
        one
        for one in seen
        if one.kind is What.PAGE and one.host == host and one.path in chosen and one.whole
    ]
    parts = [one for one in seen if one.kind in PARTS and one.whole and _needed(one, said.profile)]
    own = [one for one in parts if one.host == host and one.mime not in HTML]
    wanted = _plain(pages, left)
    if not wanted:
        raise Invalid(NOTHING_CHOSEN)
    prefixes, only = opened(wanted.values(), parts=said.parts)
    more, beside = opened(_plain(own, left).values(), parts=said.parts)
    prefixes, only = _joined([*prefixes, *more], [*only, *beside])
    if len(only) > ONLY_MOST:
        for path in only[ONLY_MOST:]:
            left.append(
                _left(N_("%(what)s: a rule has no room for more single pages."), host, path)
            )
        only = only[:ONLY_MOST]
    helpers = _helpers(host, parts, said, left)
    used = [one for one in (*pages, *own) if _opens(plain(one.host, one.path), prefixes, only)]
    helped = {one["host"]: one["paths"] for one in helpers}
    elsewhere = [
        one for one in parts if _opens(plain(one.host, one.path), helped.get(one.host, []), ())
    ]
    body: dict[str, Any] = {
        "id": said.id,
        "title": {"nb": said.title[0], "nn": said.title[1]},
        "description": {"nb": said.description[0], "nn": said.description[1]},
        "host": host,
        "paths": prefixes,
        "only": only,
        "closed": _closed(host, seen, [*prefixes, *only, *_paths(used)]),
        "longest": _longest([*prefixes, *only, *_paths([*used, *elsewhere])]),
        "query": asked.of(host, used, QUERY_MOST),
        "types": sorted({one.mime for one in used if one.mime})[:TYPES_MOST],
        "largest": _largest([*used, *elsewhere]),
        "profile": str(said.profile),
        "helpers": helpers,
        "owner": said.owner,
        "author": said.author,
        "reviewer": "–",
        "reason": said.reason,
        "expires": said.expires.isoformat(),
    }
    if said.copy is not None:
        body["copy"] = said.copy
    for helper in helpers:
        there = [one for one in elsewhere if one.host == helper["host"]]
        helper["query"] = asked.of(helper["host"], there, HELPER_QUERY_MOST)
    body["examples"] = _examples(host, pages, body)
    for one in seen:
        if one.kind is What.FORM and one.host == host:
            left.append(_left(N_("%(what)s: a form was found. It stays closed."), host, one.path))
    return Draft(_rule(body), _once(left))


def _needed(one: Seen, profile: Profile) -> bool:
    """Whether a page shown like this has a use for it."""
    return profile is Profile.SCRIPTED or one.kind not in OF_SCRIPT


def _plain(found: Iterable[Seen], left: list[Left]) -> dict[str, str]:
    """Path as in the address → as a rule writes it."""
    paths = {}
    for one in found:
        path = plain(one.host, one.path)
        if path is None:
            left.append(_left(N_("%(what)s: no rule can name this path."), one.host, one.path))
        else:
            paths[one.path] = path
    return paths


def _opens(path: str | None, prefixes: Collection[str], only: Collection[str]) -> bool:
    return path is not None and (path in only or any(under(path, one) for one in prefixes))


def _joined(prefixes: list[str], only: list[str]) -> tuple[list[str], list[str]]:
    """Without what lies under another one."""
    kept = sorted(
        one
        for one in set(prefixes)
        if not any(other != one and under(one, other) for other in prefixes)
    )
    return kept, sorted({one for one in only if not any(under(one, other) for other in kept)})


def _helpers(host: str, parts: list[Seen], said: Said, left: list[Left]) -> list[dict[str, Any]]:
    by_host: dict[str, list[Seen]] = {}
    for one in parts:
        if one.host != host and one.mime not in HTML and one.mime:
            by_host.setdefault(one.host, []).append(one)
    found: list[dict[str, Any]] = []
    taken = {skeleton(registrable(host)): registrable(host)}
    for name, needed in sorted(by_host.items()):
        owner = registrable(name)
        if not _fit(name) or taken.setdefault(skeleton(owner), owner) != owner:
            left.append(_left(N_("%(what)s: no rule can name this host."), name, ""))
            continue
        prefixes, single = opened(_plain(needed, left).values(), parts=said.parts)
        paths, _rest = _joined([*prefixes, *(one for one in single if one != "/")], [])
        if "/" in single:
            # Under «/» lies the whole host. That is for a person to open.
            left.append(
                _left(N_("%(what)s: only the whole host would do. Open it by hand."), name, "/")
            )
        if not paths:
            continue
        if len(found) == HELPERS_MOST:
            left.append(_left(N_("%(what)s: a rule has no room for more hosts."), name, ""))
            continue
        for path in paths[PATHS_MOST:]:
            left.append(_left(N_("%(what)s: a rule has no room for more paths."), name, path))
        types = sorted({one.mime for one in needed if _opens(plain(name, one.path), paths, ())})
        found.append({"host": name, "paths": paths[:PATHS_MOST], "types": types[:TYPES_MOST]})
    return found


def _fit(host: str) -> bool:
    try:
        label_of(host)
    except Invalid:
        return False
    return not is_public_suffix(host) and not strange_letters(host)


def _paths(seen: Iterable[Seen]) -> list[str]:
    return [path for one in seen if (path := plain(one.host, one.path)) is not None]


def _closed(host: str, seen: Iterable[Seen], needed: list[str]) -> list[str]:
    """Where people log in, search, write: closed by name, where that closes nothing needed."""
    found = []
    for one in seen:
        path = plain(host, one.path) if one.host == host else None
        if one.kind not in (What.LINK, What.FORM) or path is None or path == "/":
            continue
        if not any(under(fold(other), fold(path)) for other in needed):
            found.append(path)
    return sorted(set(found))[:CLOSED_MOST]


def _longest(paths: Iterable[str]) -> int:
    """Room for what was seen and a little more, in whole twenties."""
    most = max(len(one) for one in paths)
    return min(1000, (most // 20 + 1) * 20)


def _largest(seen: Iterable[Seen]) -> int:
    """The next power of two above twice the largest."""
    twice = 2 * max((one.size for one in seen), default=0)
    return min(MOST_BYTES, max(1024, 1 << twice.bit_length()))


class _Parameters:
    """Parameters by name, the narrowest kind that fits what was seen."""

    def __init__(self, left: list[Left]) -> None:
        self._left = left

    def of(self, host: str, seen: Iterable[Seen], most: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for asked in merged(*(one.query for one in seen)):
            made = self._one(host, asked)
            if made is not None and len(found) == most:
                self._say(N_("%(what)s: a rule has no room for more parameters."), host, asked)
            elif made is not None:
                found.append(made)
        return found

    def _one(self, host: str, asked: Asked) -> dict[str, Any] | None:
        if asked.shape is Kind.TEXT:
            self._say(N_("%(what)s: a parameter with free text. It stays closed."), host, asked)
            return None
        length = next((one for one in _LENGTHS if one >= asked.length), None)
        if asked.shape is None or length is None or asked.name.lower() in RELAY_NAMES:
            self._say(N_("%(what)s: no rule can open this parameter."), host, asked)
            return None
        try:
            made = Parameter(name=asked.name, type=asked.shape, length=length)
        except ValidationError:
            self._say(N_("%(what)s: no rule can open this parameter."), host, asked)
            return None
        return {"name": made.name, "type": str(made.type), "length": made.length}

    def _say(self, message: str, host: str, asked: Asked) -> None:
        self._left.append(_left(message, host, f" ?{asked.name[:60]}="))


def _examples(host: str, pages: Sequence[Seen], body: dict[str, Any]) -> dict[str, list[str]]:
    """What was opened must be open; the folders above it, and what is closed, must not."""
    passing = [
        one.url for one in pages if _opens(plain(host, one.path), body["paths"], body["only"])
    ][:EXAMPLES_MOST]
    above = {f"https://{host}:8443/"}
    candidates = [f"{one.url.rstrip('/').rpartition('/')[0]}/" for one in pages]
    candidates += [f"https://{host}{path}" for path in body["closed"] if path.isascii()]
    rule = _rule({**body, "examples": {"pass": passing, "refuse": sorted(above)}})
    engine, asked = Engine.of([rule]), best_case(rule, {})
    refusing = [
        url
        for url in dict.fromkeys(candidates)
        if url.startswith(f"https://{host}/") and not engine.decide(url, asked).allowed
    ]
    return {"pass": passing, "refuse": (refusing or sorted(above))[:EXAMPLES_MOST]}


def _rule(body: dict[str, Any]) -> Rule:
    try:
        return Rule.model_validate_json(json.dumps(body))
    except ValidationError as error:
        first = error.errors()[0]
        field_name = str(first["loc"][0]) if first["loc"] else None
        if first["type"] == "value_error":
            fault: Fault = first["ctx"]["error"]
            raise Invalid(fault.message, field_name, **fault.params) from None
        raise Invalid(N_("Write this in another way."), field_name) from None


def _left(message: str, host: str, path: str) -> Left:
    return Left(message, {"what": f"{host}{path}"})


def _once(left: list[Left]) -> list[Left]:
    known = {(one.message, one.params["what"]): one for one in left}
    return list(known.values())
