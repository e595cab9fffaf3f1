"""The front page, by role: what to do next, first."""

from __future__ import annotations

from flask import Blueprint, render_template

from dask_platform.features.audit import queries as audit
from dask_platform.features.courses import queries as courses
from dask_platform.features.courses.words import deadline_words
from dask_platform.features.handins import queries as handins
from dask_platform.features.whitelists.queries import listings as whitelists
from dask_platform.kernel.actor import Role
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow

home = Blueprint("home", __name__, template_folder="templates")


@home.get("/", endpoint="home")
@requires(Permission.ACCOUNT_SELF)
def front() -> str:
    person, work, now = actor(), uow(), platform().clock.now()
    teaches = person.holds(Role.TEACHER)
    security = person.holds(Role.SECURITY)
    classes = courses.my_classes(work, person) if person.is_student or teaches else []
    return render_template(
        "home/home.html",
        classes=[one for one in classes if one.ended_at is None],
        tasks=handins.student_tasks(work, person) if person.is_student else [],
        queue=handins.teacher_queue(work, person) if teaches else [],
        unreviewed=audit.unreviewed(work, person, now=now) if security else [],
        whitelist=whitelists.waiting_for(work, person, now) if security else None,
        deadline_words=deadline_words,
        roles={str(role) for role in person.roles},
    )
