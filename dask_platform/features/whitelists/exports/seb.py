"""Safe Exam Browser's URL filter, as a plist with the filter's part of a configuration.

Its expressions are regular expressions that the browser looks for anywhere in the address, without
regard to case; so each is anchored and turns that off. What is prohibited goes before what is
permitted, and what nothing permits is blocked.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterable
from typing import Any, Final

from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.exports.openings import (
    ONE,
    PLAIN,
    CannotSay,
    Closing,
    Opening,
)
from dask_platform.features.whitelists.exports.selection import Export, choose
from dask_platform.features.whitelists.rules import Rule
from dask_platform.security.weburl import MOST_CHARACTERS

FILE: Final = "dask-whitelist.seb.plist"
_BLOCK: Final = 0
_ALLOW: Final = 1


def export(rules: Iterable[Rule], asked: Asked) -> Export:
    """One plist, whose entries stand in the order of the rules' names."""
    chosen = choose(rules, asked, _sayable)
    entries = [
        _entry(f"^.{{{MOST_CHARACTERS + 1}}}", _BLOCK),
        _entry(f"^(?!https://[a-z0-9.-]+{PLAIN})", _BLOCK),
    ]
    for closing in chosen.closings:
        entries += [_entry(f"^https://{_host(closing)}({one})", _BLOCK) for one in closing.never]
    for one in chosen.openings:
        entries.append(_entry(expression(one), _ALLOW))
    settings = {
        "URLFilterEnable": True,
        # Also what a page fetches by itself.
        "URLFilterEnableContentFilter": True,
        "URLFilterMessage": 0,
        "URLFilterRules": entries,
    }
    return chosen.export({FILE: plistlib.dumps(settings, sort_keys=True).decode()})


def _sayable(_rule: Rule, opening: Opening) -> None:
    if opening.hours:
        raise CannotSay("Safe Exam Browser knows no hours")
    if opening.types:
        raise CannotSay(
            f"Safe Exam Browser sees no types, and {opening.host} may give only some of them"
        )
    if "GET" not in opening.methods:
        raise CannotSay("Safe Exam Browser sees no methods, and this rule has no GET")


def expression(opening: Opening) -> str:
    """The whole of an opening. A fragment never leaves the browser."""
    never = [*opening.never, f"{ONE}{{{opening.longest + 1}}}"]
    closed = "".join(f"(?!{_before_fragment(one)})" for one in never)
    return f"^(?-i:https://{_host(opening)}{closed}{opening.shape})(#.+)?$"


def _before_fragment(never: str) -> str:
    return never.replace("$)", "$|#)")


def _host(place: Opening | Closing) -> str:
    host = place.host.replace(".", r"\.")
    return rf"([a-z0-9-]+\.)*{host}" if place.subdomains else host


def _entry(expression_: str, action: int) -> dict[str, Any]:
    return {"action": action, "active": True, "expression": expression_, "regex": True}
