"""May this be fetched? Default deny; deny beats allow; every request is decided afresh.

Rules are found by the host and by each domain above it, in dictionaries, so that a decision costs
the same among ten rules and among a million. Nothing is remembered between two decisions: time,
unit, stop and room are those of this request.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from dask_platform.features.whitelists.parameters import fits
from dask_platform.features.whitelists.rules import Effect, Helper, Level, Parameter, Rule
from dask_platform.kernel.clock import from_oslo, to_oslo
from dask_platform.security.weburl import BadAddress, WebAddress, parse


class Reason(StrEnum):
    """Why a decision fell as it did. Where several rules refuse, the one that came nearest says
    why: the later in this list, the nearer."""

    ALLOWED = "allowed"
    BAD_URL = "bad_url"
    NOT_CANONICAL = "not_canonical"
    SCHEME = "scheme"
    USERINFO = "userinfo"
    PORT = "port"
    ENCODING = "encoding"
    NOT_LISTED = "not_listed"
    UNIT = "unit"
    LEVEL = "level"
    COURSE = "course"
    SITTING = "sitting"
    EXPIRED = "expired"
    PATH = "path"
    CLOSED_PATH = "closed_path"
    METHOD = "method"
    QUERY = "query"
    HOURS = "hours"
    SUPERVISED = "supervised"
    DENIED = "denied"
    STOPPED = "stopped"


_NEARNESS: Final = {reason: at for at, reason in enumerate(Reason)}
_FAULTS: Final = {str(reason): reason for reason in Reason}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks and when. ``unit`` and ``courses`` are slugs; ``level`` is the unit's.

    ``opened`` are the supervised rules that staff have opened for the asker's room, ``stopped`` the
    rules that are stopped; ``everything_stopped`` stops them all. ``sitting``: the exam that the
    asker sits in, whose aids alone are open then.
    """

    at: datetime
    unit: str | None = None
    level: Level | None = None
    courses: frozenset[str] = frozenset()
    sitting: str | None = None
    opened: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
    everything_stopped: bool = False


class Decision(NamedTuple):
    """``rule`` is the one that allowed or that came nearest; ``canonical`` how the address is
    written when it is written right, where it can be read."""

    allowed: bool
    reason: Reason
    rule: str | None = None
    canonical: str | None = None
    address: WebAddress | None = None


def fold(path: str) -> str:
    """A path as closed paths are compared. Upper and lower case, and forms of one letter that
    servers may take for another, are the same here: in doubt it is closed."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFKC", path).casefold()


def under(path: str, prefix: str) -> bool:
    """Whether ``path`` is ``prefix`` or lies under it; a prefix ends where a segment ends."""
    if not path.startswith(prefix):
        return False
    return prefix.endswith("/") or len(path) == len(prefix) or path[len(prefix)] == "/"


class _Place:
    """A host that a rule opens, its own or a helper's, with what is asked of each request worked
    out beforehand."""

    __slots__ = (
        *("closed", "ends", "forms", "longest", "only", "parameters", "paths", "rule"),
        *("scoped", "without"),
    )

    def __init__(self, rule: Rule, helper: Helper | None = None) -> None:
        opened = helper or rule
        deny = rule.effect is Effect.DENY
        self.rule = rule
        #: The last day counts whole, by the clock on the wall. A rule that closes does not run out.
        self.ends = None if deny else _day_after(rule.expires)
        scope = rule.scope
        self.scoped = bool(scope.units or scope.security_levels or scope.courses or scope.sittings)
        self.paths = opened.paths
        self.only = frozenset[str]() if helper else frozenset(rule.only)
        self.closed = tuple(fold(one) for one in (rule.paths if deny else rule.closed))
        self.without = () if helper else tuple(fold(one) for one in rule.without)
        self.longest = rule.longest
        self.parameters = {one.name: one for one in opened.query}
        #: (method, path) → the fields that may stand in the query.
        self.forms: dict[tuple[str, str], dict[str, Parameter]] = {
            (one.method, one.path): {f.name: f for f in one.fields if one.method == "GET"}
            for one in (() if helper else rule.forms)
        }


def _under_any(path: str, prefixes: tuple[str, ...]) -> bool:
    """``under`` for any of them; most paths are sorted out by the first line alone."""
    if not path.startswith(prefixes):
        return False
    return any([under(path, one) for one in prefixes])  # noqa: C419 - a list is faster, so few


@dataclass(slots=True)
class Engine:
    """A set of rules, ready to decide. Not changed once made; a new version is a new engine."""

    _exact: dict[str, list[_Place]] = field(default_factory=dict)
    _below: dict[str, list[_Place]] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Engine:
        engine = cls()
        for rule in rules:
            engine._add(rule.host, _Place(rule), rule.subdomains)
            for helper in rule.helpers:
                engine._add(helper.host, _Place(rule, helper), False)
        return engine

    def _add(self, host: str, place: _Place, subdomains: bool) -> None:
        self._exact.setdefault(host, []).append(place)
        if subdomains:
            self._below.setdefault(host, []).append(place)

    def decide(self, url: str, asked: Asked, method: str = "GET") -> Decision:
        """Whether ``method`` on ``url`` is open to who asks. Never raises for any text."""
        try:
            address = parse(url)
        except BadAddress as bad:
            return Decision(False, _FAULTS[bad.fault], None, bad.canonical)
        return self.judge(address, asked, method)

    def judge(self, address: WebAddress, asked: Asked, method: str = "GET") -> Decision:
        """The same for an address that has been read already."""
        best, rule_id, specific = Reason.NOT_LISTED, None, -1
        places = self._places(address.host)
        for place in places:
            reason = _judge(place, address, asked, method)
            if reason is Reason.DENIED:
                return Decision(False, reason, place.rule.id, address.text, address)
            if reason is Reason.ALLOWED:
                # Of several that allow, the one that names the place most closely answers for it.
                length = _closeness(place, address.path) if len(places) > 1 else 0
                if length > specific:
                    best, rule_id, specific = reason, place.rule.id, length
            elif best is not Reason.ALLOWED and _NEARNESS[reason] > _NEARNESS[best]:
                best, rule_id = reason, place.rule.id
        return Decision(best is Reason.ALLOWED, best, rule_id, address.text, address)

    def _places(self, host: str) -> list[_Place]:
        found = self._exact.get(host, [])
        if self._below:
            at = host.find(".")
            while at >= 0:
                above = self._below.get(host[at + 1 :])
                if above:
                    found = found + above
                at = host.find(".", at + 1)
        return found


def _closeness(place: _Place, path: str) -> int:
    """How much of the path the rule names."""
    return max((len(one) for one in place.paths if under(path, one)), default=0)


def _judge(place: _Place, address: WebAddress, asked: Asked, method: str) -> Reason:
    """What this one rule says."""
    rule = place.rule
    outside = _outside(place, asked)
    if rule.effect is Effect.DENY:
        closed = outside is None and _closed(place, address.path)
        return Reason.DENIED if closed else Reason.NOT_LISTED
    if outside is not None:
        return outside
    path = address.path
    if len(path) > place.longest:
        return Reason.PATH
    if (place.closed or place.without) and _closed(place, path):
        return Reason.CLOSED_PATH
    form = place.forms.get((method, path))
    if form is None and path not in place.only and not _under_any(path, place.paths):
        return Reason.PATH
    if form is None and method not in rule.methods:
        return Reason.METHOD
    if address.query and not _query_fits(place, form, address.query):
        return Reason.QUERY
    return _time_wrong(rule, asked) or Reason.ALLOWED


def _closed(place: _Place, path: str) -> bool:
    folded = fold(path)
    if _under_any(folded, place.closed):
        return True
    return bool(place.without) and any(one in folded for one in place.without)


def _outside(place: _Place, asked: Asked) -> Reason | None:
    """Why the rule is not for who asks, or not any more; None where it is."""
    if place.scoped or asked.sitting is not None:
        narrowed = out_of_scope(place.rule, asked)
        if narrowed is not None:
            return narrowed
    return Reason.EXPIRED if place.ends is not None and asked.at >= place.ends else None


def out_of_scope(rule: Rule, asked: Asked) -> Reason | None:
    """Why the rule is not for who asks, by unit, level, course and exam; None where it is."""
    scope = rule.scope
    if scope.units and asked.unit not in scope.units:
        return Reason.UNIT
    if scope.security_levels and asked.level not in scope.security_levels:
        return Reason.LEVEL
    if scope.courses and asked.courses.isdisjoint(scope.courses):
        return Reason.COURSE
    if asked.sitting is not None and rule.effect is Effect.ALLOW:
        # In an exam only what is an aid of that exam is open.
        return None if asked.sitting in scope.sittings else Reason.SITTING
    return Reason.SITTING if scope.sittings and asked.sitting not in scope.sittings else None


def _day_after(day: date) -> datetime:
    """The first instant, in Norway, of the day after ``day``."""
    return from_oslo(datetime.combine(day + timedelta(days=1), time()))


def _query_fits(
    place: _Place, form: Mapping[str, Parameter] | None, query: tuple[tuple[str, str], ...]
) -> bool:
    """Each parameter known, once, and within its kind and length."""
    seen = set()
    for name, value in query:
        parameter = (form.get(name) if form else None) or place.parameters.get(name)
        if parameter is None or name in seen or not fits(parameter, value):
            return False
        seen.add(name)
    return True


def _time_wrong(rule: Rule, asked: Asked) -> Reason | None:
    if rule.hours:
        local = to_oslo(asked.at)
        if not any(one.hold(local.weekday(), local.time()) for one in rule.hours):
            return Reason.HOURS
    if asked.everything_stopped or rule.id in asked.stopped:
        return Reason.STOPPED
    if rule.supervised and rule.id not in asked.opened:
        return Reason.SUPERVISED
    return None


def expires_within(rules: Iterable[Rule], at: datetime, days: int) -> list[Rule]:
    """The rules that run out within ``days`` of ``at``, or have run out, soonest first."""
    last = to_oslo(at).date() + timedelta(days=days)
    return sorted((one for one in rules if one.expires <= last), key=lambda one: one.expires)
