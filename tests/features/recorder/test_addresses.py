"""A recording asks for whatever an officer types. Nothing inside is ever connected to."""

from __future__ import annotations

import pytest

from dask_platform.adapters.upstream import HttpsUpstream
from tests.adapters.upstream.conftest import HOST, Setting
from tests.adapters.upstream.conftest import authority as authority  # the fixtures
from tests.adapters.upstream.conftest import setting as setting
from tests.adapters.upstream.servers import WebServer
from tests.adapters.upstream.test_addresses_reached import (
    LEADS_INSIDE,
    knocked,
    leading_to_the_trap,
)
from tests.adapters.upstream.test_addresses_reached import trap as trap
from tests.features.recorder.conftest import Office

HERE = "http://site-example.ressurs.localhost:8000"


@pytest.fixture
def reaching(office: Office, setting: Setting, trap: WebServer) -> HttpsUpstream:
    """The real way out, with the trap behind every closed address."""
    made = leading_to_the_trap(setting, trap)
    office.world.platform.upstream = made
    return made


@pytest.mark.parametrize(("kind", "bad"), LEADS_INSIDE)
def test_a_name_that_leads_inside_gets_no_connection(
    office: Office, reaching: HttpsUpstream, setting: Setting, trap: WebServer, kind: str, bad: str
) -> None:
    setting.dns.zone.answers = {(HOST, kind): [bad]}
    office.record(f"https://{HOST}/")
    for path in ("/", "/bilde.png"):
        assert office.get(path, HERE).status_code == 502
    assert knocked(setting.web, trap) == 0
    assert {one["reason"] for one in office.outside.visits()} == {"UpstreamAddressRefused"}


def test_a_name_that_leads_out_does(
    office: Office, reaching: HttpsUpstream, setting: Setting
) -> None:
    """So that the test above fails where nothing at all would be connected to."""
    office.record(f"https://{HOST}/")
    office.get("/", HERE)
    assert knocked(setting.web) > 0


@pytest.mark.parametrize(
    "typed",
    ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "localhost"],
)
def test_an_address_in_numbers_is_no_site(office: Office, typed: str) -> None:
    assert office.start(typed).status_code == 400
