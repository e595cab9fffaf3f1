"""The menu: each feature adds its entries, and an actor sees those that lead somewhere."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request, url_for
from flask_babel.speaklater import LazyString

from dask_platform.kernel.actor import Actor
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import may_ever


@dataclass(frozen=True, slots=True)
class Entry:
    """``order`` places it; ``label`` is an English msgid marked with ``lazy_gettext``."""

    order: int
    label: str | LazyString
    endpoint: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str
    current: bool


_entries: list[Entry] = []


def add(*entries: Entry) -> None:
    for entry in entries:
        if entry not in _entries:
            _entries.append(entry)


def entries(actor: Actor | None) -> list[Link]:
    if actor is None:
        return []
    shown = [
        (str(entry.label), url_for(entry.endpoint))
        for entry in sorted(_entries, key=lambda entry: entry.order)
        if may_ever(actor, entry.permission)
    ]
    # The entry whose address the page lies under; where two do, the longer one.
    above = [url for _label, url in shown if f"{request.path}/".startswith(f"{url.rstrip('/')}/")]
    here = max(above, key=len, default=None)
    return [Link(label, url, current=url == here) for label, url in shown]
