"""Who may use the way out, watch over it, and read what went through it.

Whether a page is open at all is the whitelist's to say; this says who may ask.
"""

from __future__ import annotations

from dask_platform.features.broker.models import SiteVisit, Supervision
from dask_platform.kernel.actor import Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register


def _at_unit(
    permission: Permission, role: Role, says: str, model: type[SiteVisit] | type[Supervision]
) -> Grant:
    return Grant(
        permission,
        role,
        says,
        model,
        lambda actor, thing: thing.unit_id in actor.units(role),
        lambda actor: model.unit_id.in_(actor.units(role)),
    )


register(
    _at_unit(
        Permission.SITES_SUPERVISE, Role.TEACHER,
        "A teacher opens a supervised site for a room of the own unit, and closes it.", Supervision,
    ),
    _at_unit(
        Permission.SITES_SUPERVISE, Role.WORKSHOP,
        "A workshop officer opens a supervised site for a room of the own unit, and closes it.",
        Supervision,
    ),
    _at_unit(
        Permission.SITES_SUPERVISE, Role.SECURITY,
        "A security officer opens a supervised site for a room of the own unit, and closes it.",
        Supervision,
    ),
    _at_unit(
        Permission.VISITS_READ, Role.SECURITY,
        "A security officer reads what went out from the own unit.", SiteVisit,
    ),
)  # fmt: skip
