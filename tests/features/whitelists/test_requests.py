"""Wishes for a page: who asks, who answers, who sees it, and that no student sees another's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dask_platform.features.whitelists.service import requests
from dask_platform.kernel.errors import Closed, Conflict, Invalid, NotVisible
from tests.features.whitelists.office import Office, good
from tests.world import World


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def row(office: Office, wish: Any) -> Any:
    with office.world.owner() as uow:
        return uow.execute(text("SELECT * FROM site_request WHERE id = :id"), {"id": wish}).one()


def seen_by(office: Office) -> set[str]:
    """Who sees the one wish there is, with the application's filters out of the way."""
    found = set()
    for who in ("anna", "bo", "dag", "cem", "tora", "even", "siri", "odd", "sigrid", "stein",
                "sverre", "olga"):  # fmt: skip
        with office.world.connect("dask_web") as connection:
            person = str(office.world.id(who))
            connection.execute("SELECT set_config('dask.actor', %s, true)", [person])
            if connection.execute("SELECT FROM site_request").rowcount:
                found.add(who)
    return found


def refuse(office: Office, who: str, wish: Any, reason: str = "For mye chat.") -> None:
    with office.world.uow(who) as uow:
        requests.refuse(uow, office.world.actor(who), wish, reason, office.world.clock.now())


def test_a_students_wish_is_seen_by_security_and_own_teachers(office: Office) -> None:
    office.wish("anna")
    assert seen_by(office) == {"anna", "tora", "sigrid", "stein"}


def test_a_teachers_wish_is_seen_by_security_of_the_unit(office: Office) -> None:
    office.wish("tora", class_id=office.world.id("class nord"))
    assert seen_by(office) == {"tora", "sigrid", "stein"}


def test_a_refusal_has_a_reason_and_a_name(office: Office) -> None:
    wish = office.wish("anna")
    with pytest.raises(Invalid, match="why"):
        refuse(office, "sigrid", wish, " ")
    refuse(office, "sigrid", wish)
    found = row(office, wish)
    assert (found.state, found.answer, found.answered_name) == (
        "refused", "For mye chat.", "Sigrid",
    )  # fmt: skip
    with pytest.raises(Conflict):
        refuse(office, "stein", wish)


def test_a_wish_becomes_a_proposal_and_then_an_open_page(office: Office) -> None:
    wish = office.wish("anna")
    proposal = office.propose("sigrid", good(office.world), request_id=wish)
    assert row(office, wish).state == "proposed"
    office.approve("sverre", proposal)
    found = row(office, wish)
    assert (found.state, found.answered_name) == ("opened", "Sverre")


def test_a_wish_whose_proposal_is_refused_waits_for_an_answer_again(office: Office) -> None:
    wish = office.wish("anna")
    office.refuse("sverre", office.propose("sigrid", good(office.world), request_id=wish))
    found = row(office, wish)
    assert (found.state, found.answered_name, found.answer) == ("open", None, "")
    refuse(office, "stein", wish)


@pytest.mark.parametrize("who", ["sverre", "tora", "olga", "bo"])
def test_who_may_not_answer(office: Office, who: str) -> None:
    wish = office.wish("anna")
    with pytest.raises(NotVisible):
        refuse(office, who, wish)
    assert row(office, wish).state == "open"


def test_an_officer_elsewhere_takes_up_no_wish(office: Office) -> None:
    wish = office.wish("anna")
    with pytest.raises(NotVisible):
        office.propose("sverre", good(office.world), request_id=wish)


def test_an_own_wish_is_taken_back_until_somebody_takes_it_up(office: Office) -> None:
    world = office.world
    wish = office.wish("anna")
    with pytest.raises(NotVisible), world.uow("bo") as uow:
        requests.withdraw(uow, world.actor("bo"), wish)
    with world.uow("anna") as uow:
        requests.withdraw(uow, world.actor("anna"), wish)
    assert row(office, wish).state == "withdrawn"
    taken = office.wish("anna")
    refuse(office, "sigrid", taken)
    with pytest.raises(NotVisible), world.uow("anna") as uow:
        requests.withdraw(uow, world.actor("anna"), taken)


def test_a_student_has_five_wishes_waiting_at_most(office: Office) -> None:
    wishes = [office.wish("anna", f"https://side{n}.no/") for n in range(5)]
    with pytest.raises(Closed, match="5 pages"):
        office.wish("anna")
    office.wish("bo")
    refuse(office, "sigrid", wishes[0])
    office.wish("anna")


def test_a_student_asks_ten_times_a_day_at_most(office: Office) -> None:
    for _ in range(10):
        refuse(office, "sigrid", office.wish("anna"))
    with pytest.raises(Closed, match="today"):
        office.wish("anna")
    office.world.clock.move(timedelta(days=1))
    office.wish("anna")


def test_what_a_student_writes_is_short(office: Office) -> None:
    office.wish("anna", reason="x" * 200)
    with pytest.raises(Invalid, match="200"):
        office.wish("anna", reason="x" * 201)
    assert row(office, office.wish("anna", reason=" ")).reason == ""


def test_a_teacher_says_why_and_asks_for_own_classes(office: Office) -> None:
    world = office.world
    with pytest.raises(Invalid, match="why"):
        office.wish("tora", reason="")
    with pytest.raises(NotVisible):
        office.wish("tora", class_id=world.id("class sor"))
    with pytest.raises(Invalid, match="passed"):
        office.wish("tora", wanted_until=(world.clock.now() - timedelta(days=2)).date())


@pytest.mark.parametrize("who", ["sigrid", "odd", "olga"])
def test_others_ask_for_nothing(office: Office, who: str) -> None:
    with pytest.raises(NotVisible):
        office.wish(who)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("snl.no/katt", "https://snl.no/katt"),
        (" http://SNL.no ", "https://snl.no"),
        ("HTTPS://språk.no/Å?q=1#x", "https://xn--sprk-soa.no/Å?q=1#x"),
    ],
)
def test_an_address_is_kept_as_it_would_be_asked_for(typed: str, kept: str) -> None:
    assert requests.clean_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    ["", "katt", "javascript:alert(1)", "https://a@snl.no/", "https://snl.no:8443/", "127.0.0.1",
     "https://[::1]/", "snl.no/to ord", "snl.no/\u202egal", "snl.no/\nx",
     "https://snl.no/" + "x" * 500],
)  # fmt: skip
def test_what_is_no_address_of_a_page(typed: str) -> None:
    with pytest.raises(Invalid):
        requests.clean_address(typed)


# -- the second wall ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "statement"),
    [
        ("anna", "UPDATE site_request SET state = 'opened'"),
        ("anna", "UPDATE site_request SET state = 'refused'"),
        ("bo", "UPDATE site_request SET state = 'withdrawn'"),
        ("tora", "UPDATE site_request SET state = 'refused'"),
        ("sigrid", "UPDATE site_request SET state = 'opened'"),
        ("sverre", "UPDATE site_request SET state = 'refused'"),
        ("sigrid", "UPDATE site_request SET reason = 'x'"),
        ("sigrid", "UPDATE site_request SET answered_name = 'Stein'"),
        ("anna", "INSERT INTO site_request (id, person_id, by_student, unit_id, address, reason,"
                 " asked_at, state, answer) SELECT gen_random_uuid(), person_id, false, unit_id,"
                 " 'x', repeat('x', 400), now(), 'open', '' FROM site_request"),
        ("bo", "INSERT INTO site_request (id, person_id, by_student, unit_id, address, reason,"
               " asked_at, state, answer) VALUES (gen_random_uuid(), '{anna}', true, '{nord}', 'x',"
               " '', now(), 'open', '')"),
    ],
)  # fmt: skip
def test_what_the_database_refuses(office: Office, who: str, statement: str) -> None:
    world = office.world
    wish = office.wish("anna")
    for name in ("anna", "nord"):
        statement = statement.replace(f"{{{name}}}", str(world.id(name)))
    with world.connect("dask_web") as connection:
        connection.execute("SELECT set_config('dask.actor', %s, true)", [str(world.id(who))])
        try:
            assert connection.execute(statement).rowcount == 0
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation):
            connection.rollback()
    found = row(office, wish)
    assert (found.state, found.reason, found.answered_name) == ("open", "Til en oppgave.", None)
