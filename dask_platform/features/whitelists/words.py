"""What the pages call things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.queries import body_of
from dask_platform.features.whitelists.rules import Rule, Words
from dask_platform.kernel.yaml_reader import Problem
from dask_platform.web.i18n import plain_day

ACTIONS: dict[str, LazyString] = {
    "add": _l("New rule"),
    "change": _l("A change"),
    "remove": _l("Taken away"),
}
PROPOSAL_STATES: dict[str, tuple[LazyString, str]] = {
    "approved": (_l("Approved"), "success"),
    "refused": (_l("Refused"), "danger"),
    "waiting": (_l("Waits for another officer"), "warning"),
    "withdrawn": (_l("Taken back"), "neutral"),
}
WISH_STATES: dict[str, tuple[LazyString, str]] = {
    "open": (_l("Waits for an answer"), "warning"),
    "opened": (_l("Opened"), "success"),
    "proposed": (_l("Being looked at"), "info"),
    "refused": (_l("Refused"), "danger"),
}
STOP_KINDS: dict[str, LazyString] = {
    "room": _l("All sites, in a room"),
    "rule": _l("One site"),
    "student": _l("All sites, for a student"),
    "unit": _l("All sites, at a unit"),
}
PROFILES: dict[str, LazyString] = {
    "frozen": _l("An approved copy"),
    "reader": _l("Cleaned pages without script"),
    "scripted": _l("With the site's own script"),
}
LEVELS: dict[str, LazyString] = {
    "high": _l("high security"),
    "low": _l("low security"),
    "transitional": _l("transitional housing"),
}
DAYS: dict[str, LazyString] = {
    "mon": _l("Monday"),
    "tue": _l("Tuesday"),
    "wed": _l("Wednesday"),
    "thu": _l("Thursday"),
    "fri": _l("Friday"),
    "sat": _l("Saturday"),
    "sun": _l("Sunday"),
}
#: Whether a site is open this minute, for those whom it is meant for.
OPEN_NOW: dict[Reason, tuple[LazyString, str]] = {
    Reason.ALLOWED: (_l("Open now"), "success"),
    Reason.HOURS: (_l("Closed at this hour"), "neutral"),
    Reason.SUPERVISED: (_l("Only together with staff"), "info"),
    Reason.STOPPED: (_l("Stopped for now"), "danger"),
}
#: How an example came out.
REASONS: dict[Reason, LazyString] = {
    Reason.ALLOWED: _l("open"),
    Reason.BAD_URL: _l("not an address"),
    Reason.NOT_CANONICAL: _l("not written the way browsers write it"),
    Reason.SCHEME: _l("not https"),
    Reason.USERINFO: _l("has a user name in it"),
    Reason.PORT: _l("names a port"),
    Reason.ENCODING: _l("has a hidden character in it"),
    Reason.NOT_LISTED: _l("no rule names this host"),
    Reason.UNIT: _l("not for this unit"),
    Reason.LEVEL: _l("not for this security level"),
    Reason.COURSE: _l("not for this course"),
    Reason.SITTING: _l("not for this exam"),
    Reason.EXPIRED: _l("the rule has run out"),
    Reason.PATH: _l("this part of the site is not opened"),
    Reason.CLOSED_PATH: _l("this part of the site is kept closed"),
    Reason.METHOD: _l("sends something"),
    Reason.QUERY: _l("has a parameter that is not opened"),
    Reason.HOURS: _l("closed at this hour"),
    Reason.SUPERVISED: _l("only together with staff"),
    Reason.DENIED: _l("a rule keeps it closed"),
    Reason.STOPPED: _l("stopped"),
}


def problem(one: Problem) -> str:
    """What is wrong, in the reader's language, with the field that it is about before it. The
    reason why an example fell as it did is said as the page says it elsewhere."""
    said: dict[str, object] = dict(one.params)
    if said.get("reason") in set(Reason):
        said["reason"] = REASONS[Reason(str(said["reason"]))]
    sentence = _(one.message, **said)
    return f"{one.field}: {sentence}" if one.field else sentence


def in_language(words: Words, locale: str) -> str:
    """The words in the reader's language; bokmål where they are not written in it."""
    return getattr(words, locale, None) or words.nb


def hours_of(rule: Rule) -> list[str]:
    """When the rule is open, a line each; empty: always."""
    return [
        _(
            "%(days)s from %(start)s to %(end)s",
            days=_days(one.days),
            start=one.opens.replace(":", "."),
            end=one.closes.replace(":", "."),
        )
        for one in rule.hours
    ]


def _days(days: Sequence[str]) -> str:
    """The days in words: three or more in a row as from–to, others one by one."""
    week = list(DAYS)
    runs: list[list[str]] = []
    for day in sorted(days, key=week.index):
        if runs and week.index(day) == week.index(runs[-1][-1]) + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(
        f"{DAYS[run[0]]}–{DAYS[run[-1]]}" if len(run) > 2 else ", ".join(str(DAYS[d]) for d in run)
        for run in runs
    )


def audience(rule: Rule) -> str:
    """For whom the rule is, in a line."""
    scope = rule.scope
    parts = [
        _("units: %(what)s", what=", ".join(scope.units)) if scope.units else "",
        ", ".join(str(LEVELS[level]) for level in scope.security_levels),
        _("courses: %(what)s", what=", ".join(scope.courses)) if scope.courses else "",
        _("exams: %(what)s", what=", ".join(scope.sittings)) if scope.sittings else "",
    ]
    return "; ".join(part for part in parts if part) or _("All units")


def describe(rule: Rule) -> Iterator[tuple[str, list[str]]]:
    """The rule as terms and lines, for a page and for two of them side by side."""
    yield _("Title"), [rule.title.nb]
    yield _("Description"), [rule.description.nb]
    yield _("Effect"), [_("Opens") if rule.effect == "allow" else _("Keeps closed")]
    yield _("Host"), [f"*.{rule.host}" if rule.subdomains else rule.host]
    yield _("What lies under"), list(rule.paths)
    if rule.only:
        yield _("Single pages"), list(rule.only)
    if rule.closed:
        yield _("Kept closed"), list(rule.closed)
    if rule.query:
        yield _("Parameters"), [f"{one.name} ({one.type}, {one.length})" for one in rule.query]
    if rule.helpers:
        yield _("Helper hosts"), [f"{one.host} {' '.join(one.paths)}" for one in rule.helpers]
    if rule.forms:
        yield _("Forms"), [f"{one.method} {one.path}" for one in rule.forms]
    yield _("Shown as"), [str(PROFILES[rule.profile])]
    if rule.frozen_copy is not None:
        yield _("The copy"), [rule.frozen_copy.kind.upper(), rule.frozen_copy.sha256]
    yield _("For whom"), [audience(rule)]
    yield _("Hours"), hours_of(rule) or [_("Always")]
    if rule.supervised:
        yield _("Supervision"), [_("Only together with staff")]
    yield _("Owner"), [rule.owner]
    yield _("Reason"), [rule.reason]
    yield _("Expires"), [plain_day(rule.expires)]
    yield _("Must be open"), list(rule.examples.allowed)
    yield _("Must be closed"), list(rule.examples.refused)


def beside(old: Rule | None, new: Rule | None) -> list[tuple[str, list[str], list[str], bool]]:
    """Both rules by term: (term, old lines, new lines, whether they differ)."""
    was = dict(describe(old)) if old else {}
    now = dict(describe(new)) if new else {}
    terms = [*now, *(term for term in was if term not in now)]
    return [
        (term, was.get(term, []), now.get(term, []), was.get(term) != now.get(term))
        for term in terms
    ]


def as_yaml(rule: Rule) -> str:
    """The rule as its file would be written: without what goes without saying."""
    body = body_of(rule)
    short = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return str(
        yaml.safe_dump(
            {key: short[key] for key in body if key in short},
            allow_unicode=True,
            sort_keys=False,
            width=90,
        )
    )
