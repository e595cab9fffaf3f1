"""Limits, and sessions ended by others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.features.identity.conftest import MakeWorld, log_in, token_of
from tests.world import World


def test_idle_limit_and_what_the_person_is_told(school: World) -> None:
    client = school.anonymous()
    log_in(client, "anna")
    for _ in range(3):
        school.clock.move(timedelta(minutes=29))
        assert client.get("/account").status_code == 200
    school.clock.move(timedelta(minutes=31))
    lost = client.get("/account", follow_redirects=True)
    assert lost.request.path == "/login"
    assert "borte" in lost.text or "away for a while" in lost.text
    assert token_of(client) is None


@pytest.mark.parametrize(
    ("who", "idle", "hours"), [("anna", 30, 6), ("tora", 30, 10), ("olga", 15, 8)]
)
def test_limits_by_role(school: World, who: str, idle: int, hours: int) -> None:
    log_in(school.anonymous(), who)
    with school.owner() as uow:
        row = uow.execute(
            text("SELECT * FROM login_session WHERE person_id = :p"), {"p": school.id(who)}
        ).one()
    assert row.idle_seconds == idle * 60
    assert row.expires_at - row.started_at == timedelta(hours=hours)


def test_absolute_limit_holds_for_who_is_never_idle(make_world: MakeWorld) -> None:
    school = make_world(student_session_hours=1)
    client = school.anonymous()
    log_in(client, "anna")
    for _ in range(3):
        school.clock.move(timedelta(minutes=19))
        assert client.get("/account").status_code == 200
    school.clock.move(timedelta(minutes=4))
    assert client.get("/account").status_code == 303


def test_staff_end_a_students_session_and_it_holds_at_the_next_request(school: World) -> None:
    for staff in ("tora", "even", "odd", "sigrid", "olga"):
        anna = school.client("anna")
        assert anna.get("/account").status_code == 200
        url = f"/students/{school.id('anna')}/end-session"
        assert school.client(staff).post_form(url).status_code == 303
        lost = anna.get("/account", follow_redirects=True)
        assert lost.request.path == "/login"
        assert "ansatt" in lost.text or "member of staff" in lost.text
    *_, event = school.audit("session.ended_by_staff")
    assert event["subject_id"] == school.id("anna")
    assert event["unit_id"] == school.id("nord")


@pytest.mark.parametrize("staff", ["siri", "sverre"])
def test_staff_elsewhere_end_nothing_and_learn_nothing(school: World, staff: str) -> None:
    anna = school.client("anna")
    client = school.client(staff)
    assert client.post_form(f"/students/{school.id('anna')}/end-session").status_code == 404
    assert client.post_form(f"/rooms/{school.id('room')}/end-sessions").status_code == 404
    assert client.post_form(f"/units/{school.id('nord')}/end-sessions").status_code == 404
    assert "Anna" not in client.get("/rooms").text
    assert anna.get("/account").status_code == 200


@pytest.mark.parametrize(
    "url",
    ["/students/{anna}/end-session", "/rooms/{room}/end-sessions", "/units/{nord}/end-sessions"],
)
def test_a_student_ends_nobodys_session(school: World, url: str) -> None:
    anna = school.client("anna")
    where = url.format(anna=school.id("anna"), room=school.id("room"), nord=school.id("nord"))
    assert school.client("bo").post_form(where).status_code == 404
    assert school.client("bo").get("/rooms").status_code == 404
    assert anna.get("/account").status_code == 200


def test_a_whole_room_with_one_click(school: World) -> None:
    anna, bo, dag = school.anonymous(), school.anonymous(), school.client("dag")
    log_in(anna, "anna")
    log_in(bo, "bo")
    page = school.client("even").get("/rooms")
    assert "Anna" in page.text
    assert "Dag" in page.text  # logged in outside the room
    answer = school.client("even").post_form(f"/rooms/{school.id('room')}/end-sessions")
    assert answer.status_code == 303
    assert anna.get("/account").status_code == 303
    assert bo.get("/account").status_code == 303
    assert dag.get("/account").status_code == 200  # no room in that session
    subjects = {event["subject_id"] for event in school.audit("session.ended_by_staff")}
    assert subjects == {school.id("anna"), school.id("bo")}


def test_a_whole_unit_with_one_click(school: World) -> None:
    anna, dag, cem = school.client("anna"), school.client("dag"), school.client("cem")
    assert (
        school.client("odd").post_form(f"/units/{school.id('nord')}/end-sessions").status_code
        == 303
    )
    assert anna.get("/account").status_code == 303
    assert dag.get("/account").status_code == 303
    assert cem.get("/account").status_code == 200


def test_looking_at_who_is_logged_in_is_an_event(school: World) -> None:
    school.client("anna")
    school.client("tora").get("/rooms")
    (event,) = school.audit("person.list_read")
    assert event["unit_id"] == school.id("nord")


def test_staff_see_only_own_units_rooms(school: World) -> None:
    school.client("anna")
    assert "Klasserom 1" not in school.client("siri").get("/rooms").text
    assert "Klasserom 1" in school.client("tora").get("/rooms").text


def test_student_whose_pc_left_the_room_is_logged_out_and_not_sent_in_circles(
    school: World,
) -> None:
    client = school.anonymous()
    log_in(client, "anna")
    elsewhere = {"REMOTE_ADDR": "10.9.9.9"}
    answer = client.get("/account", environ_overrides=elsewhere)
    assert answer.status_code == 303
    page = client.get(answer.location, environ_overrides=elsewhere)
    assert page.status_code == 200
    assert token_of(client) is None
    assert len(school.audit("session.left_room")) == 1


def test_logged_in_person_who_opens_the_login_page_just_goes_on(school: World) -> None:
    answer = school.client("tora").get("/login?next=/account")
    assert answer.status_code == 303
    assert answer.location == "/account"
