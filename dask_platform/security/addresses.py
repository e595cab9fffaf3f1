"""What an address means: the room that it sits in, and whether the platform may connect to it.

Rooms: the first cause of a failed national exam morning was a slow check of the client's address,
so this one never asks the database: :class:`RoomMap` is built from all rooms at once and swapped
whole.

Places outside: a name that is approved may lead anywhere, also to the school's own network, so
:class:`Outside` judges the address itself before anything is sent to it. Only what is plainly an
address of the public internet passes. ``ipaddress.is_global`` does not do for this: Python 3.11
calls ``64:ff9b::7f00:1``, ``::7f00:1``, ``2002:7f00:1::`` and ``::ffff:100.64.0.1`` global, and all
of them lead inside.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class RoomPlace:
    room_id: UUID
    unit_id: UUID
    network: IPNetwork


class RoomMap:
    """Which room an address belongs to, and which units have rooms with networks at all."""

    def __init__(self, places: Iterable[tuple[UUID, UUID, str]] = ()) -> None:
        """``places`` are (room, unit, CIDR). The narrowest network wins where two overlap."""
        found = [RoomPlace(room, unit, ipaddress.ip_network(cidr)) for room, unit, cidr in places]
        self._places = sorted(found, key=lambda place: -place.network.prefixlen)
        self._units = frozenset(place.unit_id for place in found)

    def room_at(self, address: str | None) -> RoomPlace | None:
        """The room of ``address``; None for one in no room, and for what is no address."""
        try:
            parsed = ipaddress.ip_address(address or "")
        except ValueError:
            return None
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        for place in self._places:
            if parsed.version == place.network.version and parsed in place.network:
                return place
        return None

    def admits(self, unit_id: UUID, address: str | None) -> bool:
        """Whether a student of the unit may sit at ``address``.

        A unit without any network admits every address; that is said on the operator's page.
        """
        if unit_id not in self._units:
            return True
        place = self.room_at(address)
        return place is not None and place.unit_id == unit_id


#: What is never reached, by the IANA registries of special-purpose addresses and of IPv6 space. A
#: block within a block stands before it, so that the nearer reason is given.
_CLOSED: Final[tuple[tuple[IPNetwork, str], ...]] = tuple(
    (ipaddress.ip_network(block), reason)
    for block, reason in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        # A public number, but on every virtual machine at Azure it is the host's own service.
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 anycast"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b:1::/48", "NAT64 of this network"),
        ("100::/64", "discard"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/32", "Teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001:10::/28", "ORCHID"),
        ("2001:20::/28", "ORCHID"),
        ("2001:30::/28", "drone identification"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_CLOSED_BY_VERSION: Final = {
    version: tuple((block, why) for block, why in _CLOSED if block.version == version)
    for version in (4, 6)
}
#: All that has been given out to the public internet of IPv6.
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def meant(address: IPAddress) -> IPAddress:
    """The IPv4 address that packets to ``address`` reach in the end, where it carries one
    (IPv4-mapped or NAT64); otherwise ``address`` itself.

    Other ways of carrying one (IPv4-compatible, 6to4, Teredo, a network's own NAT64) have no use on
    a public site and are closed whole, whatever they carry.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


class Outside:
    """Which addresses the platform may connect to on a student's behalf.

    ``own`` are the installation's networks with public numbers, as CIDR: its servers, the school's
    and the prison's. ``opened`` are networks that are let through although a registry closes them;
    they are for tests and for the demo's site, and win over everything but ``own``.
    """

    def __init__(self, own: Iterable[str] = (), opened: Iterable[str] = ()) -> None:
        """``ValueError`` for what is no network."""
        self._own = tuple(ipaddress.ip_network(block) for block in own)
        self._opened = tuple(ipaddress.ip_network(block) for block in opened)

    def fault(self, given: str | IPAddress) -> str | None:
        """Why ``given`` may not be reached, in a word or two for the log; None when it may."""
        try:
            written = ipaddress.ip_address(given)
        except ValueError:
            return "not an address"
        if isinstance(written, ipaddress.IPv6Address) and written.scope_id is not None:
            return "zone"
        address = meant(written)
        if any(_holds(block, one) for block in self._own for one in (written, address)):
            return "own"
        if any(_holds(block, address) for block in self._opened):
            return None
        for block, reason in _CLOSED_BY_VERSION[address.version]:
            if address in block:
                return reason
        if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
            return "not given out"
        return None

    def vetted(self, given: str | IPAddress) -> bool:
        """Whether ``given`` may be reached."""
        return self.fault(given) is None


def _holds(network: IPNetwork, address: IPAddress) -> bool:
    return network.version == address.version and address in network
