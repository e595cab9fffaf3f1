"""Where a connection goes, and where none ever does, counted at listening sockets."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator

import pytest

from dask_platform.adapters.upstream import DnsNames, FixedNames, HttpsUpstream
from dask_platform.adapters.upstream.line import is_this_machine
from dask_platform.kernel.errors import (
    UpstreamAddressRefused,
    UpstreamNameUnknown,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dask_platform.kernel.ports import UpstreamRequest
from tests.adapters.upstream.conftest import HOST, PUBLIC, Setting
from tests.adapters.upstream.servers import WebServer

MIB = 1024 * 1024
PAGE = UpstreamRequest(f"https://{HOST}/")

LEADS_INSIDE = [
    ("A", "127.0.0.1"),
    ("A", "127.255.255.254"),
    ("A", "10.0.0.5"),
    ("A", "172.16.0.1"),
    ("A", "192.168.1.1"),
    ("A", "169.254.169.254"),
    ("A", "100.64.0.1"),
    ("A", "100.100.100.200"),
    ("A", "168.63.129.16"),
    ("A", "0.0.0.0"),  # noqa: S104 - an answer, nothing is bound
    ("A", "255.255.255.255"),
    ("A", "224.0.0.1"),
    ("A", "192.88.99.1"),
    ("A", "198.18.0.1"),
    ("AAAA", "::1"),
    ("AAAA", "::"),
    ("AAAA", "::127.0.0.1"),
    ("AAAA", "::ffff:127.0.0.1"),
    ("AAAA", "::ffff:100.64.0.1"),
    ("AAAA", "64:ff9b::7f00:1"),
    ("AAAA", "64:ff9b:1::7f00:1"),
    ("AAAA", "2002:7f00:1::"),
    ("AAAA", "2001:0:7f00:1::"),
    ("AAAA", "fe80::1"),
    ("AAAA", "fec0::1"),
    ("AAAA", "fd00:ec2::254"),
    ("AAAA", "ff02::1"),
]


@pytest.fixture
def trap(setting: Setting) -> Iterator[WebServer]:
    """A listener that stands in for every address of this list, should anybody connect to one."""
    trap = WebServer(None)
    yield trap
    trap.close()


def leading_to_the_trap(
    setting: Setting, trap: WebServer, opened: str = "203.0.113.0/28"
) -> HttpsUpstream:
    """All is as ever, but any connection to a closed address would be seen."""
    return setting.upstream(stand_ins={bad: trap.port for _, bad in LEADS_INSIDE}, opened=(opened,))


def knocked(*servers: WebServer) -> int:
    time.sleep(0.02)
    return sum(server.accepted + server.waiting() for server in servers)


@pytest.mark.parametrize(("kind", "bad"), LEADS_INSIDE)
def test_a_name_that_leads_inside(setting: Setting, trap: WebServer, kind: str, bad: str) -> None:
    setting.dns.zone.answers = {(HOST, kind): [bad]}
    upstream = leading_to_the_trap(setting, trap)
    with pytest.raises(UpstreamAddressRefused) as caught:
        upstream.fetch(PAGE, largest=MIB, seconds=5)
    assert caught.value.reason.startswith(f"{HOST} is at {ipaddress.ip_address(bad)}: ")
    assert knocked(setting.web, trap) == 0


@pytest.mark.parametrize(("kind", "bad"), LEADS_INSIDE)
def test_good_and_bad_mixed(setting: Setting, trap: WebServer, kind: str, bad: str) -> None:
    setting.dns.zone.answers = {(HOST, "A"): [PUBLIC]}
    setting.dns.zone.answers.setdefault((HOST, kind), []).append(bad)
    upstream = leading_to_the_trap(setting, trap)
    with pytest.raises(UpstreamAddressRefused):
        upstream.fetch(PAGE, largest=MIB, seconds=5)
    assert knocked(setting.web, trap) == 0


def test_the_trap_would_be_seen(setting: Setting, trap: WebServer) -> None:
    """The tests above count something: without the judging, the trap is reached."""
    setting.dns.zone.answers = {(HOST, "A"): ["10.0.0.5"]}
    upstream = leading_to_the_trap(setting, trap, opened="0.0.0.0/0")
    with pytest.raises(UpstreamUnavailable):
        upstream.fetch(PAGE, largest=MIB, seconds=5)
    assert knocked(trap) == 1


def test_the_answer_that_was_checked_is_the_one_that_is_used(
    setting: Setting, trap: WebServer
) -> None:
    """Rebinding: good when asked first, bad when asked again. It is asked once."""
    setting.dns.zone.turns[HOST, "A"] = [[PUBLIC], ["127.0.0.1"], ["10.0.0.5"]]
    upstream = leading_to_the_trap(setting, trap)
    with upstream.fetch(PAGE, largest=MIB, seconds=5) as answer:
        assert b"".join(answer.body) == b"ok"
    assert setting.dns.queries == [(HOST, "A"), (HOST, "AAAA")]
    assert knocked(setting.web) == 1
    assert knocked(trap) == 0
    upstream.close()


def test_after_rebinding_the_next_connection_is_refused(setting: Setting, trap: WebServer) -> None:
    setting.dns.zone.turns[HOST, "A"] = [[PUBLIC], ["127.0.0.1"]]
    upstream = leading_to_the_trap(setting, trap)
    with upstream.fetch(PAGE, largest=MIB, seconds=5) as answer:
        list(answer.body)
    upstream.close()
    with pytest.raises(UpstreamAddressRefused):
        upstream.fetch(PAGE, largest=MIB, seconds=5)
    assert knocked(setting.web) == 1
    assert knocked(trap) == 0


def test_a_chain_of_names_is_followed(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.dns.zone.answers = {
        (HOST, "A"): [
            f"{HOST}. CNAME a.cdn.example.",
            "a.cdn.example. CNAME b.cdn.example.",
            f"b.cdn.example. A {PUBLIC}",
        ]
    }
    with upstream.fetch(PAGE, largest=MIB, seconds=5) as answer:
        assert b"".join(answer.body) == b"ok"


def test_a_chain_of_names_that_ends_inside(setting: Setting, trap: WebServer) -> None:
    setting.dns.zone.answers = {
        (HOST, "A"): [f"{HOST}. CNAME inside.example.", "inside.example. A 10.0.0.5"]
    }
    upstream = leading_to_the_trap(setting, trap)
    with pytest.raises(UpstreamAddressRefused):
        upstream.fetch(PAGE, largest=MIB, seconds=5)
    assert knocked(setting.web, trap) == 0


def test_addresses_of_another_name_do_not_count(setting: Setting, trap: WebServer) -> None:
    setting.dns.zone.answers = {(HOST, "A"): [f"other.example. A {PUBLIC}"]}
    with pytest.raises(UpstreamUnavailable):
        leading_to_the_trap(setting, trap).fetch(PAGE, largest=MIB, seconds=5)
    assert knocked(setting.web, trap) == 0


def test_networks_of_our_own(setting: Setting) -> None:
    upstream = setting.upstream(own=("203.0.113.8/29",))
    with pytest.raises(UpstreamAddressRefused) as caught:
        upstream.fetch(PAGE, largest=MIB, seconds=5)
    assert caught.value.reason == f"{HOST} is at {PUBLIC}: own"
    assert knocked(setting.web) == 0


def test_the_machines_own_address_needs_no_setting(setting: Setting) -> None:
    """The address by which this machine goes out is its own, public or not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 443))
        here = probe.getsockname()[0]
    with socket.create_server((here, 0)) as listener:
        setting.dns.zone.answers = {(HOST, "A"): [PUBLIC, here]}
        upstream = setting.upstream(opened=("0.0.0.0/0",))
        with pytest.raises(UpstreamAddressRefused, match="not open") as caught:
            upstream.fetch(PAGE, largest=MIB, seconds=5)
        assert "this machine" in caught.value.reason
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert knocked(setting.web) == 0


@pytest.mark.parametrize(
    ("address", "own"), [("127.0.0.1", True), ("::1", True), ("203.0.113.77", False)]
)
def test_which_addresses_are_this_machine(address: str, own: bool) -> None:
    assert is_this_machine(ipaddress.ip_address(address)) is own


# --- names ---------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.dns.zone.answers = {}
    with pytest.raises(UpstreamNameUnknown):
        upstream.fetch(PAGE, largest=MIB, seconds=5)


def test_a_name_without_addresses(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.dns.zone.answers = {(HOST, "TXT"): ['"hello"']}
    with pytest.raises(UpstreamNameUnknown):
        upstream.fetch(PAGE, largest=MIB, seconds=5)


def test_a_name_with_hundreds_of_addresses(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.dns.zone.answers = {(HOST, "A"): [f"203.0.113.{n % 16}" for n in range(16)]}
    setting.dns.zone.answers[HOST, "AAAA"] = [f"2a00::{n:x}" for n in range(20)]
    with pytest.raises(UpstreamNameUnknown, match="cannot be found"):
        upstream.fetch(PAGE, largest=MIB, seconds=5)


@pytest.mark.parametrize("trouble", ["silent", "failing", "slow"])
def test_name_servers_in_trouble(setting: Setting, trouble: str) -> None:
    if trouble == "slow":
        setting.dns.zone.slow[HOST] = 1.5
    else:
        getattr(setting.dns.zone, trouble).add(HOST)
    started = time.monotonic()
    with pytest.raises(UpstreamUnavailable):
        setting.upstream().fetch(PAGE, largest=MIB, seconds=5)
    assert time.monotonic() - started < 3
    assert knocked(setting.web) == 0


def test_half_an_answer_is_none(setting: Setting) -> None:
    """Who can keep back the bad half of an answer may not get through with the good one."""
    names = DnsNames(["127.0.0.1"], port=setting.dns.port)
    setting.dns.zone.slow[HOST] = 0.3
    with pytest.raises(UpstreamTimeout):
        names.lookup(HOST, 0.4)


def test_the_time_for_all_of_it_holds_for_names(setting: Setting) -> None:
    setting.dns.zone.silent.add(HOST)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        setting.upstream().fetch(PAGE, largest=MIB, seconds=0.3)
    assert time.monotonic() - started < 0.9


def test_names_of_our_own(setting: Setting) -> None:
    others = DnsNames(["127.0.0.1"], port=setting.dns.port)
    names = FixedNames({"demo.example": "203.0.113.5"}, others)
    assert names.lookup("demo.example", 1) == (ipaddress.ip_address("203.0.113.5"),)
    assert setting.dns.queries == []
    assert names.lookup(HOST, 1) == (ipaddress.ip_address(PUBLIC),)


def test_a_name_server_has_an_address() -> None:
    with pytest.raises(ValueError, match="dns"):
        DnsNames(["dns.example"])


def test_the_systems_name_servers_are_found() -> None:
    assert DnsNames().servers


def test_ipv6_alone_will_do(setting: Setting) -> None:
    setting.dns.zone.answers = {(HOST, "AAAA"): ["2001:db8::10"]}
    upstream = setting.upstream(
        opened=("2001:db8::/64",), stand_ins={"2001:db8::10": setting.web.port}
    )
    with upstream.fetch(PAGE, largest=MIB, seconds=5) as answer:
        assert b"".join(answer.body) == b"ok"
    upstream.close()


def test_names_that_go_in_circles(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.dns.zone.answers = {
        (HOST, "A"): [f"{HOST}. CNAME a.example.", f"a.example. CNAME {HOST}."]
    }
    with pytest.raises(UpstreamNameUnknown):
        upstream.fetch(PAGE, largest=MIB, seconds=5)
