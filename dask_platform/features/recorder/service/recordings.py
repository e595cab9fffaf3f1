"""A recording starts, ends, and goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.recorder import jar
from dask_platform.features.recorder.deciding import ground
from dask_platform.features.recorder.models import REASON_MOST, Recording
from dask_platform.features.recorder.queries import load
from dask_platform.features.whitelists.engine import Reason
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import Invalid, NotAllowed, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.kernel.settings import Settings
from dask_platform.security.hostmap import label_of
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise
from dask_platform.security.weburl import BadAddress, WebAddress, parse

#: Time to look at a site, and not to live there.
LONGEST: Final = timedelta(minutes=30)
WRITE_ADDRESS: Final = N_("Write the address of a page, such as https://snl.no/katt.")


def start(
    uow: UnitOfWork,
    actor: Actor,
    *,
    address: str,
    reason: str,
    copying: bool,
    settings: Settings,
    now: datetime,
) -> Recording:
    """Begin a recording at ``address``; an earlier one of the actor's that still goes on ends.

    Raises ``Invalid`` for what is no address of a site or says no reason, ``NotAllowed`` for a site
    that is kept closed and while everything is stopped.
    """
    units = sorted(actor.units(Role.SECURITY))
    if not units or actor.session_id is None:
        raise NotVisible()
    at = read_address(address)
    said = " ".join(reason.split())
    if not said:
        raise Invalid(N_("Write why. Others will read it later."), "reason")
    if len(said) > REASON_MOST:
        raise Invalid(
            N_("The reason is longer than %(most)s characters."), "reason", most=REASON_MOST
        )
    made = Recording(
        id=new_id(), person_id=actor.person_id, unit_id=units[0], session_id=actor.session_id,
        start_url=at.text, reason=said, copying=copying, started_at=now, until=now + LONGEST,
    )  # fmt: skip
    authorise(actor, Permission.SITES_RECORD, made)
    decision = ground(uow, actor, settings, now).decide(at.text)
    if decision.reason is Reason.STOPPED:
        raise NotAllowed(N_("All sites are stopped for you now, and so is the recorder."))
    if not decision.allowed:
        raise NotAllowed(N_("This site is kept closed. It cannot be recorded."))
    for other in uow.scalars(
        select(Recording.id).where(
            Recording.person_id == actor.person_id, Recording.ended_at.is_(None)
        )
    ).all():
        end(uow, actor, other, now)
    uow.add(made)
    uow.flush()
    record(
        uow, actor, EventKind.RECORDING_STARTED, unit_id=made.unit_id,
        thing=("recording", made.id), host=at.host, copy=copying,
    )  # fmt: skip
    return made


def end(uow: UnitOfWork, actor: Actor, recording_id: UUID, now: datetime) -> None:
    """End it. Its cookies are gone with that. Ended already: nothing."""
    found = load(uow, actor, recording_id)
    jar.empty(uow, recording_id)
    done = uow.execute(
        update(Recording)
        .where(Recording.id == recording_id, Recording.ended_at.is_(None))
        .values(ended_at=min(now, found.until))
        .returning(Recording.id)
        .execution_options(synchronize_session=False)
    ).all()
    if done:
        uow.expire(found)
        record(
            uow, actor, EventKind.RECORDING_ENDED, unit_id=found.unit_id,
            thing=("recording", recording_id),
        )  # fmt: skip


def throw_away(uow: UnitOfWork, actor: Actor, recording_id: UUID, now: datetime) -> None:
    """End it, and remove all that it saw and kept. Its visits stay in the log."""
    found = load(uow, actor, recording_id)
    end(uow, actor, recording_id, now)
    unit_id = found.unit_id
    uow.execute(
        delete(Recording)
        .where(Recording.id == recording_id)
        .execution_options(synchronize_session=False)
    )
    uow.expunge(found)
    uow.enqueue("recorder:forget", recording=recording_id)
    record(
        uow, actor, EventKind.RECORDING_THROWN_AWAY, unit_id=unit_id,
        thing=("recording", recording_id),
    )  # fmt: skip


def note_proposed(uow: UnitOfWork, actor: Actor, recording_id: UUID, rule_id: str) -> None:
    """That a rule was drafted from it. The proposal itself is the whitelists' to record."""
    found = load(uow, actor, recording_id)
    record(
        uow, actor, EventKind.RECORDING_PROPOSED, unit_id=found.unit_id,
        thing=("recording", recording_id), rule=rule_id,
    )  # fmt: skip


def read_address(typed: str) -> WebAddress:
    """What somebody typed, as the address it stands for: with https in front, written as a browser
    writes it. Raises ``Invalid``."""
    plain = typed.strip()
    for scheme in ("https://", "http://"):
        if plain.lower().startswith(scheme):
            plain = plain[len(scheme) :]
    try:
        found = _canonical(f"https://{plain}")
        label_of(found.host)
    except BadAddress:
        raise Invalid(WRITE_ADDRESS, "address") from None
    except Invalid as error:
        raise Invalid(error.message, "address") from None
    return found


def _canonical(url: str) -> WebAddress:
    try:
        return parse(url)
    except BadAddress as bad:
        if bad.fault != "not_canonical" or bad.canonical is None:
            raise
        return parse(bad.canonical)
