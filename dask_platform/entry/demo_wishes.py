"""What waits for the security officers of the demo: wishes for pages, and a proposal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.identity.models import Person, Placement, StaffRole
from dask_platform.features.whitelists.models import Proposal, SiteRequest, Version
from dask_platform.features.whitelists.queries import body_of, rule_of

WISHES: Final = (
    # who, address, why, how many days ago, what security answered
    ("anna", "https://www.vg.no/sport", "Vil lese om fotball", 9,
     "Avisen har kommentarfelt og innlogging. NRK Sport blir vurdert i stedet."),
    ("bilal", "https://snl.no/snekker", "Til oppgaven om yrker", 1, None),
    ("tora", "https://www.kartverket.no/til-lands", "Klassen arbeider med målestokk.", 2, None),
)  # fmt: skip
PROPOSED: Final = "wikipedia-nb"


def load(uow: UnitOfWork, now: datetime) -> None:
    """The first time only. Each act is put down under the person whose it is: the database signs
    with the actor's name."""
    if uow.scalar(select(SiteRequest.id).limit(1)) is not None:
        return
    people = {one.username: one for one in uow.scalars(select(Person))}
    for username, address, why, days, answer in WISHES:
        who, at = people[username], now - timedelta(days=days)
        uow.act_as(who.id)
        wish = SiteRequest(
            person_id=who.id, by_student=who.kind == "student", unit_id=_unit(uow, who),
            address=address, reason=why, asked_at=at,
        )  # fmt: skip
        uow.add(wish)
        uow.flush()
        if answer is not None:
            uow.act_as(people["stein"].id)
            wish.state, wish.answer, wish.answered_at = "refused", answer, at + timedelta(days=1)
            uow.flush()
    _propose(uow, people["sigrid"], now - timedelta(days=1))
    uow.act_as(None)


def _propose(uow: UnitOfWork, officer: Person, at: datetime) -> None:
    """A change of a rule that is in force, where it is there."""
    last = uow.scalars(
        select(Version).where(Version.rule_id == PROPOSED).order_by(Version.number.desc()).limit(1)
    ).one_or_none()
    if last is None or last.body is None:
        return
    uow.act_as(officer.id)
    rule = rule_of(last.body).model_copy(update={"supervised": True})
    uow.add(
        Proposal(
            rule_id=PROPOSED, unit_id=last.unit_id, action="change", body=body_of(rule),
            based_on=last.number, reason="Noen leser om navngitte straffesaker. Bare med lærer.",
            proposed_by=officer.id, proposed_name=officer.display_name, proposer_units=[],
            proposed_at=at,
        )
    )  # fmt: skip
    uow.flush()


def _unit(uow: UnitOfWork, person: Person) -> UUID:
    where = Placement if person.kind == "student" else StaffRole
    return uow.scalars(select(where.unit_id).where(where.person_id == person.id)).one()
