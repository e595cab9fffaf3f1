"""The two faces of the policy agree: what an actor may do to an object, and which rows they list.

For every grant: all objects of its model that exist, for actors that exist and for actors made up
of any roles at any units. And the first wall is never wider than the second: what the policy lets
somebody list, row security lets them see.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, select

from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.models import Course
from dask_platform.features.handins.models import Attempt, HandinFile
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.ids import new_code
from dask_platform.security.policy import grants, permits, rows
from tests.features.whitelists.office import Office, elsewhere
from tests.world import PEOPLE, World


@pytest.fixture(scope="module")
def school(shared_world: World) -> World:
    """With work in every state, a file in every state, a course of each school, and a log."""
    world = shared_world
    assert world.app  # every feature's policy is in the table
    now = world.clock.now()
    with world.owner() as uow:
        for slug in ("nord", "sor"):
            uow.add(
                Course(
                    id=uuid4(), slug=f"eget-{slug}", school_id=world.id(f"school {slug}"),
                    language="nb", title="Eget", summary="", updated_at=now,
                )
            )  # fmt: skip
        for name, unit in (("anna", "nord"), ("bo", "nord"), ("cem", "sor")):
            for number, state in enumerate(("returned", "handed_in", "draft"), 1):
                attempt = Attempt(
                    id=uuid4(), class_id=world.id(f"class {unit}"), item_id=world.id("brev"),
                    person_id=world.id(name), number=number, state=state, text="", started_at=now,
                    saved_at=now, handed_in_at=None if state == "draft" else now,
                    receipt=None if state == "draft" else new_code(),
                )  # fmt: skip
                uow.add(attempt)
                uow.flush()
                for scan in ("pending", "clean", "infected", "refused"):
                    uow.add(
                        HandinFile(
                            id=uuid4(), attempt_id=attempt.id, person_id=world.id(name), name="x",
                            storage_key=f"handins/{uuid4()}", size=1, sha256="0" * 64, mime="x",
                            family="pdf", extension="pdf", added_at=now, scan_state=scan,
                        )
                    )  # fmt: skip
        for unit_id in (world.id("nord"), world.id("sor"), None):
            record(uow, None, EventKind.LOGIN_FAILED, unit_id=unit_id)
    _whitelists(world)
    return world


def _whitelists(world: World) -> None:
    """Proposals for every place by officers of both units, stops of every kind, wishes of all."""
    office = Office(world)
    for who in ("sigrid", "sverre"):
        for unit in (None, "nord", "sor"):
            office.propose(who, elsewhere(world, f"{who}{unit or ''}".lower()), unit=unit)
    office.refuse("sverre", office.propose("stein", elsewhere(world, "avslag")))
    office.load(elsewhere(world, "stanset"))
    for who, unit, student in (("sigrid", "nord", "anna"), ("sverre", "sor", "cem")):
        office.stop(who, "stop_rule", "stanset", world.id(unit))
        office.stop(who, "stop_student", world.id(student))
        office.stop(who, "stop_unit", world.id(unit))
    office.stop("sigrid", "stop_rule", "stanset", None)
    office.stop("sigrid", "stop_room", world.id("room"))
    for who in ("anna", "bo", "dag", "cem", "tora", "even", "siri"):
        office.wish(who)


MODELED = [grant for grant in grants() if grant.model is not None]


def keys(model: type[Any], things: list[Any]) -> set[Any]:
    return {inspect(model).primary_key_from_instance(thing).__str__() for thing in things}


def disagreements(world: World, actor: Actor) -> list[str]:
    found = []
    for permission in {grant.permission for grant in grants()}:
        for model in {grant.model for grant in grants(permission) if grant.model is not None}:
            with world.owner() as uow:
                uow.act_as(actor.person_id)
                everything = list(uow.scalars(select(model)).unique())
                listed = keys(model, list(uow.scalars(select(model).where(
                    rows(actor, permission, model))).unique()))  # fmt: skip
                held = keys(model, [t for t in everything if permits(actor, permission, t)])
            if held != listed:
                found.append(f"{permission} over {model.__name__}: {held ^ listed}")
    return found


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_the_faces_agree_for_everybody_at_the_school(school: World, name: str) -> None:
    assert not disagreements(school, school.actor(name))


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_the_policy_lists_nothing_that_row_security_hides(school: World, name: str) -> None:
    """The same question to the web role, whose rows the database narrows, gives the same answer."""
    actor = school.actor(name)
    for permission in {grant.permission for grant in grants()}:
        for model in {grant.model for grant in grants(permission) if grant.model is not None}:
            wanted = select(model).where(rows(actor, permission, model))
            with school.owner() as uow:
                uow.act_as(actor.person_id)
                by_policy = keys(model, list(uow.scalars(wanted).unique()))
            with school.uow(name) as uow:
                by_both = keys(model, list(uow.scalars(wanted).unique()))
            assert by_policy == by_both, f"{permission} over {model.__name__} for {name}"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_faces_agree_for_any_mixture_of_roles(school: World, data: st.DataObject) -> None:
    units = [school.id("nord"), school.id("sor")]
    classes = [school.id("class nord"), school.id("class sor")]
    some_units: st.SearchStrategy[frozenset[UUID]] = st.frozensets(
        st.sampled_from(units), min_size=1
    )
    some_classes = st.frozensets(st.sampled_from(classes))
    base = school.actor(data.draw(st.sampled_from(sorted(PEOPLE))))
    actor = dataclasses.replace(
        base,
        roles=data.draw(st.dictionaries(st.sampled_from(list(Role)), some_units)),
        teaches=data.draw(some_classes),
        attends=data.draw(some_classes),
    )
    assert not disagreements(school, actor)


def test_nothing_is_permitted_without_a_line(school: World) -> None:
    nobody = dataclasses.replace(school.actor("anna"), roles={})
    with school.owner() as uow:
        for grant in grants():
            if grant.model is None:
                assert not permits(nobody, grant.permission)
            else:
                for thing in uow.scalars(select(grant.model)).unique():
                    assert not permits(nobody, grant.permission, thing)


def test_a_permission_over_objects_is_not_held_over_nothing(school: World) -> None:
    for name in PEOPLE:
        actor = school.actor(name)
        for grant in MODELED:
            objectless = any(g.model is None for g in grants(grant.permission))
            assert objectless or not permits(actor, grant.permission, None)
