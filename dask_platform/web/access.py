"""Who may call an endpoint, said above it.

Every view carries ``@requires(Permission.X)`` or ``@public("why")``. One that carries neither is
refused for everybody, at run time, whatever it would have done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from dask_platform.security.permissions import Permission

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "__dask_access__"


@dataclass(frozen=True, slots=True)
class Access:
    """``permission`` None means public, for the reason in ``why``.

    ``before_second_factor`` opens the page to a person who has given the password alone; ``upload``
    lets a request carry files.
    """

    permission: Permission | None
    why: str = ""
    before_second_factor: bool = False
    upload: bool = False


def requires(
    permission: Permission, *, before_second_factor: bool = False, upload: bool = False
) -> Callable[[View], View]:
    """Only for actors who hold ``permission`` at all; the service then checks the object.

    ``upload`` lets the request carry files up to the platform's limit.
    """
    return _mark(Access(permission, before_second_factor=before_second_factor, upload=upload))


def public(why: str) -> Callable[[View], View]:
    """For everybody, logged in or not. ``why`` is for the reader, and may not be empty."""
    if not why:
        raise ValueError("say why the page is public")
    return _mark(Access(None, why))


def access_of(view: Callable[..., Any]) -> Access | None:
    """What a view says of itself, or None."""
    found = getattr(view, _MARK, None)
    return found if isinstance(found, Access) else None


def _mark(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _MARK, access)
        return view

    return mark
