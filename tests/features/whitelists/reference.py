"""The rules once more, slowly and obviously: what ``Engine`` must never be wider than.

Nothing here is shared with the engine. Every rule is asked, every letter compared.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.rules import Parameter, Rule


def allows(rules: list[Rule], url: str, asked: Asked, method: str = "GET") -> bool:
    if not re.fullmatch(r"https://[a-z0-9.-]+/[!-~]*", url):
        return False
    url = url.split("#")[0]
    parts = urlsplit(url)
    host, path = parts.netloc, unquote(parts.path, errors="strict")
    query = parse_qsl(parts.query, keep_blank_values=True, errors="strict")
    if re.search(r"//|;|\\|(^|/)\.\.?(/|$)|%(2e|2f|5c|3b|00)", parts.path, re.IGNORECASE):
        return False
    for rule in rules:
        if rule.effect == "deny" and _denies(rule, host, path, asked):
            return False
    return any(
        rule.effect == "allow" and _allows(rule, host, path, query, asked, method) for rule in rules
    )


def _hosted(rule: Rule, host: str) -> bool:
    return host == rule.host or (rule.subdomains and host.endswith("." + rule.host))


def _within(path: str, prefix: str) -> bool:
    wanted = [part for part in prefix.split("/") if part]
    has = path.split("/")[1:]
    if prefix.endswith("/") and prefix != "/":
        return path.startswith(prefix)
    return has[: len(wanted)] == wanted


def _same(one: str) -> str:
    return unicodedata.normalize("NFKC", one).casefold()


def _denies(rule: Rule, host: str, path: str, asked: Asked) -> bool:
    return (
        _hosted(rule, host)
        and _meant(rule, asked, sitting_narrows=False)
        and any(_within(_same(path), _same(one)) for one in rule.paths)
    )


def _meant(rule: Rule, asked: Asked, *, sitting_narrows: bool) -> bool:
    scope = rule.scope
    if scope.units and asked.unit not in scope.units:
        return False
    if scope.security_levels and asked.level not in scope.security_levels:
        return False
    if scope.courses and not set(scope.courses) & set(asked.courses):
        return False
    if sitting_narrows and asked.sitting:
        return asked.sitting in scope.sittings
    return not scope.sittings or asked.sitting in scope.sittings


def _allows(
    rule: Rule, host: str, path: str, query: list[tuple[str, str]], asked: Asked, method: str
) -> bool:
    if not _meant(rule, asked, sitting_narrows=True):
        return False
    local = asked.at.astimezone(ZoneInfo("Europe/Oslo"))
    if local.date() > rule.expires:
        return False
    if rule.hours and not any(
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][local.weekday()] in one.days
        and one.opens <= local.strftime("%H:%M") < one.closes
        for one in rule.hours
    ):
        return False
    if rule.supervised and rule.id not in asked.opened:
        return False
    if asked.everything_stopped or rule.id in asked.stopped:
        return False
    if len(path) > rule.longest:
        return False
    if any(
        host == helper.host
        and any(_within(path, one) for one in helper.paths)
        and method in rule.methods
        and _fits(query, helper.query)
        for helper in rule.helpers
    ):
        return True
    if not _hosted(rule, host):
        return False
    if any(_within(_same(path), _same(one)) for one in rule.closed):
        return False
    if any(_same(one) in _same(path) for one in rule.without):
        return False
    for form in rule.forms:
        if form.path == path and form.method == method:
            return _fits(query, (*rule.query, *(form.fields if method == "GET" else ())))
    if method not in rule.methods:
        return False
    return (path in rule.only or any(_within(path, one) for one in rule.paths)) and _fits(
        query, rule.query
    )


def _fits(query: list[tuple[str, str]], known: tuple[Parameter, ...]) -> bool:
    names = [name for name, _value in query]
    return len(names) == len(set(names)) and all(
        any(one.name == name and _holds(one, value) for one in known) for name, value in query
    )


def _holds(parameter: Parameter, value: str) -> bool:
    if len(value) > parameter.length:
        return False
    match parameter.type:
        case "integer":
            return all(one in "0123456789" for one in value)
        case "word":
            return all(one.isascii() and (one.isalnum() or one in "._-") for one in value)
        case "choice":
            return value in parameter.choices
        case "date":
            try:
                return value == "" or date.fromisoformat(value).isoformat() == value
            except ValueError:
                return False
    return (
        not any(unicodedata.category(one)[0] == "C" for one in value)
        and "//" not in value
        and not re.search(r"(https?|javascript|data|ftp):", value, re.IGNORECASE)
    )
