"""The second factor, from set-up to the lost telephone."""

from __future__ import annotations

import re
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import text

from dask_platform.features.identity.service import second_factor
from tests.features.identity.conftest import MakeWorld, log_in, token_of
from tests.world import Client, World

SECRET_IN_PAGE = re.compile(r'<code class="hash">([A-Z2-7 ]+)</code>')
CODE_IN_PAGE = re.compile(r"<code>([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})</code>")


@pytest.fixture
def strict(make_world: MakeWorld) -> World:
    """A school where the second factor is compulsory."""
    return make_world(second_factor_required=True)


def code(world: World, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(world.clock.now().timestamp()) + 30 * steps)


def set_up(world: World, client: Client) -> tuple[str, list[str]]:
    """Set up a second factor in a logged-in browser: (secret, recovery codes)."""
    page = client.get("/account/second-factor")
    assert page.status_code == 200
    found = SECRET_IN_PAGE.search(page.text)
    assert found
    secret = found.group(1).replace(" ", "")
    done = client.post_form("/account/second-factor", {"code": code(world, secret)})
    assert done.status_code == 200
    world.clock.move(timedelta(seconds=31))
    return secret, CODE_IN_PAGE.findall(done.text)


def test_compulsory_factor_is_set_up_before_anything_else(strict: World) -> None:
    client = strict.anonymous()
    log_in(client, "tora")
    for url in ("/account", "/rooms"):
        assert client.get(url).location.startswith("/login/second-factor")
    assert client.post_form("/account/password").status_code == 401
    page = client.get("/rooms", follow_redirects=True)
    assert page.request.path == "/account/second-factor"
    assert page.request.args["next"] == "/rooms"
    set_up(strict, client)
    assert client.get("/rooms").status_code == 200


def test_students_are_not_asked(strict: World) -> None:
    client = strict.anonymous()
    log_in(client, "anna")
    assert client.get("/account").status_code == 200
    assert client.get("/account/second-factor").status_code == 404
    assert client.get("/account/second-factor.svg").status_code == 404


def test_set_up_shows_a_qr_code_of_its_own_and_ten_codes_once(school: World) -> None:
    client = school.anonymous()
    log_in(client, "tora")
    assert client.get("/account/second-factor.svg").status_code == 404
    client.get("/account/second-factor")
    picture = client.get("/account/second-factor.svg")
    assert picture.mimetype == "image/svg+xml"
    assert picture.headers["Cache-Control"] == "no-store"
    assert b"<svg" in picture.data
    assert b"script" not in picture.data
    _secret, codes = set_up(school, client)
    assert len(set(codes)) == 10
    assert client.get("/account/second-factor.svg").status_code == 404
    assert "10" in client.get("/account").text
    assert client.get("/account/second-factor").location == "/account"
    (event,) = school.audit("second_factor.added")
    assert event["actor_name"] == "tora"


def test_secret_is_sealed_and_codes_are_hashed_in_the_database(school: World) -> None:
    client = school.client("tora")
    secret, codes = set_up(school, client)
    with school.owner() as uow:
        sealed = uow.execute(text("SELECT secret FROM totp_secret")).scalar_one()
        hashes = uow.execute(text("SELECT code_hash FROM recovery_code")).scalars().all()
    assert secret.encode() not in bytes(sealed)
    assert len(hashes) == 10
    assert all(code.encode() not in bytes(one) for code in codes for one in hashes)


def test_log_in_asks_for_the_code_and_changes_the_token(school: World) -> None:
    secret, _codes = set_up(school, school.client("tora"))
    client = school.anonymous()
    log_in(client, "tora", next="/rooms")
    half = token_of(client)
    assert client.get("/rooms").location.startswith("/login/second-factor")
    answer = client.post_form(
        "/login/second-factor", {"code": code(school, secret), "next": "/rooms"}
    )
    assert answer.location == "/rooms"
    assert token_of(client) != half
    assert client.get("/rooms").status_code == 200
    old = school.anonymous()
    old.set_cookie("dask", half or "")
    assert old.get("/rooms").location.startswith("/login?")
    assert len(school.audit("second_factor.passed")) == 1


def test_one_step_of_drift_and_no_more(school: World) -> None:
    secret, _codes = set_up(school, school.client("tora"))
    for steps, right in ((-2, False), (2, False), (-1, True), (0, True), (1, True)):
        school.clock.move(timedelta(minutes=5))
        client = school.anonymous()
        log_in(client, "tora")
        answer = client.post_form("/login/second-factor", {"code": code(school, secret, steps)})
        assert answer.status_code == (303 if right else 400), steps


def test_a_code_works_once_and_an_earlier_one_no_more(school: World) -> None:
    secret, _codes = set_up(school, school.client("tora"))
    school.clock.move(timedelta(minutes=5))
    now, before = code(school, secret), code(school, secret, -1)
    first, second = school.anonymous(), school.anonymous()
    log_in(first, "tora")
    log_in(second, "tora")
    assert first.post_form("/login/second-factor", {"code": now}).status_code == 303
    assert second.post_form("/login/second-factor", {"code": now}).status_code == 400
    assert second.post_form("/login/second-factor", {"code": before}).status_code == 400
    assert len(school.audit("second_factor.failed")) == 2


def test_a_recovery_code_works_once_however_it_is_written(school: World) -> None:
    _secret, codes = set_up(school, school.client("tora"))
    written = codes[0].lower().replace("-", " ")
    client = school.anonymous()
    log_in(client, "tora")
    assert client.post_form("/login/second-factor", {"code": written}).status_code == 303
    again = school.anonymous()
    log_in(again, "tora")
    assert again.post_form("/login/second-factor", {"code": codes[0]}).status_code == 400
    (event,) = school.audit("second_factor.recovery_used")
    assert event["details"]["left"] == 9


def test_strange_codes_are_refused_politely(school: World) -> None:
    set_up(school, school.client("tora"))
    client = school.anonymous()
    log_in(client, "tora")
    for wrong in ("", "00000", "abcdef", "١٢٣٤٥٦", "1" * 41, "-", "\u202e123456"):
        answer = client.post_form("/login/second-factor", {"code": wrong})
        assert answer.status_code == 400, wrong


def test_tries_are_throttled_across_sessions(school: World) -> None:
    secret, _codes = set_up(school, school.client("tora"))
    client = school.anonymous()
    log_in(client, "tora")
    for _ in range(8):
        assert client.post_form("/login/second-factor", {"code": "000000"}).status_code == 400
    other = school.anonymous()
    log_in(other, "tora")
    refused = other.post_form("/login/second-factor", {"code": code(school, secret)})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) <= 600
    school.clock.move(timedelta(minutes=10))
    answer = other.post_form("/login/second-factor", {"code": code(school, secret)})
    assert answer.status_code == 303


def test_a_set_up_form_that_comes_at_the_wrong_time_begins_anew(school: World) -> None:
    client = school.client("tora")
    early = client.post_form("/account/second-factor", {"code": "000000"})
    assert early.status_code == 400
    assert SECRET_IN_PAGE.search(early.text)
    empty = school.client("even").post_form("/account/second-factor")
    assert (empty.status_code, bool(SECRET_IN_PAGE.search(empty.text))) == (400, True)
    # Another session has begun a set-up of its own meanwhile: each is shown its own secret.
    other = school.client("tora")
    theirs = SECRET_IN_PAGE.search(other.get("/account/second-factor").text)
    assert client.get("/account/second-factor.svg").status_code == 404
    ours = SECRET_IN_PAGE.search(client.post_form("/account/second-factor").text)
    assert theirs
    assert ours
    assert ours.group(1) != theirs.group(1)
    set_up(school, client)
    late = client.post_form("/account/second-factor", {"code": "000000"})
    assert (late.status_code, late.location) == (303, "/account")


def test_who_has_only_the_password_cannot_set_up_another(school: World) -> None:
    set_up(school, school.client("tora"))
    client = school.anonymous()
    log_in(client, "tora")
    assert client.get("/account/second-factor").location.startswith("/login/second-factor")
    assert client.post_form("/account/second-factor", {"code": "000000"}).status_code == 401
    assert client.get("/account/second-factor.svg").status_code == 404
    assert client.post_form("/account/second-factor/remove", {"code": "000000"}).status_code == 401


def test_other_sessions_end_when_a_factor_is_set_up(school: World) -> None:
    other = school.client("tora")
    set_up(school, school.client("tora"))
    assert other.get("/account").status_code == 303


def test_own_factor_goes_with_a_code_of_it(strict: World) -> None:
    client = strict.client("tora")
    secret, _codes = set_up(strict, client)
    assert client.post_form("/account/second-factor/remove", {"code": "000000"}).status_code == 400
    gone = client.post_form("/account/second-factor/remove", {"code": code(strict, secret)})
    assert gone.status_code == 303
    assert client.get("/account").location.startswith("/login/second-factor")
    set_up(strict, client)
    assert client.get("/account").status_code == 200


def test_new_recovery_codes_replace_the_old(school: World) -> None:
    client = school.client("tora")
    secret, old = set_up(school, client)
    page = client.post_form("/account/recovery-codes", {"code": code(school, secret)})
    new = CODE_IN_PAGE.findall(page.text)
    assert len(new) == 10
    assert not set(new) & set(old)
    fresh = school.anonymous()
    log_in(fresh, "tora")
    assert fresh.post_form("/login/second-factor", {"code": old[1]}).status_code == 400
    assert fresh.post_form("/login/second-factor", {"code": new[1]}).status_code == 303


def test_operator_removes_anothers_factor_and_it_is_logged(school: World) -> None:
    tora = school.client("tora")
    set_up(school, tora)
    url = f"/people/{school.id('tora')}/second-factor"
    assert school.client("sigrid").post_form(url).status_code == 404
    assert school.client("olga").post_form(url).status_code == 303
    assert tora.get("/account").status_code == 303
    fresh = school.anonymous()
    log_in(fresh, "tora")
    assert fresh.get("/account").status_code == 200
    (event,) = school.audit("second_factor.removed")
    assert (event["actor_name"], event["subject_id"]) == ("olga", school.id("tora"))
    assert school.client("olga").post_form(url).status_code == 409


def test_a_secret_moved_to_another_person_does_not_open(school: World) -> None:
    secret, _codes = set_up(school, school.client("tora"))
    with school.owner() as uow:
        uow.execute(
            text("UPDATE totp_secret SET person_id = :to, last_step = 0"), {"to": school.id("even")}
        )
    client = school.anonymous()
    log_in(client, "even")
    answer = client.post_form("/login/second-factor", {"code": code(school, secret)})
    assert answer.status_code == 403


def test_number_of_codes_is_what_the_texts_promise() -> None:
    assert second_factor.RECOVERY_CODES == 10
