"""Wishes for a page: asked by teachers and students, answered by security with a reason and a name.

An officer who takes a wish up makes a proposal of it (``proposals.propose`` with ``request_id``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final
from uuid import UUID

from ada_url import idna_to_ascii
from sqlalchemy import func, select, text, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.queries import class_for_teacher
from dask_platform.features.whitelists.models import RequestState, SiteRequest
from dask_platform.features.whitelists.service.proposals import NOTHING_HERE, reason_of
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.clock import to_oslo
from dask_platform.kernel.errors import Closed, Conflict, Invalid, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise
from dask_platform.security.weburl import is_host

ADDRESS_MOST: Final = 500
STUDENT_REASON_MOST: Final = 200
#: A student has at most this many wishes that nobody has answered, and makes at most so many a day.
OPEN_MOST: Final = 5
DAY_MOST: Final = 10
# One student's wishes are counted one after the other, also when ten arrive at once.
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('dask wish ' || :person, 0))")


def ask(
    uow: UnitOfWork,
    actor: Actor,
    *,
    address: str,
    reason: str,
    now: datetime,
    class_id: UUID | None = None,
    wanted_until: date | None = None,
) -> UUID:
    """Ask for a page. A teacher says why, and may name an own class and a last day; a student may
    say why in at most 200 characters. Raises ``Closed`` when a student has asked for enough."""
    authorise(actor, Permission.SITE_REQUEST_ASK)
    made = SiteRequest(
        id=new_id(), person_id=actor.person_id, by_student=actor.is_student,
        address=clean_address(address), asked_at=now,
    )  # fmt: skip
    if actor.is_student:
        assert actor.unit_id is not None  # noqa: S101 - a student without a placement is no actor
        made.unit_id, made.reason = actor.unit_id, " ".join(reason.split())
        if len(made.reason) > STUDENT_REASON_MOST:
            raise Invalid(
                N_("Write at most %(most)s characters."), "reason", most=STUDENT_REASON_MOST
            )
        _count(uow, actor, now)
    else:
        made.reason = reason_of(reason)
        made.unit_id, made.class_id = _place(uow, actor, class_id), class_id
        made.wanted_until = wanted_until
        if wanted_until is not None and wanted_until < to_oslo(now).date():
            raise Invalid(N_("The last day has passed. Choose a later one."), "wanted_until")
    uow.add(made)
    uow.flush()
    record(
        uow, actor, EventKind.SITE_REQUEST_MADE, unit_id=made.unit_id,
        thing=("site_request", made.id), subject_id=actor.person_id if actor.is_student else None,
    )  # fmt: skip
    return made.id


def withdraw(uow: UnitOfWork, actor: Actor, request_id: UUID) -> None:
    """Take back an own wish that nobody has taken up."""
    request = uow.get(SiteRequest, request_id)
    if request is None:
        raise NotVisible(NOTHING_HERE)
    authorise(actor, Permission.SITE_REQUEST_WITHDRAW, request)
    _move(uow, request, RequestState.WITHDRAWN)
    record(
        uow, actor, EventKind.SITE_REQUEST_WITHDRAWN, unit_id=request.unit_id,
        thing=("site_request", request_id),
    )  # fmt: skip


def refuse(uow: UnitOfWork, actor: Actor, request_id: UUID, reason: str, now: datetime) -> None:
    """Say no. The asker reads the reason and the name of who wrote it."""
    said = reason_of(reason)
    request = uow.get(SiteRequest, request_id)
    if request is None:
        raise NotVisible(NOTHING_HERE)
    authorise(actor, Permission.SITE_REQUEST_ANSWER, request)
    _move(uow, request, RequestState.REFUSED, answer=said, answered_at=now)
    record(
        uow, actor, EventKind.SITE_REQUEST_ANSWERED, unit_id=request.unit_id,
        thing=("site_request", request_id),
        subject_id=request.person_id if request.by_student else None, answer="refused",
    )  # fmt: skip


def note_read(uow: UnitOfWork, actor: Actor, students: Iterable[UUID]) -> None:
    """Staff have read what students ask for: noted once for each student."""
    for person_id in sorted(set(students)):
        record(
            uow, actor, EventKind.SITE_REQUEST_READ, thing=("person", person_id),
            subject_id=person_id,
        )  # fmt: skip


def clean_address(raw: str) -> str:
    """What was typed, as an https address: ``snl.no/katt`` and ``http://snl.no/katt`` alike.

    Raises ``Invalid`` for what is no web address. Nothing is fetched and nothing opened by it.
    """
    typed = raw.strip()
    if len(typed) > ADDRESS_MOST:
        raise Invalid(
            N_("The address is longer than %(most)s characters."), "address", most=ADDRESS_MOST
        )
    rest = typed
    for scheme in ("https://", "http://"):
        if typed.lower().startswith(scheme):
            rest = typed[len(scheme) :]
    host = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    name = _ascii(host)
    odd = any(unicodedata.category(one)[0] in "CZ" for one in rest)
    if odd or not is_host(name):
        raise Invalid(N_("Write the address of a page, such as https://snl.no/katt."), "address")
    return f"https://{name}{rest[len(host) :]}"


def _ascii(host: str) -> str:
    """The host as names are compared: lower case, A-labels. Empty where there is no such name."""
    try:
        found = idna_to_ascii(host.lower())
    except ValueError:
        return ""
    return found.decode("ascii") if isinstance(found, bytes) else str(found)


def _place(uow: UnitOfWork, actor: Actor, class_id: UUID | None) -> UUID:
    """The unit that a teacher asks for: the class's, or an own one."""
    if class_id is not None:
        return class_for_teacher(uow, actor, class_id).unit_id
    return min(actor.units(Role.TEACHER))


def _count(uow: UnitOfWork, actor: Actor, now: datetime) -> None:
    uow.execute(_LOCK, {"person": str(actor.person_id)})
    own = SiteRequest.person_id == actor.person_id
    waiting = SiteRequest.state.in_((RequestState.OPEN, RequestState.PROPOSED))
    # By the calendar, not by the hour: «tomorrow» is something to plan with.
    today = func.date(func.timezone("Europe/Oslo", SiteRequest.asked_at)) == to_oslo(now).date()
    still, made = uow.execute(
        select(func.count().filter(waiting), func.count().filter(today)).where(own)
    ).one()
    if still >= OPEN_MOST:
        raise Closed(
            N_("You have asked for %(most)s pages that wait for an answer. Wait for one of them."),
            most=OPEN_MOST,
        )
    if made >= DAY_MOST:
        raise Closed(
            N_("You have asked for %(most)s pages today. You can ask for more tomorrow."),
            most=DAY_MOST,
        )


def _move(
    uow: UnitOfWork,
    request: SiteRequest,
    state: RequestState,
    *,
    answer: str = "",
    answered_at: datetime | None = None,
) -> None:
    done = uow.execute(
        update(SiteRequest)
        .where(SiteRequest.id == request.id, SiteRequest.state == RequestState.OPEN)
        .values(state=state, answer=answer, answered_at=answered_at)
        .returning(SiteRequest.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not done:
        raise Conflict(N_("This wish has been answered already."))
