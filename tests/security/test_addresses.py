"""Rooms by network, and which addresses are plainly outside."""

from __future__ import annotations

import ipaddress
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dask_platform.security.addresses import Outside, RoomMap, meant

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


# --- which addresses are plainly outside ---------------------------------------------------------

#: The IANA special-purpose address registries (IPv4 and IPv6) and multicast, line by line as they
#: stand there; mapped addresses and NAT64 are left out, for they mean what they carry.
# fmt: off
REGISTRIES = [
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32",
    "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24",
    "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32",
    "224.0.0.0/4", "::1/128", "::/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
    "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48",
    "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7",
    "fe80::/10", "fec0::/10", "ff00::/8",
]
# fmt: on
BLOCKS = [ipaddress.ip_network(block) for block in REGISTRIES]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
OUTSIDE = Outside()


def within(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> st.SearchStrategy[Address]:
    first, last = int(network[0]), int(network[-1])
    return st.one_of(
        st.sampled_from([network[0], network[-1]]),
        st.integers(first, last).map(type(network[0])),
    )


CLOSED = st.sampled_from(BLOCKS).flatmap(within)
CLOSED_4 = st.sampled_from([block for block in BLOCKS if block.version == 4]).flatmap(within)
OPEN_4 = st.ip_addresses(v=4).filter(
    lambda address: (
        not any(address in block for block in BLOCKS if block.version == 4)
        and str(address) != "168.63.129.16"
    )
)


def carried(address: Address, prefix: str) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(address))


@given(CLOSED)
def test_no_registered_block_is_outside(address: Address) -> None:
    assert OUTSIDE.fault(address) is not None
    assert OUTSIDE.fault(str(address)) is not None


@given(OPEN_4)
def test_all_else_of_ipv4_is(address: Address) -> None:
    assert OUTSIDE.vetted(address)


@given(st.ip_addresses(v=6))
def test_of_ipv6_nothing_is_that_was_not_given_out(address: ipaddress.IPv6Address) -> None:
    inside = any(address in block for block in BLOCKS if block.version == 6)
    given_out = address in ipaddress.ip_network("2000::/3")
    if meant(address) is address:
        assert OUTSIDE.vetted(address) == (given_out and not inside)


@given(st.ip_addresses(v=6, network="2000::/3"))
def test_most_of_what_was_given_out_is(address: ipaddress.IPv6Address) -> None:
    inside = any(address in block for block in BLOCKS if block.version == 6)
    assert OUTSIDE.vetted(address) is not inside


@given(CLOSED_4, st.sampled_from(["::ffff:0:0", "64:ff9b::", "::", "64:ff9b:1::"]))
def test_no_clothing_takes_an_address_out(address: Address, prefix: str) -> None:
    assert OUTSIDE.fault(carried(address, prefix)) is not None


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_a_carried_address_is_judged_as_itself(address: Address, prefix: str) -> None:
    assert meant(carried(address, prefix)) == address
    assert OUTSIDE.fault(carried(address, prefix)) == OUTSIDE.fault(address)


@given(st.ip_addresses(v=4))
def test_tunnels_are_closed_whatever_they_carry(address: Address) -> None:
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80) | 1)
    teredo_server = ipaddress.IPv6Address((0x20010000 << 96) | (int(address) << 64))
    teredo_client = ipaddress.IPv6Address((0x20010000 << 96) | (int(address) ^ 0xFFFFFFFF))
    assert OUTSIDE.fault(six_to_four) == "6to4"
    assert OUTSIDE.fault(teredo_server) == OUTSIDE.fault(teredo_client) == "Teredo"


@given(st.ip_addresses())
def test_never_more_than_python_lets_through(address: Address) -> None:
    """Where ``is_global`` says no to the address that is meant, so does this."""
    if OUTSIDE.vetted(address):
        assert meant(address).is_global


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        # What is_global says True to on Python 3.11.
        ("64:ff9b::7f00:1", "loopback"),
        ("::7f00:1", "IPv4-compatible"),
        ("2002:7f00:1::", "6to4"),
        ("::ffff:100.64.0.1", "shared by carriers"),
        # And the others that have a name.
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:7f00:1", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - read, not bound
        ("::", "unspecified"),
        ("0.1.2.3", "this network"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("fd00::1", "private"),
        ("100.127.255.255", "shared by carriers"),
        ("169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("fd00:ec2::254", "private"),
        ("168.63.129.16", "cloud metadata"),
        ("::ffff:168.63.129.16", "cloud metadata"),
        ("192.0.0.192", "protocol assignments"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "zone"),
        ("2a00::1%1", "zone"),
        ("fec0::1", "site-local"),
        ("224.0.0.251", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("192.0.2.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("198.19.255.255", "benchmarking"),
        ("2001:2::1", "benchmarking"),
        ("192.88.99.1", "6to4 anycast"),
        ("2001::1", "Teredo"),
        ("64:ff9b:1::a00:1", "NAT64 of this network"),
        ("4000::1", "not given out"),
        ("1::1", "not given out"),
        # Spellings that some readers take for 127.0.0.1; here they are no address at all.
        ("2130706433", "not an address"),
        ("0x7f000001", "not an address"),
        ("0x7f.1", "not an address"),
        ("127.1", "not an address"),
        ("0177.0.0.1", "not an address"),
        ("127.0.0.1.", "not an address"),
        ("127.0.0.01", "not an address"),
        ("[::1]", "not an address"),
        ("１２７.0.0.1", "not an address"),
        ("localhost", "not an address"),
        ("", "not an address"),
        ("203.0.113.1/24", "not an address"),
    ],
)
def test_spellings(spelling: str, reason: str) -> None:
    assert OUTSIDE.fault(spelling) == reason


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "158.39.0.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "2a00:1450:400f::1",
        "2001:700::1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_sites_are_outside(address: str) -> None:
    assert OUTSIDE.fault(address) is None


@pytest.mark.parametrize("address", ["158.39.0.9", "::ffff:158.39.0.9", "64:ff9b::9e27:9"])
def test_our_own_networks_are_not(address: str) -> None:
    assert Outside(own=["158.39.0.0/24"]).fault(address) == "own"
    assert Outside(own=["158.39.0.0/24"], opened=["158.39.0.0/16"]).fault(address) == "own"
    assert Outside(own=["158.39.1.0/24", "2001:700::/32"]).vetted(address)


def test_our_own_networks_of_ipv6_are_not() -> None:
    assert Outside(own=["2001:700::/32"]).fault("2001:700::1") == "own"
    assert Outside(own=["64:ff9b::/96"]).fault("64:ff9b::808:808") == "own"


def test_a_network_that_is_opened_opens_nothing_else() -> None:
    opened = Outside(opened=["203.0.113.10/32"])
    assert opened.vetted("203.0.113.10")
    assert opened.vetted("::ffff:203.0.113.10")
    assert not opened.vetted("203.0.113.11")


@pytest.mark.parametrize("network", ["158.39.0.1/24", "inside", "", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Outside(own=[network])
    with pytest.raises(ValueError, match=r".+"):
        Outside(opened=[network])


@given(st.text())
@example("::ffff:0x7f.1")
@example("1.1.1.1\n")
def test_what_is_no_address_is_never_outside(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert OUTSIDE.fault(text) == "not an address"
