"""The operator's verbs on people, and who may see whom."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from dask_platform.features.identity.queries import person_names, students_at
from dask_platform.kernel.actor import Actor, Role
from tests.features.identity.conftest import log_in
from tests.world import World

PASSWORD_IN_PAGE = re.compile(r"<code>([A-Z2-9-]{14})</code>")
NEW = "fire nye ord i rekke"


def add(world: World, username: str, role: str, unit: str = "nord", who: str = "olga") -> str:
    form = {
        "display_name": username.capitalize(),
        "username": username,
        "role": role,
        "unit": str(world.id(unit)),
    }
    page = world.client(who).post_form("/people/new", form)
    assert page.status_code == 200
    found = PASSWORD_IN_PAGE.search(page.text)
    assert found
    return found.group(1)


def person_id(world: World, username: str) -> UUID:
    with world.owner() as uow:
        found = uow.execute(
            text("SELECT id FROM person WHERE username = :name"), {"name": username}
        ).scalar_one()
    assert isinstance(found, UUID)
    return found


@pytest.mark.parametrize("role", ["student", "teacher", "workshop", "security", "operator"])
def test_added_person_chooses_a_password_and_is_in(school: World, role: str) -> None:
    once = add(school, "nykommer", role)
    client = school.anonymous()
    page = log_in(client, "nykommer", once)
    ticket = re.search(r'name="ticket"[^>]*value="([^"]+)"', page.text)
    assert ticket
    form = {"ticket": ticket.group(1), "password": NEW, "again": NEW}
    assert client.post_form("/login/new-password", form).status_code == 303
    assert client.get("/account").status_code == 200
    (event,) = school.audit("person.created")
    assert event["subject_id"] == person_id(school, "nykommer")
    assert event["details"] == {"role": role}
    assert once not in str(school.audit())


@pytest.mark.parametrize(
    "username", ["anna", "ANNA", "cem", "a", "x" * 41, "ola nordmann", "øye", "a/b", "-a"]
)
def test_taken_and_unfit_user_names_are_refused_and_what_was_typed_is_kept(
    shared_world: World, username: str
) -> None:
    form = {
        "display_name": "Ola Ny", "username": username, "role": "teacher",
        "unit": str(shared_world.id("nord")),
    }  # fmt: skip
    page = shared_world.client("olga").post_form("/people/new", form)
    assert page.status_code == 400
    assert "Ola Ny" in page.text


def test_operator_adds_nobody_elsewhere(school: World) -> None:
    form = {
        "display_name": "X", "username": "ekstra", "role": "teacher", "unit": str(school.id("sor"))
    }  # fmt: skip
    assert school.client("olga").post_form("/people/new", form).status_code == 400
    for who in ("sigrid", "tora", "odd", "anna", "siri"):
        assert school.client(who).post_form("/people/new", form).status_code == 404


def test_list_shows_own_units_and_is_logged(school: World) -> None:
    page = school.client("olga").get("/people").text
    assert "Anna" in page
    assert "Tora" in page
    assert "Cem" not in page
    assert "Siri" not in page
    (event,) = school.audit("person.list_read")
    assert event["unit_id"] == school.id("nord")
    assert "Cem" in school.client("sverre").get("/people").text
    for who in ("anna", "tora", "odd"):
        assert school.client(who).get("/people").status_code == 404


def test_search_takes_wildcards_as_letters(school: World) -> None:
    client = school.client("olga")
    assert "Anna" in client.get("/people?search=nn").text
    assert "Tora" not in client.get("/people?search=nn").text
    assert "Anna" not in client.get("/people?search=%25").text
    assert "Anna" not in client.get("/people?search=_nna").text
    assert client.get("/people?search=zzz&page=99&unit=x").status_code == 200


@pytest.mark.parametrize("who", ["sigrid", "tora", "siri", "anna"])
def test_only_an_operator_of_the_unit_manages(shared_world: World, who: str) -> None:
    client = shared_world.client(who)
    for act in ("password", "second-factor", "deactivate", "reactivate", "placement/end", "name"):
        assert client.post_form(f"/people/{shared_world.id('bo')}/{act}").status_code == 404


def test_operator_reaches_nobody_of_another_unit(school: World) -> None:
    client = school.client("olga")
    for name in ("cem", "siri", "sverre"):
        assert client.get(f"/people/{school.id(name)}").status_code == 404
        for act in ("password", "second-factor", "deactivate", "placement/end"):
            assert client.post_form(f"/people/{school.id(name)}/{act}").status_code == 404


def test_closing_an_account_ends_its_sessions_at_once(school: World) -> None:
    tora = school.client("tora")
    url = f"/people/{school.id('tora')}"
    client = school.client("olga")
    assert client.post_form(f"{url}/deactivate").status_code == 303
    assert tora.get("/account").status_code == 303
    assert log_in(school.anonymous(), "tora").status_code == 401
    assert client.post_form(f"{url}/deactivate").status_code == 409
    assert client.post_form(f"{url}/reactivate").status_code == 303
    assert log_in(school.anonymous(), "tora").status_code == 303
    assert len(school.audit("person.deactivated")) == 1


def test_nobody_does_it_to_themselves(school: World) -> None:
    client = school.client("olga")
    url = f"/people/{school.id('olga')}"
    for act in ("deactivate", "password", "second-factor"):
        assert client.post_form(f"{url}/{act}").status_code == 403
    form = {"role": "security", "unit": str(school.id("nord"))}
    assert client.post_form(f"{url}/roles", form).status_code == 403
    with school.owner() as uow:
        own = uow.execute(
            text("SELECT id FROM staff_role WHERE person_id = :p"), {"p": school.id("olga")}
        ).scalar_one()
    assert client.post_form(f"{url}/roles/{own}/end").status_code == 403
    bring = {"username": "olga", "role": "security", "unit": str(school.id("nord"))}
    assert client.post_form("/people/existing", bring).status_code == 403


def test_role_is_given_and_ended_and_holds_at_the_next_request(school: World) -> None:
    even, olga = school.client("even"), school.client("olga")
    url = f"/people/{school.id('even')}"
    form = {"role": "security", "unit": str(school.id("nord"))}
    assert even.get("/people").status_code == 404
    assert olga.post_form(f"{url}/roles", form).status_code == 303
    assert even.get("/people").status_code == 200
    assert olga.post_form(f"{url}/roles", form).status_code == 400
    found = re.search(rf"{url}/roles/([0-9a-f-]+)/end", olga.get(url).text)
    assert found
    with school.owner() as uow:
        role = uow.execute(
            text("SELECT id FROM staff_role WHERE person_id = :p AND role = 'security'"),
            {"p": school.id("even")},
        ).scalar_one()
    assert olga.post_form(f"{url}/roles/{role}/end").status_code == 303
    assert even.get("/people").status_code == 404
    assert olga.post_form(f"{url}/roles/{role}/end").status_code == 409
    other = f"/people/{school.id('tora')}/roles/{role}/end"
    assert olga.post_form(other).status_code == 404
    assert [event["details"]["role"] for event in school.audit("role.granted")] == ["security"]
    assert len(school.audit("role.ended")) == 1


def test_role_kept_by_the_directory_is_not_ended_by_hand(school: World) -> None:
    with school.owner() as uow:
        role = uow.execute(
            text("UPDATE staff_role SET source = 'directory' WHERE person_id = :p RETURNING id"),
            {"p": school.id("even")},
        ).scalar_one()
    answer = school.client("olga").post_form(f"/people/{school.id('even')}/roles/{role}/end")
    assert answer.status_code == 403


def test_student_never_gets_a_staff_role(school: World) -> None:
    form = {"role": "teacher", "unit": str(school.id("nord"))}
    answer = school.client("olga").post_form(f"/people/{school.id('anna')}/roles", form)
    assert answer.status_code in (400, 409)
    bring = {"username": "anna", **form}
    assert school.client("olga").post_form("/people/existing", bring).status_code == 400


def test_released_student_comes_back_by_user_name(school: World) -> None:
    anna, olga = school.client("anna"), school.client("olga")
    url = f"/people/{school.id('anna')}"
    assert olga.post_form(f"{url}/placement/end").status_code == 303
    assert anna.get("/account").status_code == 303
    assert olga.get(url).status_code == 404
    assert log_in(school.anonymous(), "anna").status_code == 403
    bring = {"username": "Anna", "role": "student", "unit": str(school.id("nord"))}
    assert olga.post_form("/people/existing", bring).status_code == 303
    assert olga.get(url).status_code == 200
    assert log_in(school.anonymous(), "anna").status_code == 303
    assert [event["details"]["what"] for event in school.audit("person.placed")] == [
        "ended",
        "began",
    ]


def test_student_placed_elsewhere_is_not_taken_over(school: World) -> None:
    bring = {"username": "cem", "role": "student", "unit": str(school.id("nord"))}
    answer = school.client("olga").post_form("/people/existing", bring)
    assert answer.status_code == 409
    assert "Sør" not in answer.text


def test_transfer_between_own_units_logs_out(school: World) -> None:
    with school.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO staff_role (id, person_id, unit_id, role, source, starts_at)"
                " VALUES (gen_random_uuid(), :p, :u, 'operator', 'local', now())"
            ),
            {"p": school.id("olga"), "u": school.id("sor")},
        )
    anna, olga = school.client("anna"), school.client("olga")
    url = f"/people/{school.id('anna')}/transfer"
    assert olga.post_form(url, {"unit": str(school.id("nord"))}).status_code == 400
    assert olga.post_form(url, {"unit": str(school.id("sor"))}).status_code == 303
    assert anna.get("/account").status_code == 303
    assert "Anna" in school.client("sverre").get("/people").text
    assert "Anna" not in school.client("sigrid").get("/people").text


def test_transfer_needs_both_units(school: World) -> None:
    url = f"/people/{school.id('anna')}/transfer"
    assert school.client("olga").post_form(url, {"unit": str(school.id("sor"))}).status_code == 400


def test_rename_keeps_direction_controls_out(school: World) -> None:
    client = school.client("olga")
    url = f"/people/{school.id('anna')}"
    form = {"display_name": "Anna\u202e Ny"}
    assert client.post_form(f"{url}/name", form).status_code == 303
    assert "Anna Ny" in client.get(url).text
    assert client.post_form(f"{url}/name", {"display_name": "\u200b"}).status_code == 400


def test_opening_a_persons_page_is_an_event_about_them(school: World) -> None:
    school.client("sigrid").get(f"/people/{school.id('anna')}")
    (event,) = school.audit("person.list_read")
    assert event["subject_id"] == school.id("anna")


def test_names_are_only_those_the_actor_may_know(school: World) -> None:
    everybody = [school.id(name) for name in ("anna", "bo", "cem", "tora", "even", "siri")]
    for who, known in (
        ("anna", {"Anna", "Tora"}),
        ("tora", {"Anna", "Bo", "Tora", "Even"}),
        ("siri", {"Cem", "Siri"}),
        (None, set()),
    ):
        with school.uow(who) as uow:
            assert set(person_names(uow, everybody).values()) == known, who


def test_students_at_are_those_placed_now_with_open_accounts(school: World) -> None:
    nord, sor = school.id("nord"), school.id("sor")
    tora = Actor(school.id("tora"), None, "tora", "Tora", roles={Role.TEACHER: frozenset({nord})})
    with school.owner() as uow:
        uow.execute(text("UPDATE person SET active = false WHERE username = 'dag'"))
    with school.uow("tora") as uow:
        assert [line.username for line in students_at(uow, tora, [nord, sor])] == ["anna", "bo"]
        assert students_at(uow, tora, [sor]) == []
        assert students_at(uow, tora, []) == []


def test_list_of_many_people_has_pages(school: World) -> None:
    with school.owner() as uow:
        for number in range(60):
            made = uow.execute(
                text(
                    "INSERT INTO person (id, kind, username, display_name, locale, active,"
                    " created_at) VALUES (gen_random_uuid(), 'student', :u, :n, 'nb', true, now())"
                    " RETURNING id"
                ),
                {"u": f"elev{number:02}", "n": f"Elev {number:02}"},
            ).scalar_one()
            uow.execute(
                text(
                    "INSERT INTO placement (id, person_id, unit_id, starts_at)"
                    " VALUES (gen_random_uuid(), :p, :u, :at)"
                ),
                {
                    "p": made,
                    "u": school.id("nord"),
                    "at": school.clock.now() - timedelta(days=1),
                },
            )
    client = school.client("olga")
    first = client.get("/people?search=elev").text
    assert "Elev 00" in first
    assert "Elev 59" not in first
    assert "Elev 59" in client.get("/people?search=elev&page=2").text
