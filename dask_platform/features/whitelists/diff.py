"""What a change opens and what it closes, in words a reviewer reads before approving.

Two answers. Over the rules: every field that lets more or less through, a sentence each. Over what
people really did: which of the last weeks' requests would come out otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.rules import Effect, Form, Helper, Hours, Parameter, Rule
from dask_platform.kernel.messages import N_


class Way(StrEnum):
    OPENS = "opens"
    CLOSES = "closes"
    ALTERS = "alters"  # neither: words, owner, or a change that is both


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise. ``message`` is an English sentence to be translated, ``params``
    what stands in it."""

    rule: str
    way: Way
    message: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def english(self) -> str:
        return self.message % self.params if self.params else self.message


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was made, with who asked and when; ``times``: how often just so."""

    url: str
    asked: Asked
    method: str = "GET"
    times: int = 1


@dataclass(frozen=True, slots=True)
class Consequences:
    """Addresses whose answer changes, with how many requests asked for each, most first."""

    close: list[tuple[str, int]]
    open: list[tuple[str, int]]

    def changes(self) -> list[Change]:
        """The same as sentences of the kind «3 pages that were read close»."""
        said = []
        if self.close:
            said.append(
                Change(
                    "", Way.CLOSES, N_("%(n)s pages that were read close."), {"n": len(self.close)}
                )
            )
        if self.open:
            said.append(
                Change(
                    "", Way.OPENS, N_("%(n)s pages that were refused open."), {"n": len(self.open)}
                )
            )
        return said


def changes(old: Iterable[Rule], new: Iterable[Rule]) -> list[Change]:
    """Everything that is otherwise in ``new``, rule by rule."""
    before, after = {one.id: one for one in old}, {one.id: one for one in new}
    said: list[Change] = []
    for rule_id in sorted(before.keys() | after.keys()):
        was, now = before.get(rule_id), after.get(rule_id)
        if was is None and now is not None:
            said.append(_whole(now, N_("New: %(place)s."), appears=True))
        elif now is None and was is not None:
            said.append(_whole(was, N_("Taken away: %(place)s."), appears=False))
        elif was is not None and now is not None and was != now:
            said += _between(was, now)
    return said


def consequences(old: Engine, new: Engine, requests: Iterable[Request]) -> Consequences:
    """Which of ``requests`` come out otherwise under ``new``."""
    closed: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    for one in requests:
        was = old.decide(one.url, one.asked, one.method)
        now = new.decide(one.url, one.asked, one.method)
        if was.allowed and not now.allowed:
            closed[one.url] += one.times
        elif now.allowed and not was.allowed:
            opened[one.url] += one.times
    return Consequences(closed.most_common(), opened.most_common())


def _whole(rule: Rule, message: str, *, appears: bool) -> Change:
    opens = appears == (rule.effect is Effect.ALLOW)
    return Change(rule.id, Way.OPENS if opens else Way.CLOSES, message, {"place": place(rule)})


def place(rule: Rule) -> str:
    """Host and paths, as a person writes them: ``*.snl.no/fag, /om``."""
    host = f"*.{rule.host}" if rule.subdomains else rule.host
    paths = ", ".join((*rule.paths, *rule.only))
    return f"{host}{paths}"


def _between(was: Rule, now: Rule) -> Iterator[Change]:
    if was.effect is not now.effect:
        yield _whole(now, N_("It opened, and now closes: %(place)s.") if now.effect is Effect.DENY
                     else N_("It closed, and now opens: %(place)s."), appears=True)  # fmt: skip
        return
    # What a rule that closes says more of, it closes.
    flip = now.effect is Effect.DENY
    for change in (*_where(was, now), *_how(was, now), *_for_whom(was, now)):
        yield _flipped(change) if flip else change
    if was.expires != now.expires:
        later = now.expires > was.expires
        yield Change(
            now.id,
            (Way.OPENS if later else Way.CLOSES) if not flip else Way.ALTERS,
            N_("It ends %(now)s instead of %(was)s."),
            {"now": now.expires.isoformat(), "was": was.expires.isoformat()},
        )
    texts = ("title", "description", "owner", "author", "reviewer", "reason", "examples")
    if any(getattr(was, name) != getattr(now, name) for name in texts):
        yield Change(now.id, Way.ALTERS, N_("Its words, its people or its examples are changed."))


def _flipped(change: Change) -> Change:
    other = {Way.OPENS: Way.CLOSES, Way.CLOSES: Way.OPENS, Way.ALTERS: Way.ALTERS}
    return Change(change.rule, other[change.way], change.message, change.params)


def _where(was: Rule, now: Rule) -> Iterator[Change]:
    if was.host != now.host:
        yield _said(now, Way.CLOSES, N_("No longer the host %(what)s."), was.host)
        yield _said(now, Way.OPENS, N_("The host %(what)s."), now.host)
    if was.subdomains != now.subdomains:
        way = Way.OPENS if now.subdomains else Way.CLOSES
        message = (
            N_("Hosts below %(what)s too.") if now.subdomains else N_("No hosts below %(what)s.")
        )
        yield _said(now, way, message, now.host)
    for name in ("paths", "only", "closed", "without", "helpers"):
        yield from _listed(was, now, name)
    if was.longest != now.longest:
        way = Way.OPENS if now.longest > was.longest else Way.CLOSES
        yield _said(now, way, N_("Paths of up to %(what)s characters."), now.longest)


def _how(was: Rule, now: Rule) -> Iterator[Change]:
    for name in ("query", "forms", "methods"):
        yield from _listed(was, now, name)
    if was.types != now.types and not (was.types and now.types):
        way = Way.CLOSES if now.types else Way.OPENS
        yield _said(now, way, N_("Kinds of files: %(what)s."), ", ".join(now.types) or "–")
    else:
        yield from _listed(was, now, "types")
    if was.largest != now.largest:
        way = Way.OPENS if now.largest > was.largest else Way.CLOSES
        yield _said(now, way, N_("Answers of up to %(what)s bytes."), now.largest)
    if was.profile is not now.profile:
        order = ["frozen", "reader", "scripted"]
        way = Way.OPENS if order.index(now.profile) > order.index(was.profile) else Way.CLOSES
        yield _said(now, way, N_("It is shown as %(what)s."), str(now.profile))
    yield from _copied(was, now)


def _copied(was: Rule, now: Rule) -> Iterator[Change]:
    """Which copy is shown. Another one may hold more, or less."""
    if was.frozen_copy == now.frozen_copy:
        return
    if now.frozen_copy is None:
        yield Change(now.id, Way.CLOSES, N_("No copy is shown."))
    elif was.frozen_copy is None:
        yield _said(now, Way.OPENS, N_("The copy %(what)s is shown."), now.frozen_copy.sha256)
    else:
        yield _said(now, Way.ALTERS, N_("Another copy is shown: %(what)s."), now.frozen_copy.sha256)


def _for_whom(was: Rule, now: Rule) -> Iterator[Change]:
    messages = {
        "units": N_("For these units only: %(what)s."),
        "security_levels": N_("For units of these security levels only: %(what)s."),
        "courses": N_("For these courses only: %(what)s."),
        "sittings": N_("For these exams only: %(what)s."),
    }
    for name, message in messages.items():
        before, after = set(getattr(was.scope, name)), set(getattr(now.scope, name))
        if before != after:
            what = ", ".join(sorted(after)) or "–"
            yield _said(now, _narrowed(before, after), message, what)
    if was.hours != now.hours:
        what = "; ".join(_hours(one) for one in now.hours) or "–"
        yield _said(now, _narrowed(set(was.hours), set(now.hours)), N_("Open at: %(what)s."), what)
    if was.supervised != now.supervised:
        yield Change(
            now.id,
            Way.CLOSES if now.supervised else Way.OPENS,
            N_("Open only while staff have opened it for a room.")
            if now.supervised
            else N_("Open without staff having opened it."),
        )


def _narrowed(before: set[Any], after: set[Any]) -> Way:
    """Of two sets where none means all: whether the second lets more through, fewer, or others."""
    if not before or (after and after < before):
        return Way.CLOSES
    if not after or before < after:
        return Way.OPENS
    return Way.ALTERS


def _said(rule: Rule, way: Way, message: str, what: object) -> Change:
    return Change(rule.id, way, message, {"what": what})


def _parameter(one: Parameter) -> str:
    what = "|".join(one.choices) if one.choices else f"{one.type}, {one.length}"
    return f"{one.name} ({what})"


def _form(one: Form) -> str:
    return f"{one.method} {one.path}: {', '.join(_parameter(f) for f in one.fields)}"


def _helper(one: Helper) -> str:
    return f"{one.host}{', '.join(one.paths)} ({', '.join(one.types)})"


def _hours(one: Hours) -> str:
    return f"{' '.join(one.days)} {one.opens}–{one.closes}"


@dataclass(frozen=True, slots=True)
class _List:
    """How a list of a rule is told of. ``closing``: one more in it lets less through."""

    more: str
    fewer: str
    words: Callable[[Any], str] = str
    closing: bool = False


_LISTS = {
    "paths": _List(N_("What lies under %(what)s."), N_("No longer what lies under %(what)s.")),
    "only": _List(N_("The page %(what)s."), N_("No longer the page %(what)s.")),
    "closed": _List(
        N_("%(what)s stays closed."), N_("%(what)s is no longer kept closed."), closing=True
    ),
    "without": _List(
        N_("No path with «%(what)s» in it."),
        N_("Paths with «%(what)s» in them too."),
        closing=True,
    ),
    "helpers": _List(N_("Files from %(what)s."), N_("No longer files from %(what)s."), _helper),
    "query": _List(
        N_("The parameter %(what)s."), N_("No longer the parameter %(what)s."), _parameter
    ),
    "forms": _List(
        N_("The form %(what)s can be sent."), N_("The form %(what)s can no longer be sent."), _form
    ),
    "methods": _List(
        N_("Requests of the kind %(what)s."), N_("No longer requests of the kind %(what)s.")
    ),
    "types": _List(N_("Files of the kind %(what)s."), N_("No longer files of the kind %(what)s.")),
}


def _listed(was: Rule, now: Rule, name: str) -> Iterator[Change]:
    """What was added to the list ``name`` and what was taken out of it."""
    told = _LISTS[name]
    before, after = getattr(was, name), getattr(now, name)
    opens, closes = (Way.CLOSES, Way.OPENS) if told.closing else (Way.OPENS, Way.CLOSES)
    for one in after:
        if one not in before:
            yield _said(now, opens, told.more, told.words(one))
    for one in before:
        if one not in after:
            yield _said(now, closes, told.fewer, told.words(one))
