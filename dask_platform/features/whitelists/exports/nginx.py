"""nginx, as a map: request → the rule that opens it.

For the nginx in front of the broker. There each site has a host name of its own (see
``security.hostmap``), so the map is over the method, that name, and the path with its query, as
they were sent. An empty answer means closed::

    include /etc/nginx/dask-whitelist.map;
    location / { if ($dask_whitelist = "") { return 403; } … }

The broker's own ``/_dask/`` is no site's, and not in the map: give it a location without the test.
The broker decides as well, each time; this map only closes earlier.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.exports.openings import (
    ONE,
    PLAIN,
    CannotSay,
    Closing,
    Opening,
)
from dask_platform.features.whitelists.exports.selection import Export, choose, heading
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.errors import Invalid
from dask_platform.security.hostmap import label_of
from dask_platform.security.weburl import MOST_CHARACTERS

FILE: Final = "dask-whitelist.map"
#: nginx's expressions are compiled into 64 KiB; a longer count does not fit.
MOST_COUNTED: Final = 400
#: nginx reads no word of a configuration that is over 4096 characters.
MOST_WORD: Final = 4000


def export(rules: Iterable[Rule], asked: Asked, domain: str) -> Export:
    """``domain``: the broker's own, such as ``ressurs.example``."""
    suffix = domain.replace(".", r"\.")
    chosen = choose(
        rules, asked, lambda rule, opening: _sayable(rule, opening, suffix), has_copies=True
    )
    lines = [
        f'    "~^.{{{MOST_CHARACTERS + 1}}}" "";',
        f'    {_quoted(f"~^(?![A-Z]+ [a-z0-9.-]+{PLAIN})")} "";',
    ]
    for closing in chosen.closings:
        lines.append(f"    # {closing.rule}")
        for one in closing.never:
            asks = rf"~^[A-Z]+ {_label(closing)}\.{suffix}({one})"
            lines.append(f'    {_quoted(asks)} "";')
    for opening in chosen.openings:
        lines += [f"    {asks} {opening.rule};" for asks in _asks(opening, suffix)]
    body = "\n".join(lines)
    text = (
        f'{heading(chosen, asked)}map "$request_method $host$request_uri" $dask_whitelist {{\n'
        f'    default "";\n{body}\n}}\n'
    )
    return chosen.export({FILE: text})


def _asks(opening: Opening, suffix: str) -> list[str]:
    """One expression a way, because of their length."""
    never = [*opening.never, f"{ONE}{{{opening.longest + 1}}}"]
    closed = "".join(f"(?!{expression})" for expression in never)
    start = rf"~^({'|'.join(opening.methods)}) {_label(opening)}\.{suffix}{closed}"
    return [_quoted(f"{start}{way}{opening.query}$") for way in opening.ways]


def _sayable(rule: Rule, opening: Opening, suffix: str) -> None:
    if opening.hours:
        raise CannotSay("a map knows no hours")
    if opening.types:
        raise CannotSay(f"a map sees no types, and {opening.host} may give only some of them")
    if max([rule.longest, *(one.length for one in rule.query)]) > MOST_COUNTED:
        raise CannotSay(f"nginx does not count past {MOST_COUNTED} characters")
    try:
        label_of(opening.host)
    except Invalid as invalid:
        raise CannotSay(f"{opening.host} has no label: {invalid}") from None
    if any(len(asks) > MOST_WORD for asks in _asks(opening, suffix)):
        raise CannotSay("it says more than nginx reads in one word")


def _label(place: Opening | Closing) -> str:
    """The label; with subdomains, also those of hosts below. A dot is one hyphen, and what was a
    hyphen is two, so exactly one may stand before."""
    label = label_of(place.host)
    if not place.subdomains:
        return label
    if isinstance(place, Closing):
        return f"([a-z0-9-]*-)?{label}"
    return f"(?!xn--)([a-z0-9]+((-|(--)+)[a-z0-9]+)*-)?{label}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
