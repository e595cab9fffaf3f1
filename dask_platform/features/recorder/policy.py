"""Who may record."""

from __future__ import annotations

from dask_platform.features.recorder.models import Recording
from dask_platform.kernel.actor import Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register

register(
    Grant(
        Permission.SITES_RECORD,
        Role.SECURITY,
        "A security officer looks at a site that is not open, for half an hour and in the log, and"
        " sees own recordings alone.",
        Recording,
        lambda actor, thing: (
            thing.person_id == actor.person_id and thing.unit_id in actor.units(Role.SECURITY)
        ),
        lambda actor: (
            (Recording.person_id == actor.person_id)
            & Recording.unit_id.in_(actor.units(Role.SECURITY))
        ),
    )
)
