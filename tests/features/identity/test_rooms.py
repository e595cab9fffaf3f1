"""Rooms and networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from dask_platform.features.identity.service.rooms import parse_network
from dask_platform.kernel.errors import Invalid
from tests.features.identity.conftest import log_in
from tests.world import World


@pytest.mark.parametrize(
    "raw",
    [
        "", "x", "10.1.2.0/33", "10.1.2.3/24", "0.0.0.0/0", "10.0.0.0/7", "::/0", "2001:db8::/31",
        "::ffff:10.0.0.0/120", "10.1.2.0/24 10.1.3.0/24", "1'; --", "10.1.2.0/255.255.255.1",
    ],
)  # fmt: skip
def test_what_is_no_network_of_a_room(raw: str) -> None:
    with pytest.raises(Invalid):
        parse_network(raw)


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_every_network_of_fitting_size_is_read(address: ipaddress.IPv4Address, prefix: int) -> None:
    network = ipaddress.ip_network((address, prefix), strict=False)
    assert parse_network(f" {network} ") == network


def test_operator_adds_a_room_and_it_counts_at_the_next_log_in(school: World) -> None:
    form = {"unit": str(school.id("nord")), "name": "Klasserom 2", "network": "10.1.2.0/24"}
    assert log_in(school.anonymous(), "anna", address="10.1.2.3").status_code == 403
    assert school.client("olga").post_form("/rooms/new", form).status_code == 303
    assert log_in(school.anonymous(), "anna", address="10.1.2.3").status_code == 303
    (event,) = school.audit("room.changed")
    assert event["details"] == {"what": "room_added", "network": "10.1.2.0/24"}


def test_overlap_and_same_name_are_refused_with_what_was_typed(school: World) -> None:
    client = school.client("olga")
    form = {"unit": str(school.id("nord")), "name": "Verksted", "network": "127.0.1.0/24"}
    page = client.post_form("/rooms/new", form)
    assert page.status_code == 400
    assert "127.0.1.0/24" in page.text
    form |= {"name": "Klasserom 1", "network": ""}
    assert client.post_form("/rooms/new", form).status_code == 400
    with school.owner() as uow:
        assert uow.execute(text("SELECT count(*) FROM room")).scalar() == 1


def test_networks_are_added_and_removed(school: World) -> None:
    client = school.client("olga")
    url = f"/rooms/{school.id('room')}/networks"
    assert client.get(url).status_code == 200
    assert client.post_form(url, {"network": "10.2.0.0/16"}).status_code == 303
    assert client.post_form(url, {"network": "10.2.3.0/24"}).status_code == 400
    with school.owner() as uow:
        network = uow.execute(
            text("SELECT id FROM room_network WHERE network = '10.2.0.0/16'")
        ).scalar_one()
    assert log_in(school.anonymous(), "anna", address="10.2.3.4").status_code == 303
    assert client.post_form(f"{url}/{network}/remove").status_code == 303
    assert client.post_form(f"{url}/{network}/remove").status_code == 404
    assert log_in(school.anonymous(), "anna", address="10.2.3.4").status_code == 403


def test_with_the_last_room_gone_students_log_in_from_anywhere_and_the_page_says_so(
    school: World,
) -> None:
    client = school.client("olga")
    assert client.post_form(f"/rooms/{school.id('room')}/remove").status_code == 303
    assert log_in(school.anonymous(), "anna", address="10.2.3.4").status_code == 303
    page = client.get("/rooms").text
    assert "hvor som helst" in page or "from anywhere" in page


@pytest.mark.parametrize("who", ["tora", "sigrid", "odd", "siri", "anna"])
def test_only_the_units_operator_keeps_rooms(shared_world: World, who: str) -> None:
    client = shared_world.client(who)
    room = shared_world.id("room")
    form = {"unit": str(shared_world.id("nord")), "name": "X", "network": ""}
    assert client.post_form("/rooms/new", form).status_code == 404
    assert client.post_form(f"/rooms/{room}/networks", {"network": "10.0.0.0/8"}).status_code == 404
    assert client.post_form(f"/rooms/{room}/remove").status_code == 404


def test_operator_keeps_no_room_of_another_unit(school: World) -> None:
    with school.owner() as uow:
        room = uow.execute(
            text(
                "INSERT INTO room (id, unit_id, name) VALUES (gen_random_uuid(), :u, 'Rom sør')"
                " RETURNING id"
            ),
            {"u": school.id("sor")},
        ).scalar_one()
    client = school.client("olga")
    form = {"unit": str(school.id("sor")), "name": "X", "network": ""}
    assert client.post_form("/rooms/new", form).status_code == 400
    assert client.get(f"/rooms/{room}/networks").status_code == 404
    assert client.post_form(f"/rooms/{room}/remove").status_code == 404
