"""A site at a public-looking address, whose packets in truth go to loopback.

The address is one for documentation, which the tests' ``Outside`` opens; everything else about the
judging of addresses is as in production.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dask_platform.adapters.upstream import (
    DnsNames,
    HttpsUpstream,
    Patience,
    Voice,
    tls_context,
)
from dask_platform.security.addresses import Outside
from tests.adapters.upstream.authority import Authority
from tests.adapters.upstream.servers import NameServer, WebServer

HOST = "site.example"
PUBLIC = "203.0.113.10"
QUICK = Patience(names=1.0, connect=1.0, head=1.0, idle=0.6)
VOICE = Voice("Mozilla/5.0 (X11; Linux x86_64)", "nb")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@dataclass
class Setting:
    """A web server for ``HOST``, the DNS that leads there, and what reaches both."""

    web: WebServer
    dns: NameServer
    ca_file: Path

    def upstream(
        self,
        *,
        patience: Patience = QUICK,
        own: tuple[str, ...] = (),
        opened: tuple[str, ...] = ("203.0.113.0/28",),
        oldest: float = 60.0,
        stand_ins: Mapping[str, int] | None = None,
    ) -> HttpsUpstream:
        """``stand_ins`` are ports on loopback that are reached in place of an address."""
        ports = {PUBLIC: self.web.port, **(stand_ins or {})}
        return HttpsUpstream(
            names=DnsNames(["127.0.0.1"], port=self.dns.port),
            outside=Outside(own, opened),
            tls=tls_context(self.ca_file),
            voice=VOICE,
            patience=patience,
            places={
                ipaddress.ip_address(address): ("127.0.0.1", port)
                for address, port in ports.items()
            },
            oldest=oldest,
        )


@pytest.fixture
def setting(authority: Authority) -> Iterator[Setting]:
    web = WebServer(authority.server(HOST))
    dns = NameServer()
    dns.zone.answers[HOST, "A"] = [PUBLIC]
    try:
        yield Setting(web, dns, authority.ca_file)
    finally:
        web.close()
        dns.close()


@pytest.fixture
def upstream(setting: Setting) -> Iterator[HttpsUpstream]:
    upstream = setting.upstream()
    yield upstream
    upstream.close()
