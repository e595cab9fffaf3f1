"""Rooms and their networks, kept by the operators of the unit."""

from __future__ import annotations

import ipaddress
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity.models import Room, RoomNetwork, Unit
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Invalid, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.addresses import IPNetwork
from dask_platform.security.names import clean_display_name
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

# Wider than any school's network: a slip of the pen that would open the room to everybody.
WIDEST: Final = {4: 8, 6: 32}
# One change at a time: two networks that overlap must not pass each other.
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('dask room networks', 0))")
OVERLAP = text("SELECT 1 FROM room_network WHERE network && CAST(:network AS cidr) LIMIT 1")


def parse_network(raw: str) -> IPNetwork:
    """``10.1.2.0/24`` or one address. Raises ``Invalid`` for anything else, for host bits that are
    set, and for a network too wide to be a room's."""
    try:
        network = ipaddress.ip_network(raw.strip())
    except ValueError:
        raise Invalid(
            N_("Write the network as an address and a length, such as 10.1.2.0/24."),
            field="network",
        ) from None
    mapped = isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped
    if mapped:
        raise Invalid(N_("Write this network as IPv4, such as 10.1.2.0/24."), field="network")
    if network.prefixlen < WIDEST[network.version]:
        raise Invalid(
            N_("This network is too wide for a room. Write the network of the room alone."),
            field="network",
        )
    return network


def add_room(uow: UnitOfWork, actor: Actor, unit_id: UUID, name: str, network: str) -> UUID:
    """A room, with its first network unless ``network`` is empty. Raises ``Invalid``."""
    authorise(actor, Permission.ROOMS_MANAGE, uow.get(Unit, unit_id))
    room_id = make_room(uow, unit_id, name, network)
    _record(uow, actor, unit_id, room_id, "room_added", network=network.strip())
    return room_id


def make_room(uow: UnitOfWork, unit_id: UUID, name: str, network: str) -> UUID:
    """The rows of a new room. The caller has authorised and records."""
    try:
        shown = clean_display_name(name)
    except Invalid as error:
        raise type(error)(error.message, field="name", **error.params) from None
    taken = uow.scalar(select(Room.id).where(Room.unit_id == unit_id, Room.name == shown))
    if taken is not None:
        raise Invalid(N_("The unit has a room with this name. Choose another."), field="name")
    room_id = new_id()
    uow.execute(insert(Room).values(id=room_id, unit_id=unit_id, name=shown))
    if network.strip():
        _insert_network(uow, room_id, network)
    return room_id


def remove_room(uow: UnitOfWork, actor: Actor, room_id: UUID) -> None:
    """Remove a room and its networks. With the last network the unit's students may log in from
    anywhere; the page says so before."""
    room = _room(uow, actor, room_id)
    uow.execute(delete(RoomNetwork).where(RoomNetwork.room_id == room_id))
    uow.execute(delete(Room).where(Room.id == room_id))
    _record(uow, actor, room.unit_id, room_id, "room_removed")


def add_network(uow: UnitOfWork, actor: Actor, room_id: UUID, network: str) -> None:
    """Raises ``Invalid`` for a network that overlaps with any room's, also at another unit."""
    room = _room(uow, actor, room_id)
    _insert_network(uow, room_id, network)
    _record(uow, actor, room.unit_id, room_id, "network_added", network=network.strip())


def remove_network(uow: UnitOfWork, actor: Actor, room_id: UUID, network_id: UUID) -> None:
    room = _room(uow, actor, room_id)
    gone = uow.execute(
        delete(RoomNetwork)
        .where(RoomNetwork.id == network_id, RoomNetwork.room_id == room_id)
        .returning(RoomNetwork.network)
    ).scalar()
    if gone is None:
        raise NotVisible("There is nothing here.")
    _record(uow, actor, room.unit_id, room_id, "network_removed", network=str(gone))


def _insert_network(uow: UnitOfWork, room_id: UUID, raw: str) -> None:
    network = str(parse_network(raw))
    uow.execute(LOCK)
    if uow.execute(OVERLAP, {"network": network}).scalar() is not None:
        raise Invalid(
            N_("This network overlaps with one that a room has already. Check both."),
            field="network",
        )
    uow.execute(insert(RoomNetwork).values(id=new_id(), room_id=room_id, network=network))


def _room(uow: UnitOfWork, actor: Actor, room_id: UUID) -> Room:
    room = uow.get(Room, room_id)
    if room is None:
        raise NotVisible("There is nothing here.")
    authorise(actor, Permission.ROOMS_MANAGE, uow.get(Unit, room.unit_id))
    return room


def _record(
    uow: UnitOfWork, actor: Actor, unit_id: UUID, room_id: UUID, what: str, network: str = ""
) -> None:
    audit.record(
        uow,
        actor,
        EventKind.ROOM_CHANGED,
        unit_id=unit_id,
        thing=("room", room_id),
        what=what,
        network=network,
    )
