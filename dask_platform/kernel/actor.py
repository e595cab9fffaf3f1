"""Who is acting: plain data, loaded once a request, never a database row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """The roles of the house. A student has one by being placed; staff hold theirs at units."""

    OPERATOR = "operator"
    SECURITY = "security"
    STUDENT = "student"
    TEACHER = "teacher"
    WORKSHOP = "workshop"


STAFF_ROLES = frozenset(Role) - {Role.STUDENT}


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in a session.

    ``roles`` maps each role to the units where it holds *now*; for a student that is the unit of
    the present placement. ``teaches`` are the classes the person teaches and still may (the teacher
    role holds at the class's unit); ``attends`` the classes a student is enrolled in at the unit of
    the present placement. ``unit_names`` are those of all units in ``roles``, for the page to show.
    All of it is read anew for each request.
    """

    person_id: UUID
    session_id: UUID | None
    username: str
    display_name: str
    locale: str = "nb"
    roles: dict[Role, frozenset[UUID]] = field(default_factory=dict)
    teaches: frozenset[UUID] = frozenset()
    attends: frozenset[UUID] = frozenset()
    address: str | None = None
    room_id: UUID | None = None
    second_factor: bool = False
    has_second_factor: bool = False
    session_expires: datetime | None = None
    unit_names: tuple[str, ...] = ()

    @property
    def is_student(self) -> bool:
        return Role.STUDENT in self.roles

    @property
    def is_staff(self) -> bool:
        return any(role in self.roles for role in STAFF_ROLES)

    @property
    def unit_id(self) -> UUID | None:
        """The unit a student is placed at now."""
        return next(iter(self.roles.get(Role.STUDENT, ())), None)

    def units(self, *roles: Role) -> frozenset[UUID]:
        """The units where any of ``roles`` holds now."""
        found: frozenset[UUID] = frozenset()
        for role in roles:
            found |= self.roles.get(role, frozenset())
        return found

    def holds(self, role: Role, unit_id: UUID | None = None) -> bool:
        """Whether ``role`` holds, at ``unit_id`` or anywhere."""
        units = self.roles.get(role)
        return bool(units) and (unit_id is None or unit_id in (units or ()))

    def holds_any(self, roles: Iterable[Role]) -> bool:
        return any(self.holds(role) for role in roles)

    def role_for_log(self) -> str:
        """The roles as the audit log writes them: ``teacher`` or ``operator+security``."""
        return "+".join(sorted(self.roles)) or "none"
