"""Rooms by network."""

from __future__ import annotations

import ipaddress
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from dask_platform.security.addresses import RoomMap

ROOM, OTHER, UNIT, ELSEWHERE = uuid4(), uuid4(), uuid4(), uuid4()
ROOMS = RoomMap([(ROOM, UNIT, "10.1.0.0/24"), (OTHER, ELSEWHERE, "10.2.0.0/16")])


def test_a_student_sits_in_a_room_of_the_own_unit() -> None:
    assert ROOMS.admits(UNIT, "10.1.0.7")
    assert not ROOMS.admits(UNIT, "10.2.0.7")
    assert not ROOMS.admits(UNIT, "10.1.1.7")


def test_a_unit_without_rooms_admits_every_address() -> None:
    assert ROOMS.admits(uuid4(), "192.0.2.1")


def test_an_address_in_ipv6_clothing_is_the_same_address() -> None:
    assert ROOMS.admits(UNIT, "::ffff:10.1.0.7")


def test_the_narrowest_network_wins() -> None:
    rooms = RoomMap([(ROOM, UNIT, "10.0.0.0/8"), (OTHER, ELSEWHERE, "10.3.3.0/24")])
    place = rooms.room_at("10.3.3.3")
    assert place is not None
    assert place.room_id == OTHER


@given(st.text() | st.none())
def test_what_is_no_address_is_in_no_room(text: str | None) -> None:
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        assert ROOMS.room_at(text) is None
        assert not ROOMS.admits(UNIT, text)


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_membership_is_that_of_the_network(address: ipaddress.IPv4Address, prefix: int) -> None:
    network = ipaddress.ip_network((int(address) >> (32 - prefix) << (32 - prefix), prefix))
    rooms = RoomMap([(UUID(int=1), UUID(int=2), str(network))])
    assert rooms.room_at(str(address)) is not None
    if int(network.broadcast_address) < 2**32 - 1:
        assert rooms.room_at(str(network.broadcast_address + 1)) is None
