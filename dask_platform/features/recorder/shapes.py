"""What a parameter looks like, without what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from dask_platform.features.recorder.seen import Asked
from dask_platform.features.whitelists.parameters import fits
from dask_platform.features.whitelists.rules import Kind, Parameter

#: From the narrowest on. A choice lists its values, and those are not kept.
_SHAPES: Final = (Kind.INTEGER, Kind.DATE, Kind.WORD, Kind.TEXT)
LONGEST: Final = 500
NAMES_MOST: Final = 30


def shape_of(value: str) -> Kind | None:
    """The narrowest kind that ``value`` fits; None where it fits none, as an address does."""
    for kind in _SHAPES:
        if fits(Parameter(name="x", type=kind, length=LONGEST), value):
            return kind
    return None


def shapes_of(query: Iterable[tuple[str, str]]) -> tuple[Asked, ...]:
    """The parameters of one address, by name. One that stands twice fits no rule."""
    pairs = tuple(query)
    counted = Counter(name for name, _value in pairs)
    return tuple(
        Asked(name, shape_of(value) if counted[name] == 1 else None, len(value))
        for name, value in dict(pairs).items()
    )[:NAMES_MOST]


def wider(one: Kind | None, other: Kind | None) -> Kind | None:
    """The narrowest kind that values of both fit."""
    if one == other:
        return one
    if one is None or other is None:
        return None
    return Kind.TEXT if Kind.TEXT in (one, other) else Kind.WORD


def merged(*several: Iterable[Asked]) -> tuple[Asked, ...]:
    """The parameters of several addresses as one list, each wide enough for all of them."""
    found: dict[str, Asked] = {}
    for asked in several:
        for one in asked:
            known = found.get(one.name, one)
            found[one.name] = Asked(
                one.name, wider(known.shape, one.shape), max(known.length, one.length)
            )
    return tuple(found.values())
