"""From a name and a password to a session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.features.identity.conftest import MakeWorld, hasher_of, log_in, token_of
from tests.world import PASSWORD, World


def test_right_password_opens_a_session_that_the_next_request_has(school: World) -> None:
    client = school.anonymous()
    answer = log_in(client, "anna", next="/account")
    assert answer.status_code == 303
    assert answer.location == "/account"
    assert client.get("/account").status_code == 200
    (event,) = school.audit("login.succeeded")
    assert event["actor_name"] == "anna"
    assert event["unit_id"] == school.id("nord")
    assert event["details"]["room"] == str(school.id("room"))


def test_name_is_found_whatever_its_case_and_spaces(school: World) -> None:
    assert log_in(school.anonymous(), "  ANNA ").status_code == 303


def test_wrong_password_and_unknown_name_get_the_same_answer(school: World) -> None:
    other = log_in(school.anonymous(), "somebodyelse", "feil passord")
    for username in ("anna", "nobody", "a" * 250, "æøå", "x'; --", "\u202eanna"):
        answer = log_in(school.anonymous(), username, "feil passord")
        assert answer.status_code == 401
        assert _without_what_was_typed(answer.text) == _without_what_was_typed(other.text)


def _without_what_was_typed(page: str) -> list[str]:
    return [
        line
        for line in page.splitlines()
        if "csrf_token" not in line and 'name="username"' not in line
    ]


def test_unknown_closed_and_wrong_cost_one_hash_and_the_same_statements(school: World) -> None:
    with school.owner() as uow:
        uow.execute(text("UPDATE person SET active = false WHERE username = 'bo'"))
    school.platform.rooms.current()
    hasher, statements = hasher_of(school), []
    for username, password in (("anna", "feil"), ("nobody", "feil"), ("bo", PASSWORD)):
        before = hasher.verified
        with _sql_of(school) as seen:
            answer = log_in(school.anonymous(), username, password)
        assert answer.status_code == 401
        assert hasher.verified == before + 1
        statements.append(seen)
    assert statements[0] == statements[1] == statements[2]


class _sql_of:  # noqa: N801 - reads as a verb
    """The statements a block sends, in order."""

    def __init__(self, world: World) -> None:
        self.engine = world.platform.database.engine
        self.seen: list[str] = []

    def __enter__(self) -> list[str]:
        from sqlalchemy import event

        event.listen(self.engine, "before_cursor_execute", self._note)
        return self.seen

    def __exit__(self, *_: object) -> None:
        from sqlalchemy import event

        event.remove(self.engine, "before_cursor_execute", self._note)

    def _note(self, _c: object, _cur: object, statement: str, *_: object) -> None:
        self.seen.append(statement)


def test_failure_is_logged_with_its_reason_and_without_the_typed_name(school: World) -> None:
    log_in(school.anonymous(), "anna", "feil")
    log_in(school.anonymous(), "mitt hemmelige passord", "feil")
    known, unknown = school.audit("login.failed")
    assert known["subject_id"] == school.id("anna")
    assert known["unit_id"] == school.id("nord")
    assert unknown["subject_id"] is None
    assert "hemmelige" not in str(unknown)


def test_empty_form_says_what_to_fill_in_and_asks_no_database(school: World) -> None:
    answer = school.anonymous().post_form("/login", {"username": "", "password": ""})
    assert answer.status_code == 400
    assert hasher_of(school).verified == 0


def test_login_without_form_token_is_refused(school: World) -> None:
    answer = school.anonymous().post("/login", data={"username": "anna", "password": PASSWORD})
    assert answer.status_code == 400
    assert school.audit("login.succeeded") == []


def test_form_cookie_starts_anew_at_log_in(school: World) -> None:
    client = school.anonymous()
    old = client.csrf_token()
    log_in(client, "anna")
    with client.session_transaction() as session:
        assert "csrf_token" not in session
    answer = client.post("/logout", data={"csrf_token": old})
    assert answer.status_code == 400


def test_student_of_a_unit_with_rooms_logs_in_only_there(school: World) -> None:
    answer = log_in(school.anonymous(), "anna", address="10.9.9.9")
    assert answer.status_code == 403
    assert "login.refused_room" in {event["kind"] for event in school.audit()}
    assert school.audit("login.succeeded") == []
    assert log_in(school.anonymous(), "tora", address="10.9.9.9").status_code == 303
    assert log_in(school.anonymous(), "cem", address="10.9.9.9").status_code == 303


def test_room_is_not_told_to_who_does_not_know_the_password(school: World) -> None:
    answer = log_in(school.anonymous(), "anna", "feil", address="10.9.9.9")
    assert answer.status_code == 401
    assert school.audit("login.refused_room") == []


def test_student_without_place_and_staff_without_role_are_told(school: World) -> None:
    with school.owner() as uow:
        uow.execute(text("UPDATE placement SET ends_at = now()"))
        uow.execute(text("UPDATE staff_role SET ends_at = now()"))
    for username in ("anna", "tora"):
        client = school.anonymous()
        assert log_in(client, username).status_code == 403
        assert token_of(client) is None


def test_new_log_in_of_a_student_ends_the_old_one_and_both_are_logged(school: World) -> None:
    first, second = school.anonymous(), school.anonymous()
    log_in(first, "anna")
    log_in(second, "anna")
    assert second.get("/account").status_code == 200
    lost = first.get("/account", follow_redirects=True)
    assert lost.request.path == "/login"
    assert "en annen" in lost.text or "another PC" in lost.text
    kinds = [event["kind"] for event in school.audit()]
    assert kinds.count("login.succeeded") == 2
    assert kinds.count("login.ended_other") == 1


def test_session_that_ran_out_is_not_logged_as_ended_by_the_new_one(school: World) -> None:
    log_in(school.anonymous(), "anna")
    school.clock.move(timedelta(hours=7))
    assert log_in(school.anonymous(), "anna").status_code == 303
    assert school.audit("login.ended_other") == []


def test_two_log_ins_of_a_student_at_once_leave_one_session(school: World) -> None:
    def enter(_: int) -> int:
        return log_in(school.anonymous(), "anna").status_code

    assert school.app is not None
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(enter, range(6))) == {303}
    with school.owner() as uow:
        live = uow.execute(
            text("SELECT count(*) FROM login_session WHERE person_id = :p AND ended_at IS NULL"),
            {"p": school.id("anna")},
        ).scalar()
    assert live == 1
    assert len(school.audit("login.ended_other")) == 5


def test_staff_may_have_several_sessions(school: World) -> None:
    first, second = school.anonymous(), school.anonymous()
    log_in(first, "tora")
    log_in(second, "tora")
    assert first.get("/account").status_code == 200
    assert second.get("/account").status_code == 200


def test_logging_in_as_another_ends_the_first_session_of_the_browser(school: World) -> None:
    client = school.anonymous()
    log_in(client, "tora")
    old = token_of(client)
    log_in(client, "odd")
    assert token_of(client) != old
    other = school.anonymous()
    other.set_cookie("dask", old or "")
    assert other.get("/account").status_code == 303
    assert [event["actor_name"] for event in school.audit("logout")] == ["tora"]


def test_a_planted_token_does_not_survive_log_in(school: World) -> None:
    client = school.anonymous()
    client.set_cookie("dask", "planted")
    log_in(client, "anna")
    assert token_of(client) not in (None, "planted")


def test_database_keeps_only_the_hash_of_the_token(school: World) -> None:
    client = school.anonymous()
    log_in(client, "anna")
    token = token_of(client) or ""
    with school.owner() as uow:
        rows = uow.execute(text("SELECT s::text FROM login_session s")).scalars().all()
    assert rows
    assert all(token not in row for row in rows)


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [("http://localhost:8000", "dask", False), ("https://skole.example", "__Host-dask", True)],
)
def test_cookie_attributes(make_world: MakeWorld, public_url: str, name: str, secure: bool) -> None:
    world = make_world(public_url=public_url)
    client = world.anonymous()
    base = {"base_url": public_url}
    with client.session_transaction(**base) as session:
        session["csrf_token"] = "x"
    from itsdangerous import URLSafeTimedSerializer

    key = world.app.secret_key or ""
    form = {
        "csrf_token": URLSafeTimedSerializer(key, salt="wtf-csrf-token").dumps("x"),
        "username": "tora",
        "password": PASSWORD,
    }
    headers = {"Referer": public_url + "/login"}
    answer = client.post("/login", data=form, headers=headers, **base)
    assert answer.status_code == 303
    (cookie,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith(f"{name}=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert ("Secure" in cookie) is secure
    assert "Domain" not in cookie
    assert "Expires" not in cookie


def test_log_out_ends_the_session_for_whoever_has_the_token(school: World) -> None:
    client = school.anonymous()
    log_in(client, "anna")
    token = token_of(client) or ""
    assert client.post_form("/logout").status_code == 303
    assert token_of(client) is None
    again = school.anonymous()
    again.set_cookie("dask", token)
    assert again.get("/account").status_code == 303
    assert len(school.audit("logout")) == 1


def test_old_hash_is_made_anew_at_log_in(school: World) -> None:
    from dask_platform.features.identity.views import HASHER
    from dask_platform.security.passwords import PasswordHasher, Profile

    dearer = PasswordHasher(Profile(memory=128, passes=1, lanes=1))
    school.app.extensions[HASHER] = dearer
    assert log_in(school.anonymous(), "anna").status_code == 303
    with school.owner() as uow:
        stored = uow.execute(
            text("SELECT password_hash FROM local_credential WHERE person_id = :p"),
            {"p": school.id("anna")},
        ).scalar_one()
    assert not dearer.needs_rehash(stored)
    assert log_in(school.anonymous(), "anna").status_code == 303
