"""One's own account: language, password, the first password."""

from __future__ import annotations

import re

import pytest

from tests.features.identity.conftest import log_in, token_of
from tests.world import PASSWORD, World

NEW = "fire nye ord i rekke"
TICKET = re.compile(r'name="ticket"[^>]*value="([^"]+)"')


def test_account_shows_own_data_and_no_more(school: World) -> None:
    page = school.client("anna").get("/account").text
    assert "Anna" in page
    assert "Nord fengsel" in page
    assert "Bo" not in re.findall(r"\bBo\b", page)


def test_language_before_and_after_log_in(school: World) -> None:
    client = school.anonymous()
    client.post_form("/language", {"locale": "en"})
    assert '<html lang="en"' in client.get("/login").text
    log_in(client, "anna")
    assert '<html lang="nb"' in client.get("/account").text
    answer = client.post_form("/language", {"locale": "nn", "next": "/account"})
    assert answer.location == "/account"
    assert '<html lang="nn"' in client.get("/account").text
    client.post_form("/logout")
    assert '<html lang="nn"' in client.get("/login").text
    assert client.post_form("/language", {"locale": "xx"}).status_code == 400


def test_password_change_needs_the_present_one_and_ends_other_sessions(school: World) -> None:
    other, client = school.client("tora"), school.client("tora")
    form = {"present": "feil", "password": NEW, "again": NEW}
    assert client.post_form("/account/password", form).status_code == 400
    form["present"] = PASSWORD
    assert client.post_form("/account/password", form).status_code == 303
    assert client.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    assert log_in(school.anonymous(), "tora").status_code == 401
    assert log_in(school.anonymous(), "tora", NEW).status_code == 303
    assert len(school.audit("password.changed")) == 1


def test_weak_same_or_unlike_passwords_are_refused(school: World) -> None:
    client = school.client("tora")
    for new, again in (
        ("kort", "kort"),
        (PASSWORD, PASSWORD),
        (NEW, "annet"),
        ("passordpassord", "passordpassord"),
    ):
        form = {"present": PASSWORD, "password": new, "again": again}
        assert client.post_form("/account/password", form).status_code == 400, new
    assert log_in(school.anonymous(), "tora").status_code == 303


def test_present_password_is_throttled(school: World) -> None:
    client = school.client("tora")
    form = {"present": "feil", "password": NEW, "again": NEW}
    for _ in range(8):
        assert client.post_form("/account/password", form).status_code == 400
    refused = client.post_form("/account/password", {**form, "present": PASSWORD})
    assert refused.status_code == 429
    assert "Retry-After" in refused.headers


def one_time_password(school: World, name: str) -> str:
    page = school.client("olga").post_form(f"/people/{school.id(name)}/password")
    found = re.search(r"<code>([A-Z2-9-]{14})</code>", page.text)
    assert found
    return found.group(1)


def test_one_time_password_opens_nothing_but_the_choice_of_an_own_one(school: World) -> None:
    once = one_time_password(school, "anna")
    client = school.anonymous()
    page = log_in(client, "anna", once, next="/account")
    assert page.status_code == 200
    assert token_of(client) is None
    assert client.get("/account").status_code == 303
    found = TICKET.search(page.text)
    assert found
    form = {"ticket": found.group(1), "next": "/account"}
    for weak in ("kort", "anna anna anna", once):
        answer = client.post_form("/login/new-password", {**form, "password": weak, "again": weak})
        assert answer.status_code == 400
        assert token_of(client) is None
    done = client.post_form("/login/new-password", {**form, "password": NEW, "again": NEW})
    assert done.location == "/account"
    assert client.get("/account").status_code == 200
    # The ticket is used up, and so is the one-time password.
    replay = {**form, "password": "helt andre ord igjen", "again": "helt andre ord igjen"}
    assert school.anonymous().post_form("/login/new-password", replay).status_code == 401
    assert log_in(school.anonymous(), "anna", once).status_code == 401
    assert log_in(school.anonymous(), "anna", NEW).status_code == 303


@pytest.mark.parametrize("ticket", ["", "x", "WyJhIl0.b", "null", "é"])
def test_made_up_tickets_lead_back_to_log_in(shared_world: World, ticket: str) -> None:
    form = {"ticket": ticket, "password": NEW, "again": NEW}
    assert shared_world.anonymous().post_form("/login/new-password", form).status_code == 401


def test_ticket_grows_old_and_needs_the_room(school: World) -> None:
    from datetime import timedelta

    once = one_time_password(school, "anna")
    client = school.anonymous()
    found = TICKET.search(log_in(client, "anna", once).text)
    assert found
    form = {"ticket": found.group(1), "password": NEW, "again": NEW}
    school.clock.move(timedelta(minutes=16))
    assert client.post_form("/login/new-password", form).status_code == 401
    found = TICKET.search(log_in(client, "anna", once).text)
    assert found
    answer = client.post_form(
        "/login/new-password",
        {**form, "ticket": found.group(1)},
        environ_overrides={"REMOTE_ADDR": "10.9.9.9"},
    )
    assert answer.status_code == 403
    assert token_of(client) is None
