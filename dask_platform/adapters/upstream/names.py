"""From a name to its addresses, asked once: what is checked is what is connected to."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import dns.exception
import dns.name
import dns.resolver

from dask_platform.kernel.errors import UpstreamNameUnknown, UpstreamTimeout
from dask_platform.security.addresses import IPAddress

#: A site has a few; a hundred would be a way of making us knock at doors.
MOST_ADDRESSES: Final = 32


class Names(Protocol):
    def lookup(self, host: str, seconds: float) -> tuple[IPAddress, ...]:
        """Every address of ``host``, at least one, IPv4 first. Raises ``UpstreamNameUnknown`` and,
        past ``seconds``, ``UpstreamTimeout``."""
        ...


class DnsNames:
    """The DNS, by name servers of the installation's choice or the system's.

    Neither ``/etc/hosts`` nor search domains are used: a name means the same here as outside. Both
    kinds of address must be answered for, even if only to say that there are none, so that a part
    of the answer cannot be held back.
    """

    def __init__(self, servers: Sequence[str] = (), *, port: int = 53) -> None:
        """``servers`` are addresses; ``ValueError`` for anything else. None: those of the system,
        read from ``/etc/resolv.conf`` now."""
        self._resolver = dns.resolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [str(ipaddress.ip_address(one)) for one in servers]
            self._resolver.port = port
        self._resolver.timeout = 1.0
        #: Who is asked, in words for the operator.
        self.servers = tuple(str(one) for one in self._resolver.nameservers)

    def lookup(self, host: str, seconds: float) -> tuple[IPAddress, ...]:
        ends = time.monotonic() + seconds
        name = dns.name.from_text(host + ".")
        found: list[IPAddress] = []
        for kind in ("A", "AAAA"):
            found += self._ask(name, kind, ends - time.monotonic())
        if not found:
            raise UpstreamNameUnknown(f"{host}: no address")
        if len(found) > MOST_ADDRESSES:
            raise UpstreamNameUnknown(f"{host}: {len(found)} addresses")
        return tuple(found)

    def _ask(self, name: dns.name.Name, kind: str, seconds: float) -> list[IPAddress]:
        if seconds <= 0:
            raise UpstreamTimeout(f"{name} {kind}: name servers too slow")
        try:
            answer = self._resolver.resolve(
                name, kind, lifetime=seconds, search=False, raise_on_no_answer=False
            )
        except dns.resolver.LifetimeTimeout:
            raise UpstreamTimeout(f"{name} {kind}: no answer from the name servers") from None
        except (dns.exception.DNSException, OSError) as problem:
            raise UpstreamNameUnknown(f"{name} {kind}: {type(problem).__name__}") from None
        return [ipaddress.ip_address(record.address) for record in answer.rrset or ()]


class FixedNames:
    """Some names with addresses of their own, all others as ``others`` say: for the demo's site."""

    def __init__(self, fixed: Mapping[str, str], others: Names) -> None:
        self._fixed = {host: ipaddress.ip_address(address) for host, address in fixed.items()}
        self._others = others

    def lookup(self, host: str, seconds: float) -> tuple[IPAddress, ...]:
        if host in self._fixed:
            return (self._fixed[host],)
        return self._others.lookup(host, seconds)
