"""Who may log in people, see who is here, and end a session.

Everything but one's own account hangs on a unit: the object is always a :class:`Unit`, and a person
is reached through the units where they are placed or hold a role.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement

from dask_platform.features.identity.models import Unit
from dask_platform.kernel.actor import STAFF_ROLES, Actor, Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register


def _at_own_unit(role: Role) -> Callable[[Actor, Unit], bool]:
    def holds(actor: Actor, unit: Unit) -> bool:
        return actor.holds(role, unit.id)

    return holds


def _own_units(role: Role) -> Callable[[Actor], ColumnElement[bool]]:
    def rows(actor: Actor) -> ColumnElement[bool]:
        return Unit.id.in_(actor.units(role))

    return rows


def _at_units(permission: Permission, role: Role, says: str) -> Grant:
    return Grant(permission, role, says, Unit, _at_own_unit(role), _own_units(role))


GRANTS = (
    Grant(Permission.ACCOUNT_SELF, Role.OPERATOR, "Operators look after their own account."),
    Grant(
        Permission.ACCOUNT_SELF, Role.SECURITY, "Security officers look after their own account."
    ),
    Grant(Permission.ACCOUNT_SELF, Role.STUDENT, "Students look after their own account."),
    Grant(Permission.ACCOUNT_SELF, Role.TEACHER, "Teachers look after their own account."),
    Grant(
        Permission.ACCOUNT_SELF, Role.WORKSHOP, "Workshop officers look after their own account."
    ),
    *(
        Grant(
            Permission.SECOND_FACTOR_SELF, role, "Staff set up a second factor; students have none."
        )
        for role in sorted(STAFF_ROLES)
    ),
    _at_units(
        Permission.PEOPLE_MANAGE,
        Role.OPERATOR,
        "Operators add people at their unit, place students, give and end roles (never their own),"
        " reset passwords and close accounts.",
    ),
    _at_units(
        Permission.PEOPLE_READ, Role.OPERATOR, "Operators see who has an account at their unit."
    ),
    _at_units(
        Permission.PEOPLE_READ,
        Role.SECURITY,
        "Security officers see who has an account, and which role, at their unit.",
    ),
    _at_units(
        Permission.ROOMS_MANAGE,
        Role.OPERATOR,
        "Operators keep the rooms and networks of their unit.",
    ),
    *(
        _at_units(
            Permission.SESSIONS_END,
            role,
            f"{who} see which students are logged in at their unit, and may log them out.",
        )
        for role, who in (
            (Role.OPERATOR, "Operators"),
            (Role.SECURITY, "Security officers"),
            (Role.TEACHER, "Teachers"),
            (Role.WORKSHOP, "Workshop officers"),
        )
    ),
)

register(*GRANTS)
