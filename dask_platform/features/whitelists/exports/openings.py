"""What a rule opens and what it keeps closed, as expressions over the path and query of an address.

An address is open when it is in plain spelling (``PLAIN``), its host is one of an *opening*'s, it
matches one of ``ways`` with ``query`` and none of ``never``, its path is not over ``longest``, and
no *closing* of its host matches. For addresses in plain spelling that is what the engine says;
``tests/features/whitelists/test_exports.py`` holds the two against each other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from dask_platform.features.whitelists.engine import fold
from dask_platform.features.whitelists.exports.spelling import (
    any_character,
    any_text,
    folded_literal,
    literal,
    speakable,
    value,
)
from dask_platform.features.whitelists.rules import Helper, Hours, Kind, Parameter, Rule
from dask_platform.security.weburl import MOST_PARAMETERS


class CannotSay(Exception):
    """The rule holds something that the target has no words for. The message says what."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Expressions are searched for at the beginning of the path. ``ways`` and then ``query`` reach
    to the end; ``longest`` is the most characters of a path, each escape counted as one."""

    rule: str
    host: str
    subdomains: bool
    ways: tuple[str, ...]
    query: str
    never: tuple[str, ...]
    longest: int
    methods: tuple[str, ...]
    types: tuple[str, ...]
    largest: int
    hours: tuple[Hours, ...]

    @property
    def shape(self) -> str:
        """The ways as one."""
        return f"({'|'.join(self.ways)}){self.query}"


@dataclass(frozen=True, slots=True)
class Closing:
    """Closed on ``host``, whoever opens it."""

    rule: str
    host: str
    subdomains: bool
    never: tuple[str, ...]


#: A path and query in plain spelling, to the end or to a fragment.
PLAIN: Final = rf"/({any_character()}|/)*(\?({any_text()}|[]&[])*)?(#|$)"
#: A segment of one or two dots. A browser never sends one, but others may.
DOTS: Final = r"[^?]*/\.\.?([/?]|$)"
#: One character, where the spelling is known to be plain.
ONE: Final = "([^%?#]|%[2-7].|%[Cc].%..)"
_ONE_OF_TEXT: Final = "([^%&#]|%[2-7].|%[Cc].%..)"
#: What lies under a folder: no empty segment.
_BELOW: Final = "([^/?#]+(/[^/?#]+)*/?)?"


def openings(rule: Rule) -> list[Opening]:
    """Raises ``CannotSay`` for a rule that no expression can hold: all or nothing of it."""
    if rule.supervised:
        raise CannotSay("it is open only while staff have opened it for a room")
    if any(form.method == "POST" for form in rule.forms):
        raise CannotSay("it has a form that is sent with POST, and the fields are not in sight")
    found = [_opening(rule, None)]
    for form in rule.forms:
        merged = {one.name: one for one in rule.query} | {one.name: one for one in form.fields}
        if any(merged[one.name] != one for one in rule.query):
            raise CannotSay(f"a field of {form.path} is also a parameter, with other limits")
        page = replace(found[0], ways=(_literal(form.path),), methods=("GET",))
        found.append(_with_query(page, merged.values(), _closed(rule)))
    return found + [_opening(rule, helper) for helper in rule.helpers]


def closing(rule: Rule) -> Closing:
    """What a rule with ``effect: deny`` closes."""
    return Closing(rule.id, rule.host, rule.subdomains, tuple(_under_folded(rule.paths)))


def _opening(rule: Rule, helper: Helper | None) -> Opening:
    opened = helper or rule
    ways = [
        _literal(path) + (_BELOW if path.endswith("/") else f"(/{_BELOW})?")
        for path in opened.paths
    ]
    if helper is None:
        ways += map(_literal, rule.only)
    opening = Opening(
        rule.id,
        opened.host,
        rule.subdomains and helper is None,
        tuple(ways),
        "",
        (),
        rule.longest,
        tuple(rule.methods),
        opened.types,
        rule.largest,
        rule.hours,
    )
    return _with_query(opening, opened.query, _closed(rule, helper))


def _with_query(opening: Opening, parameters: Iterable[Parameter], closed: list[str]) -> Opening:
    listed = tuple(parameters)
    never = (DOTS, *closed, *_query_never(listed))
    return replace(opening, query=_query(listed), never=never)


def _literal(path: str) -> str:
    if not speakable(path):
        raise CannotSay(f"the path {path} has letters beyond the Latin script")
    return literal(path)


def _closed(rule: Rule, helper: Helper | None = None) -> list[str]:
    found = _under_folded(rule.closed)
    for text in rule.without if helper is None else ():
        spelled = folded_literal(fold(text))
        if spelled is not None:
            found.append(f"{ONE}*{spelled}")
    return found


def _under_folded(paths: Iterable[str]) -> list[str]:
    """For each path, what is it or lies under it in any case. One that no plain spelling can be
    needs no words: it is closed already."""
    found = []
    for path in map(fold, paths):
        spelled = folded_literal(path)
        if spelled is not None:
            found.append(spelled if path.endswith("/") else f"{spelled}([/?]|$)")
    return found


def _query(parameters: Iterable[Parameter]) -> str:
    """An optional query of these, in any order; ``_query_never`` sees that none stands twice."""
    items = [_item(one) for one in parameters]
    if len(items) > MOST_PARAMETERS:
        raise CannotSay(f"it has more than {MOST_PARAMETERS} parameters")
    if not items:
        return ""
    item = f"({'|'.join(items)})"
    return f"(\\?{item}(&{item})*)?"


def _item(parameter: Parameter) -> str:
    name, most = value(parameter.name), parameter.length
    match parameter.type:
        case Kind.INTEGER:
            return f"{name}(=[0-9]{{0,{most}}})?"
        case Kind.WORD:
            return f"{name}(=[A-Za-z0-9._-]{{0,{most}}})?"
        case Kind.TEXT:
            return f"{name}(=[^&#]*)?"
        case Kind.DATE:
            return f"{name}(=({_DATE})?)?" if most >= len("2026-11-22") else f"{name}=?"
        case Kind.CHOICE:
            return f"{name}=({'|'.join(_choices(parameter))})"


def _choices(parameter: Parameter) -> list[str]:
    ways = [one for one in parameter.choices if len(one) <= parameter.length]
    if not ways or not all(
        speakable(one) and unicodedata.is_normalized("NFC", one) for one in ways
    ):
        raise CannotSay(f"a choice of {parameter.name} cannot be written")
    return [value(one) for one in ways]


_YEAR: Final = "([0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP: Final = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
_DATE: Final = (
    f"{_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29"
)


def _query_never(parameters: Iterable[Parameter]) -> list[str]:
    listed = list(parameters)
    found = []
    for one in listed:
        # With one name alone a second item can only be the same again.
        name = value(one.name)
        found.append(rf"[^?]*\?([^#]*&)?{name}(=[^&]*)?&([^#]*&)?{name}(=|&|$)")
        if one.type is Kind.TEXT:
            found.append(rf"[^?]*\?([^#]*&)?{name}={_ONE_OF_TEXT}{{{one.length + 1}}}")
    if any(one.type is Kind.TEXT for one in listed):
        # An address inside a text asks the site to go there for one.
        found.append(r"[^?]*\?.*(/|%2[Ff])(/|%2[Ff])")
        schemes = ("http", "https", "javascript", "data", "ftp")
        words = "|".join(folded_literal(one) or "" for one in schemes)
        found.append(rf"[^?]*\?.*({words})(:|%3[Aa])")
    return found
