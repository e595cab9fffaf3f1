"""Rooms by network, in memory.

The first cause of a failed national exam morning was a slow check of the client's address, so this
one never asks the database: :class:`RoomMap` is built from all rooms at once and swapped whole.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

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
