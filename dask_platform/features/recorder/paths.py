"""From the paths that were needed to what a rule opens: single paths, and the parts that several
of them share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dask_platform.security.weburl import BadAddress, parse

#: So many paths make a part of a site worth opening.
ENOUGH: Final = 3
# What no path of a rule holds, see ``whitelists.rules``.
_NEVER: Final = ("//", "?", "#", ";", "%", "\\", "*")


def plain(host: str, path: str) -> str | None:
    """``path`` of an address as a rule writes it, decoded; None where no rule can."""
    try:
        found = parse(f"https://{host}{path}").path
    except BadAddress:
        return None
    bad = any(mark in found for mark in _NEVER)
    return None if bad or any(part in (".", "..") for part in found.split("/")) else found


@dataclass(slots=True)
class _Node:
    """A part of a site, by the segments that lead to it."""

    pages: list[str] = field(default_factory=list)
    below: dict[str, _Node] = field(default_factory=dict)


def opened(paths: Iterable[str], *, parts: bool) -> tuple[list[str], list[str]]:
    """What to open for ``paths`` (decoded): the parts with all that lies under them, and single
    paths.

    A part is the longest beginning, in whole segments, that ``ENOUGH`` of them share; the whole
    site is never one. With ``parts`` False every path stands for itself.
    """
    wanted = sorted(set(paths))
    if not parts:
        return [], wanted
    root = _Node()
    for path in wanted:
        node = root
        *folders, name = path[1:].split("/")
        for segment in folders if not name else (*folders, name):
            node = node.below.setdefault(segment, _Node())
        node.pages.append(path)
    prefixes, single = _gather(root, "")
    return sorted(prefixes), sorted(single)


def _gather(node: _Node, at: str) -> tuple[list[str], list[str]]:
    prefixes: list[str] = []
    single = list(node.pages)
    for segment, child in node.below.items():
        more, rest = _gather(child, f"{at}/{segment}")
        prefixes += more
        single += rest
    if at and len(single) >= ENOUGH:
        return [at], []
    return prefixes, single
