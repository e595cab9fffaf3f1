"""A security office for tests: rules in force, and its verbs each in a transaction of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from dask_platform.features.whitelists import queries
from dask_platform.features.whitelists.engine import Decision
from dask_platform.features.whitelists.models import Version
from dask_platform.features.whitelists.rules import Rule
from dask_platform.features.whitelists.service import proposals, requests, stops
from dask_platform.kernel.ids import new_id
from tests.features.whitelists.build import rule
from tests.world import World

LEKSIKON = "https://leksikon.no/katt"


def good(world: World, **said: Any) -> Rule:
    """A rule that nothing is wrong with for the next half year."""
    until = (world.clock.now() + timedelta(days=180)).date().isoformat()
    return rule(**{"expires": until, **said})


def elsewhere(world: World, name: str, **said: Any) -> Rule:
    """A good rule of another id, on a host of its own."""
    examples = {"pass": [f"https://{name}.no/"], "refuse": [f"https://{name}.no:8443/"]}
    return good(world, id=name, host=f"{name}.no", examples=examples, **said)


class Office:
    def __init__(self, world: World) -> None:
        self.world = world

    def load(self, *rules: Rule, unit: str | None = None) -> None:
        """Put rules in force as the owner of the tables does with files."""
        with self.world.owner() as uow:
            for one in rules:
                uow.execute(
                    insert(Version).values(
                        number=0, mark=new_id(), rule_id=one.id, body=queries.body_of(one),
                        unit_id=self.world.id(unit) if unit else None, proposed_name=one.author,
                        approved_name=one.reviewer, reason=one.reason, at=self.world.clock.now(),
                    )
                )  # fmt: skip

    def newest(self, rule_id: str) -> int | None:
        with self.world.owner() as uow:
            found = uow.execute(
                text("SELECT max(number) FROM whitelist_version WHERE rule_id = :id"),
                {"id": rule_id},
            ).scalar()
        return int(found) if found is not None else None

    def propose(
        self, who: str, said: Rule | None, *, rule_id: str | None = None, unit: str | None = None,
        request_id: UUID | None = None, **more: Any,
    ) -> UUID:  # fmt: skip
        rule_id = rule_id or (said.id if said else "")
        with self.world.uow(who) as uow:
            return proposals.propose(
                uow, self.world.actor(who), rule_id=rule_id, rule=said, reason="Trengs i norsk.",
                unit_id=self.world.id(unit) if unit else None, request_id=request_id,
                now=self.world.clock.now(),
                based_on=more.get("based_on", self.newest(rule_id)),
            )  # fmt: skip

    def approve(self, who: str, proposal: UUID) -> int:
        with self.world.uow(who) as uow:
            return proposals.approve(uow, self.world.actor(who), proposal, self.world.clock.now())

    def refuse(self, who: str, proposal: UUID) -> None:
        with self.world.uow(who) as uow:
            proposals.refuse(
                uow, self.world.actor(who), proposal, "For vid.", self.world.clock.now()
            )

    def decide(self, who: str, url: str = LEKSIKON) -> Decision:
        """What ``who`` would be told of ``url`` this very moment."""
        with self.world.uow(who) as uow:
            stands = queries.standing(uow, self.world.actor(who))
            rules = queries.in_force(uow, stands)
            return rules.engine.decide(url, stands.asked(self.world.clock.now()))

    def stop(self, who: str, what: str, target: Any, *more: Any) -> UUID:
        """``what`` is one of ``stop_rule``, ``stop_student``, ``stop_room``, ``stop_unit``."""
        verb = getattr(stops, what)
        with self.world.uow(who) as uow:
            stop: UUID = verb(
                uow, self.world.actor(who), target, *more, "Lenke til chat.", self.world.clock.now()
            )
            return stop

    def ask_reopen(self, who: str, stop: UUID) -> None:
        with self.world.uow(who) as uow:
            stops.ask_to_reopen(uow, self.world.actor(who), stop, "Rettet.", self.world.clock.now())

    def agree(self, who: str, stop: UUID) -> None:
        with self.world.uow(who) as uow:
            stops.agree_to_reopen(uow, self.world.actor(who), stop, self.world.clock.now())

    def wish(self, who: str, address: str = "https://leksikon.no/hest", **said: Any) -> UUID:
        with self.world.uow(who) as uow:
            return requests.ask(
                uow, self.world.actor(who), address=address, now=self.world.clock.now(),
                reason=said.pop("reason", "Til en oppgave."), **said,
            )  # fmt: skip
