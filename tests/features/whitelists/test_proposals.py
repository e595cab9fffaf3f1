"""Two people for each change: in the service, and in the database with the service away."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dask_platform.features.whitelists import queries
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.service import proposals
from dask_platform.features.whitelists.service.load import Loaded, load_whitelists
from dask_platform.features.whitelists.service.proposals import BadRule
from dask_platform.kernel.errors import (
    ConfigurationError,
    Conflict,
    Invalid,
    NotAllowed,
    NotVisible,
    Unavailable,
)
from tests.features.whitelists.office import LEKSIKON, Office, elsewhere, good
from tests.world import World


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


@pytest.fixture
def alone(world: World) -> Office:
    """As if nord were the only unit with security officers."""
    with world.owner() as uow:
        uow.execute(
            text("UPDATE staff_role SET ends_at = now() WHERE person_id = :id"),
            {"id": world.id("sverre")},
        )
    return Office(world)


def test_a_rule_opens_when_a_second_officer_approves(office: Office) -> None:
    proposal = office.propose("sigrid", good(office.world))
    assert office.decide("anna").reason is Reason.NOT_LISTED
    number = office.approve("sverre", proposal)
    assert office.decide("anna").allowed
    with office.world.uow("sigrid") as uow:
        row = uow.execute(text("SELECT * FROM whitelist_version")).one()
    assert (row.number, row.proposed_name) == (number, "Sigrid (sigrid)")
    assert row.approved_name == "Sverre (sverre)"
    assert row.body["author"] == "Sigrid (sigrid)"
    assert row.body["reviewer"] == "Sverre (sverre)"
    kinds = [event["kind"] for event in office.world.audit()]
    assert kinds[-2:] == ["whitelist.proposed", "whitelist.approved"]


def test_nobody_approves_or_refuses_their_own(office: Office) -> None:
    proposal = office.propose("sigrid", good(office.world))
    with pytest.raises(NotAllowed, match="yourself"):
        office.approve("sigrid", proposal)
    with pytest.raises(NotAllowed, match="yourself"):
        office.refuse("sigrid", proposal)
    assert office.newest("leksikon") is None


def test_two_of_one_unit_do_not_open_for_the_whole_country(office: Office) -> None:
    proposal = office.propose("sigrid", good(office.world))
    with pytest.raises(NotAllowed, match="another unit"):
        office.approve("stein", proposal)
    office.approve("sverre", proposal)


def test_where_no_other_unit_has_officers_two_of_one_unit_are_enough(alone: Office) -> None:
    alone.approve("stein", alone.propose("sigrid", good(alone.world)))
    assert alone.decide("anna").allowed


def test_a_units_rule_takes_one_officer_of_that_unit(office: Office) -> None:
    world = office.world
    office.approve("stein", office.propose("sigrid", good(world), unit="nord"))
    office.approve("sverre", office.propose("sigrid", elsewhere(world, "kart"), unit="nord"))
    office.approve("stein", office.propose("sverre", elsewhere(world, "hav"), unit="nord"))
    foreign = office.propose("sigrid", elsewhere(world, "skog"), unit="sor")
    with pytest.raises(NotAllowed, match="of the unit"):
        office.approve("stein", foreign)
    assert office.decide("anna").allowed
    assert office.decide("cem").reason is Reason.UNIT


@pytest.mark.parametrize("who", ["anna", "tora", "odd", "olga"])
def test_others_neither_propose_nor_approve(office: Office, who: str) -> None:
    with pytest.raises(NotVisible):
        office.propose(who, good(office.world))
    proposal = office.propose("sigrid", good(office.world))
    with pytest.raises(NotVisible):
        office.approve(who, proposal)


def test_a_refusal_says_why_and_nothing_opens(office: Office) -> None:
    proposal = office.propose("sigrid", good(office.world))
    office.refuse("sverre", proposal)
    with pytest.raises(Conflict):
        office.approve("sverre", proposal)
    with office.world.uow("sigrid") as uow:
        row = uow.execute(text("SELECT state, answer, decided_name FROM whitelist_proposal")).one()
    assert tuple(row) == ("refused", "For vid.", "Sverre (sverre)")
    assert office.newest("leksikon") is None


def test_only_who_proposed_takes_back(office: Office) -> None:
    proposal = office.propose("sigrid", good(office.world))
    now = office.world.clock.now()
    with pytest.raises(NotAllowed), office.world.uow("stein") as uow:
        proposals.withdraw(uow, office.world.actor("stein"), proposal, now)
    with office.world.uow("sigrid") as uow:
        proposals.withdraw(uow, office.world.actor("sigrid"), proposal, now)
    with pytest.raises(Conflict):
        office.approve("sverre", proposal)


def test_a_bad_rule_is_refused_with_every_fault(office: Office) -> None:
    office.load(elsewhere(office.world, "leksik0n"))
    bad = good(
        office.world,
        examples={"pass": ["https://annet.no/"], "refuse": [LEKSIKON]},
    )
    with pytest.raises(BadRule) as caught:
        office.propose("sigrid", bad)
    said = " ".join(str(one) for one in caught.value.problems)
    assert "easily taken for" in said
    assert "should pass" in said
    assert "should be refused" in said


def test_faults_of_other_rules_do_not_stand_in_the_way(office: Office) -> None:
    """A rule whose examples have gone wrong long ago must not freeze the whole list."""
    office.load(elsewhere(office.world, "gammel", paths=["/nytt"]))
    office.propose("sigrid", good(office.world))


def test_a_removal_that_opens_what_another_rule_keeps_shut_is_refused(office: Office) -> None:
    world = office.world
    closed = good(
        world, id="steng", effect="deny", paths=["/chat"],
        examples={"pass": [], "refuse": ["https://leksikon.no/chat"]},
    )  # fmt: skip
    wide = good(
        world, examples={"pass": [LEKSIKON], "refuse": ["https://leksikon.no/chat/rom"]},
    )  # fmt: skip
    office.load(closed, wide)
    with pytest.raises(BadRule):
        office.propose("sigrid", None, rule_id="steng")


def test_a_change_and_a_removal_leave_their_history(office: Office) -> None:
    world = office.world
    office.load(good(world))
    narrow = good(world, paths=["/hund"], examples={
        "pass": ["https://leksikon.no/hund"], "refuse": [LEKSIKON]})  # fmt: skip
    second = office.approve("sverre", office.propose("sigrid", narrow))
    assert office.decide("anna").reason is Reason.PATH
    third = office.approve("sverre", office.propose("sigrid", None, rule_id="leksikon"))
    assert office.decide("anna").reason is Reason.NOT_LISTED
    assert (second, third) == (2, 3)
    with world.uow("sigrid") as uow:
        as_it_was = {
            number: queries.rules_at(uow, number).get("leksikon") for number in (0, 1, 2, 3)
        }
    assert as_it_was[0] is None
    assert as_it_was[3] is None
    assert as_it_was[1] is not None
    assert as_it_was[1].paths == ("/",)
    assert as_it_was[2] is not None
    assert as_it_was[2].paths == ("/hund",)


def test_one_proposal_a_rule_and_none_on_an_old_version(office: Office) -> None:
    world = office.world
    office.load(good(world))
    seen = office.newest("leksikon")
    waiting = office.propose("sigrid", good(world, subdomains=True))
    with pytest.raises(Conflict, match="waits"):
        office.propose("stein", good(world, supervised=True))
    office.approve("sverre", waiting)
    with pytest.raises(Conflict, match="changed since"):
        office.propose("stein", good(world, supervised=True), based_on=seen)
    late = office.propose("stein", good(world, supervised=True))
    office.load(good(world, paths=["/katt"]))
    with pytest.raises(Conflict, match="changed since"):
        office.approve("sverre", late)


def test_a_unit_cannot_take_over_a_national_rule_by_its_id(office: Office) -> None:
    """The newest row of an id is in force: a unit could open what is closed for all."""
    world = office.world
    office.load(good(world))
    with pytest.raises(Invalid, match="another place"):
        office.propose("sigrid", good(world), unit="nord")
    with pytest.raises(Invalid, match="another place"):
        office.propose("sigrid", None, rule_id="leksikon", unit="nord")


def test_a_rule_of_a_unit_names_no_other_unit(office: Office) -> None:
    with pytest.raises(Invalid, match="that unit alone"):
        office.propose("sigrid", good(office.world, scope={"units": ["nord", "sor"]}), unit="nord")


def test_a_new_version_is_seen_by_every_process_at_its_next_request(office: Office) -> None:
    office.load(good(office.world))
    assert office.decide("anna").allowed
    office.load(good(office.world, paths=["/hund"]))
    assert office.decide("anna").reason is Reason.PATH


def test_rules_are_read_once_a_version(office: Office) -> None:
    office.load(good(office.world))
    with office.world.uow("anna") as uow:
        stands = queries.standing(uow, office.world.actor("anna"))
        first = queries.in_force(uow, stands)
        assert queries.in_force(uow, stands) is first


def test_what_cannot_be_read_opens_nothing(office: Office) -> None:
    world = office.world
    office.load(good(world))
    with world.owner() as uow:
        uow.execute(text("ALTER TABLE whitelist_version DISABLE TRIGGER whitelist_frozen"))
        uow.execute(text('UPDATE whitelist_version SET body = body || \'{"host": "no"}\''))
        uow.execute(text("ALTER TABLE whitelist_version ENABLE TRIGGER whitelist_frozen"))
    office.load(elsewhere(world, "kart"))
    assert office.decide("anna").reason is Reason.NOT_LISTED
    assert office.decide("anna", "https://kart.no/").allowed
    with world.owner() as uow:
        uow.execute(text("ALTER TABLE whitelist_version DISABLE TRIGGER whitelist_frozen"))
        uow.execute(
            text("UPDATE whitelist_version SET body = body || '{\"effect\": \"deny\"}'"
                 " WHERE rule_id = 'leksikon'")
        )  # fmt: skip
        uow.execute(text("ALTER TABLE whitelist_version ENABLE TRIGGER whitelist_frozen"))
    office.load(elsewhere(world, "hav"))
    with pytest.raises(Unavailable):
        office.decide("anna", "https://kart.no/")


# -- the second wall: the web role by hand ------------------------------------------------------


def by_hand(world: World, who: str, statement: str, *values: Any) -> int:
    with world.connect("dask_web") as connection:
        connection.execute("SELECT set_config('dask.actor', %s, true)", [str(world.id(who))])
        return int(connection.execute(statement, values).rowcount)


INSERT = (
    "INSERT INTO whitelist_proposal (id, rule_id, unit_id, action, body, based_on, reason,"
    " proposed_by, proposed_name, proposer_units, proposed_at, state, answer) VALUES"
    " (gen_random_uuid(), %s, %s, 'change', %s, 1, 'x', dask_actor(), 'x', '{}', now(),"
    " 'waiting', '')"
)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO whitelist_version (number, mark, rule_id, proposed_name, approved_name,"
        " reason, at) VALUES (9, gen_random_uuid(), 'x', 'x', 'x', 'x', now())",
        "UPDATE whitelist_version SET body = '{}'",
        "DELETE FROM whitelist_version",
        "DELETE FROM whitelist_proposal",
        "UPDATE whitelist_proposal SET body = '{}'",
        "UPDATE whitelist_proposal SET proposed_by = NULL",
        "DELETE FROM whitelist_stop",
        "UPDATE whitelist_stop SET reopened_by = dask_actor()",
        "DELETE FROM site_request",
        "SELECT dask_proposal_takes_effect()",
        "SELECT dask_signature(dask_actor())",
    ],
)
@pytest.mark.parametrize("who", ["sigrid", "anna"])
def test_what_nobody_on_the_web_may_write(office: Office, who: str, statement: str) -> None:
    office.load(good(office.world))
    office.propose("sigrid", good(office.world, supervised=True))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        by_hand(office.world, who, statement)


def test_not_even_the_owner_changes_a_version(office: Office) -> None:
    office.load(good(office.world))
    with (
        office.world.connect("dask_owner") as connection,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        connection.execute("UPDATE whitelist_version SET reason = 'x'")


@pytest.mark.parametrize("who", ["sigrid", "stein", "anna", "tora", "olga"])
def test_the_database_lets_only_the_right_second_person_approve(office: Office, who: str) -> None:
    """sigrid proposed it; stein is of her unit; the others are no officers."""
    office.propose("sigrid", good(office.world))
    approve = "UPDATE whitelist_proposal SET state = 'approved', decided_at = now()"
    with suppress(psycopg.errors.InsufficientPrivilege):
        assert by_hand(office.world, who, approve) == 0
    assert office.newest("leksikon") is None
    assert by_hand(office.world, "sverre", approve) == 1
    assert office.newest("leksikon") == 1


def test_the_database_signs_with_the_true_names(office: Office) -> None:
    """Whatever is written in by hand, a proposal is the actor's, and begins by waiting."""
    world = office.world
    office.load(good(world))
    body = '{"id": "leksikon"}'
    statement = INSERT.replace("dask_actor(), 'x', '{}'", "%s, 'Sverre', ARRAY[%s]::uuid[]")
    by_hand(world, "sigrid", statement, "leksikon", None, body, world.id("sverre"), world.id("sor"))
    with world.owner() as uow:
        row = uow.execute(text("SELECT * FROM whitelist_proposal")).one()
    assert row.proposed_by == world.id("sigrid")
    assert row.proposed_name == "Sigrid (sigrid)"
    assert row.proposer_units == [world.id("nord")]


@pytest.mark.parametrize(
    ("unit", "body"),
    [
        ("nord", '{"id": "leksikon", "scope": {"units": ["nord"]}}'),  # a national id
        (None, '{"id": "annet"}'),
        ("nord", '{"id": "ny", "scope": {"units": ["nord", "sor"]}}'),
        ("nord", '{"id": "ny"}'),
    ],
)
def test_the_database_refuses_a_rule_in_anothers_place(
    office: Office, unit: str | None, body: str
) -> None:
    world = office.world
    office.load(good(world))
    rule_id = "ny" if '"ny"' in body else "leksikon"
    with pytest.raises(psycopg.errors.CheckViolation):
        by_hand(world, "sigrid", INSERT, rule_id, world.id(unit) if unit else None, body)


# -- rules from files ---------------------------------------------------------------------------


def write(folder: Path, name: str, expires: str, **more: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        "id": name, "title": "{nb: A, nn: A}", "description": "{nb: A, nn: A}",
        "host": f"{name}.no", "owner": "Kontoret", "author": "Den ene", "reviewer": "Den andre",
        "reason": "Fordi.", "expires": expires,
        "examples": f"{{pass: ['https://{name}.no/'], refuse: ['https://{name}.no:444/']}}", **more,
    }  # fmt: skip
    text_ = "".join(f"{key}: {value}\n" for key, value in lines.items())
    (folder / f"{name}.yaml").write_text(text_, encoding="utf-8")


def test_files_are_loaded_once_and_leave_changes_on_the_screen_alone(
    office: Office, tmp_path: Path
) -> None:
    world = office.world
    until = (world.clock.now() + timedelta(days=100)).date().isoformat()
    national, unit = tmp_path / "national", tmp_path / "units" / "nord"
    for name in ("bok", "kart"):
        write(national, name, until)
    write(unit, "verksted", until)

    def load() -> Loaded:
        with world.owner() as uow:
            return load_whitelists(uow, tmp_path, now=world.clock.now())

    assert load() == Loaded(added=3)
    assert load() == Loaded(same=3)
    assert office.decide("anna", "https://verksted.no/").allowed
    assert office.decide("cem", "https://verksted.no/").reason is Reason.UNIT
    assert office.decide("cem", "https://bok.no/").allowed

    office.approve("sverre", office.propose("sigrid", None, rule_id="bok"))
    assert load() == Loaded(same=3)
    assert not office.decide("cem", "https://bok.no/").allowed
    write(national, "bok", until, subdomains="true")
    (national / "kart.yaml").unlink()
    assert load() == Loaded(changed=1, removed=1, same=1)
    assert office.decide("cem", "https://www.bok.no/").allowed
    assert not office.decide("cem", "https://kart.no/").allowed
    loaded = office.world.audit("whitelist.loaded")
    assert len(loaded) == 2


def test_one_bad_file_and_nothing_is_loaded(office: Office, tmp_path: Path) -> None:
    until = (office.world.clock.now() + timedelta(days=100)).date().isoformat()
    write(tmp_path / "national", "bok", until)
    write(tmp_path / "units" / "ingensteds", "kart", until)
    with pytest.raises(ConfigurationError, match="ingensteds"), office.world.owner() as uow:
        load_whitelists(uow, tmp_path, now=office.world.clock.now())
    assert office.newest("bok") is None
