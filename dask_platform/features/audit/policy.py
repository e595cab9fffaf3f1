"""Who may read the log: security officers, each at own units. Nobody changes it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_

from dask_platform.features.audit.models import AuditEvent, AuditReview
from dask_platform.kernel.actor import Actor, Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register


def _holds(actor: Actor, event: AuditEvent) -> bool:
    # An event of no unit (a failed log-in with an unknown name) is everybody's concern.
    return event.unit_id is None or actor.holds(Role.SECURITY, event.unit_id)


def _rows(actor: Actor) -> ColumnElement[bool]:
    return or_(AuditEvent.unit_id.is_(None), AuditEvent.unit_id.in_(actor.units(Role.SECURITY)))


register(
    Grant(
        Permission.AUDIT_READ,
        Role.SECURITY,
        "A security officer reads the log of own units.",
        AuditEvent,
        _holds,
        _rows,
    ),
    Grant(
        Permission.AUDIT_REVIEW,
        Role.SECURITY,
        "A security officer signs the weeks of own units as reviewed.",
        AuditReview,
        lambda actor, review: actor.holds(Role.SECURITY, review.unit_id),
        lambda actor: AuditReview.unit_id.in_(actor.units(Role.SECURITY)),
    ),
)
