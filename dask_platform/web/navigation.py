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
    here = request.blueprint
    return [
        Link(
            str(entry.label),
            url_for(entry.endpoint),
            current=here is not None and entry.endpoint.split(".")[0] == here,
        )
        for entry in sorted(_entries, key=lambda entry: entry.order)
        if may_ever(actor, entry.permission)
    ]
