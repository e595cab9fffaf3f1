"""The policy engine: one table answers both "may this actor do this to this object" and "which
rows may this actor list".

A feature's ``policy.py`` registers grants: a role, a permission, a sentence that a headmaster can
read, and the condition twice: on an object (``holds``) and as SQL (``rows``). What no grant allows
is refused. ``tests/security/test_policy_agreement.py`` shows that the two agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, false, or_

from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import NotAuthenticated, NotVisible
from dask_platform.security.permissions import Permission


@dataclass(frozen=True, slots=True)
class Grant:
    """``role`` holds ``permission`` over objects for which the condition is true.

    ``model`` is the class of the objects, or None for a permission with no object (a page of one's
    own, making something new); then ``holds`` and ``rows`` are None as well.
    """

    permission: Permission
    role: Role
    says: str
    model: type[Any] | None = None
    holds: Callable[[Actor, Any], bool] | None = None
    rows: Callable[[Actor], ColumnElement[bool]] | None = None

    def __post_init__(self) -> None:
        if (self.model is None) != (self.holds is None) or (self.holds is None) != (
            self.rows is None
        ):
            raise ValueError(f"{self.permission}: give model, holds and rows together, or none")


_grants: dict[Permission, list[Grant]] = {}


def register(*grants: Grant) -> None:
    """Add to the table. A grant that stands there already is left alone."""
    for grant in grants:
        known = _grants.setdefault(grant.permission, [])
        if grant not in known:
            known.append(grant)


def grants(permission: Permission | None = None) -> list[Grant]:
    """The table, or its lines for one permission."""
    if permission is not None:
        return list(_grants.get(permission, ()))
    return [grant for name in sorted(_grants) for grant in _grants[name]]


def may_ever(actor: Actor, permission: Permission) -> bool:
    """Whether the actor holds a role that the permission is given to at all."""
    return any(actor.holds(grant.role) for grant in _grants.get(permission, ()))


def permits(actor: Actor, permission: Permission, thing: object | None = None) -> bool:
    """Whether the actor may do this to this object; False when no line of the table says so."""
    for grant in _grants.get(permission, ()):
        if not actor.holds(grant.role):
            continue
        if grant.model is None or grant.holds is None:
            if thing is None:
                return True
        elif isinstance(thing, grant.model) and grant.holds(actor, thing):
            return True
    return False


def authorise(actor: Actor | None, permission: Permission, thing: object | None = None) -> None:
    """Raise unless permitted. What may not be touched looks as if it were not there."""
    if actor is None:
        raise NotAuthenticated("Log in to go on.")
    if not permits(actor, permission, thing):
        raise NotVisible("There is nothing here.")


def rows(actor: Actor, permission: Permission, model: type[Any]) -> ColumnElement[bool]:
    """For ``WHERE``: the rows of ``model`` over which the actor holds the permission."""
    found: list[ColumnElement[bool]] = [
        grant.rows(actor)
        for grant in _grants.get(permission, ())
        if grant.model is model and grant.rows is not None and actor.holds(grant.role)
    ]
    return or_(false(), *found)


def permitted(actor: Actor, permission: Permission, things: Iterable[Any]) -> list[Any]:
    """Those of ``things`` that the actor may do this to."""
    return [thing for thing in things if permits(actor, permission, thing)]
