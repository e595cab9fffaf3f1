"""Becoming somebody else: roles, the second factor, tickets, sessions, rooms."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from itsdangerous import URLSafeSerializer
from sqlalchemy import text

from dask_platform.features.identity.views import HASHER
from dask_platform.security.passwords import CHEAP, PasswordHasher
from dask_platform.web.access import access_of
from tests.db_fixtures import Template
from tests.features.identity.test_second_factor import SECRET_IN_PAGE, code, set_up
from tests.world import PASSWORD, Client, World


@pytest.fixture
def school(world: World) -> World:
    world.app.extensions[HASHER] = PasswordHasher(CHEAP)
    return world


def log_in(client: Client, name: str, password: str = PASSWORD) -> Any:
    return client.post_form("/login", {"username": name, "password": password})


def roles(world: World, name: str) -> set[str]:
    with world.owner() as uow:
        return set(
            uow.scalars(
                text("SELECT role FROM staff_role WHERE person_id = :who AND ends_at IS NULL"),
                {"who": world.id(name)},
            )
        )


def test_a_student_cannot_be_given_a_staff_role(school: World) -> None:
    """Not even by an operator's slip; and a member of staff is not placed like a student."""
    olga, nord = school.client("olga"), str(school.id("nord"))
    answer = olga.post_form(
        f"/people/{school.id('anna')}/roles", {"role": "operator", "unit": nord}
    )
    assert 400 <= answer.status_code < 500
    brought = {"username": "anna", "role": "teacher", "unit": nord}
    assert 400 <= olga.post_form("/people/existing", brought).status_code < 500
    placed = {"username": "even", "role": "student", "unit": nord}
    assert 400 <= olga.post_form("/people/existing", placed).status_code < 500
    assert roles(school, "anna") == set()
    assert school.client("anna").get("/people").status_code == 404


@pytest.mark.parametrize("role", ["student", "owner", "dask_owner", "", "OPERATOR", "operator\x00"])
def test_no_role_that_is_not_on_the_list(school: World, role: str) -> None:
    answer = school.client("olga").post_form(
        f"/people/{school.id('even')}/roles", {"role": role, "unit": str(school.id("nord"))}
    )
    assert 400 <= answer.status_code < 500
    assert roles(school, "even") == {"teacher"}


def test_nobody_raises_themselves(school: World) -> None:
    olga, me = school.client("olga"), school.id("olga")
    form = {"role": "security", "unit": str(school.id("nord"))}
    assert olga.post_form(f"/people/{me}/roles", form).status_code == 403
    form["unit"] = str(school.id("sor"))
    assert olga.post_form(f"/people/{school.id('even')}/roles", form).status_code in (400, 404)
    assert roles(school, "olga") == {"operator"}
    assert roles(school, "even") == {"teacher"}


def test_more_fields_in_a_form_than_it_has_change_nothing_more(school: World) -> None:
    """What a form does not hold is not read: no kind, no role, no owner of the work."""
    anna = school.client("anna")
    url = f"/classes/{school.id('class nord')}/assignments/{school.id('brev')}/save"
    extra = {"person_id": str(school.id("bo")), "state": "returned", "late": "", "number": "9",
             "kind": "staff", "role": "operator", "display_name": "Sjefen", "grade": "6",
             "is_admin": "1", "id": str(uuid4())}  # fmt: skip
    assert anna.post_form(url, {"text": "a", "version": "0", **extra}).status_code == 303
    assert anna.post_form("/language", {"locale": "nn", **extra}).status_code == 303
    with school.owner() as uow:
        found = uow.execute(text("SELECT person_id, state, number FROM attempt")).one()
        kind, name = uow.execute(
            text("SELECT kind, display_name FROM person WHERE id = :id"), {"id": school.id("anna")}
        ).one()
    assert tuple(found) == (school.id("anna"), "draft", 1)
    assert (kind, name) == ("student", "Anna")


# -- the second factor -----------------------------------------------------------------------


def test_only_these_pages_open_before_the_second_factor(shared_world: World) -> None:
    early = {
        endpoint
        for endpoint, view in shared_world.app.view_functions.items()
        if (access := access_of(view)) is not None and access.before_second_factor
    }
    assert early == {
        "identity.second_factor", "identity.second_factor_setup", "identity.second_factor_qr"
    }, "a page that opens to a stolen password alone: is that meant?"  # fmt: skip


def test_the_password_alone_opens_no_page(school: World) -> None:
    """Every page there is, with a session that has not shown its second factor."""
    set_up(school, school.client("olga"))
    half = school.client("olga", second_factor=False)
    for rule in school.app.url_map.iter_rules():
        access = access_of(school.app.view_functions[rule.endpoint])
        assert access is not None
        if access.permission is None or access.before_second_factor:
            continue
        with school.app.test_request_context():
            places = {place: uuid4() for place in rule.arguments}
            url = school.app.url_for(rule.endpoint, **places)
        methods = rule.methods or set()
        if "GET" in methods:
            answer = half.get(url)
            assert answer.status_code == 303, url
            assert answer.location.startswith("/login/second-factor"), url
        if "POST" in methods:
            assert half.post_form(url).status_code == 401, url


def test_a_thief_who_looked_at_the_set_up_first_knows_nothing(school: World) -> None:
    """A stolen password shows a secret to set up; what the owner sets up is another one."""
    thief, owner = school.client("tora"), school.client("tora")
    seen = SECRET_IN_PAGE.search(thief.get("/account/second-factor").text)
    assert seen is not None
    secret, _codes = set_up(school, owner)
    assert secret != seen.group(1).replace(" ", "")
    after = school.client("tora", second_factor=False)
    stolen = code(school, seen.group(1).replace(" ", ""))
    assert after.post_form("/login/second-factor", {"code": stolen}).status_code == 400


def test_a_thief_who_looks_afterwards_spoils_nothing_and_learns_nothing(school: World) -> None:
    owner, thief = school.client("tora"), school.client("tora")
    mine = SECRET_IN_PAGE.search(owner.get("/account/second-factor").text)
    seen = SECRET_IN_PAGE.search(thief.get("/account/second-factor").text)
    assert mine is not None
    assert seen is not None
    assert mine.group(1) != seen.group(1)
    again = SECRET_IN_PAGE.search(owner.get("/account/second-factor").text)
    assert again is not None
    assert again.group(1) == mine.group(1), "a page loaded anew must fit the telephone"
    thief.get("/account/second-factor")
    right = code(school, mine.group(1).replace(" ", ""))
    assert owner.post_form("/account/second-factor", {"code": right}).status_code == 200


def test_a_removed_telephone_never_fits_again(school: World) -> None:
    client = school.client("tora")
    first, _codes = set_up(school, client)
    client.post_form("/account/second-factor/remove", {"code": code(school, first)})
    second, _codes = set_up(school, client)
    assert first != second


# -- tickets and one-time passwords ------------------------------------------------------------


def one_time(world: World, name: str = "anna") -> str:
    answer = world.client("olga").post_form(f"/people/{world.id(name)}/password")
    found = re.search(r"\b([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})\b", answer.text)
    assert found is not None
    return found.group(1)


def ticket_in(page: str) -> str:
    found = re.search(r'name="ticket"[^>]*value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def test_a_one_time_password_opens_only_its_own_form(school: World) -> None:
    live = school.client("anna")
    secret = one_time(school)
    assert live.get("/account").status_code == 303, "the old session goes with the old password"
    client = school.anonymous()
    page = log_in(client, "anna", secret)
    assert page.status_code == 200
    assert client.get_cookie("dask") is None
    for path in ("/", "/account", "/account/password", "/classes"):
        assert client.get(path).status_code == 303, path
    assert log_in(school.anonymous(), "anna").status_code == 401


def test_a_ticket_is_worth_nothing_for_anybody_else_or_twice(school: World) -> None:
    ticket = ticket_in(log_in(school.anonymous(), "anna", one_time(school)).text)
    of_bo = ticket_in(log_in(school.anonymous(), "bo", one_time(school, "bo")).text)
    new = {"password": "fire lange ord til", "again": "fire lange ord til"}
    payload, _dot, signature = ticket.rpartition(".")
    forged = [
        of_bo.rpartition(".")[0] + "." + signature,
        payload + "." + of_bo.rpartition(".")[2],
        payload, ticket[:-1], ticket + "A", "." + signature, "", "null",
        URLSafeSerializer("another secret", salt="identity.new-password").dumps(
            [str(school.id("olga")), 9999999999, "0" * 16]
        ),
        # Signed with our secret, for another purpose.
        URLSafeSerializer(school.settings.secret(), salt="wtf-csrf-token").dumps(
            [str(school.id("olga")), 9999999999, "0" * 16]
        ),
    ]  # fmt: skip
    for one in forged:
        answer = school.anonymous().post_form("/login/new-password", {"ticket": one, **new})
        assert answer.status_code == 401, one
    used = school.anonymous()
    assert used.post_form("/login/new-password", {"ticket": ticket, **new}).status_code == 303
    again = school.anonymous().post_form("/login/new-password", {"ticket": ticket, **new})
    assert again.status_code == 401
    school.clock.move(timedelta(minutes=16))
    late = school.anonymous().post_form("/login/new-password", {"ticket": of_bo, **new})
    assert late.status_code == 401


# -- sessions and rooms ------------------------------------------------------------------------

TOKENS = ["", "x", "a" * 43, "a" * 101, "é" * 20, "' OR 1=1 --", "null", "../../x", '"', "a;b"]


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_made_up_session_is_nobody(shared_world: World, token: str) -> None:
    answer = shared_world.anonymous().get("/account", headers={"Cookie": f"dask={token}"})
    assert answer.status_code == 303
    assert answer.location.startswith("/login")


def test_two_session_cookies_are_not_two_chances(school: World) -> None:
    """A cookie planted beside the real one (another path, another host) wins nothing by log-in."""
    planted = "planted-by-somebody-who-waits"
    client = school.anonymous()
    client.set_cookie("dask", planted)
    log_in(client, "tora")
    assert school.anonymous().get(
        "/account", headers={"Cookie": f"dask={planted}"}
    ).status_code == 303  # fmt: skip
    forms = client.get_cookie("dask-form")
    assert forms is None or planted not in forms.value


def test_a_session_of_another_signed_cookie_is_no_session(school: World) -> None:
    """The form cookie is signed with our key; what a browser puts into it makes nobody anybody."""
    client = school.anonymous()
    with client.session_transaction() as session:
        session.update(
            _user_id=str(school.id("olga")), user_id=str(school.id("olga")), _fresh=True,
            actor=str(school.id("olga")), role="operator", second_factor=True,
        )  # fmt: skip
    assert client.get("/people").status_code == 303
    assert client.get("/account").status_code == 303


def test_remember_me_and_other_doors_of_the_library_are_shut(school: World) -> None:
    client = school.anonymous()
    client.set_cookie("remember_token", f"{school.id('olga')}|0000")
    basic = {"Authorization": "Basic b2xnYTpyaWt0aWc=", "X-Remote-User": "olga",
             "Remote-User": "olga", "X-Forwarded-User": "olga"}  # fmt: skip
    answer = client.get("/people", headers=basic, environ_overrides={"REMOTE_USER": "olga"})
    assert answer.status_code == 303
    assert client.get("/people?token=x&session=x&actor=olga").status_code == 303


@pytest.mark.parametrize(
    "address", ["203.0.113.1", "::1", "::ffff:203.0.113.1", "128.0.0.1", "10.0.0.1", ""]
)
def test_a_student_outside_the_rooms_meets_the_door(school: World, address: str) -> None:
    client = school.client("anna")
    answer = client.get("/classes", environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == 303
    wrong = school.anonymous().post_form(
        "/login", {"username": "anna", "password": PASSWORD},
        environ_overrides={"REMOTE_ADDR": address or "203.0.113.9"},
    )  # fmt: skip
    assert wrong.status_code == 403


def test_behind_the_proxy_a_student_adds_addresses_in_vain(
    school_template: Template, tmp_path: Any
) -> None:
    """nginx writes the header anew; should it append, the last one is still its own."""
    with school_template.copy() as name:
        world = World(school_template.server, name, tmp_path, proxy_hops=1)
        try:
            client = world.client("anna")
            for sent in ("127.0.0.1, 203.0.113.1", "127.0.0.1,127.0.0.1,203.0.113.1"):
                answer = client.get("/classes", headers={"X-Forwarded-For": sent})
                assert answer.status_code == 303, sent
                assert answer.location.startswith("/login"), sent
            odd = client.get("/classes", headers={"X-Forwarded-For": "127.0.0.1, klasserom"})
            assert odd.status_code == 303
        finally:
            world.close()
