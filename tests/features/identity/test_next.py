"""Where a log-in leads: never off this host."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.features.identity.views.local_address import safe_next
from tests.features.identity.conftest import log_in
from tests.world import World

EVIL = [
    "//evil.example", "https://evil.example", "http:evil.example", "/\\evil.example", "\\\\evil",
    "/\t/evil.example", "/\n//evil", " //evil", "javascript:alert(1)", "///evil.example",
    "/%0d%0aSet-Cookie:x", "evil.example", "/login", "/login/second-factor", "/logout", "/a\\b",
    "/" + "a" * 3000, "/é", "\x00/", "/ /evil", "https:///evil.example", "",
]  # fmt: skip


@pytest.mark.parametrize("wanted", [one for one in EVIL if "%0d" not in one])
def test_strange_addresses_lead_to_the_front_page(shared_world: World, wanted: str) -> None:
    with shared_world.app.test_request_context():
        assert safe_next(wanted) == "/"


@pytest.mark.parametrize(
    "wanted", ["/courses/norsk?page=2&x=a%20b", "/", "/account", "/a/b-c_d~e.f"]
)
def test_own_addresses_are_kept(shared_world: World, wanted: str) -> None:
    with shared_world.app.test_request_context():
        assert safe_next(wanted) == wanted


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="/\\.:@?#%evilhtps\t\n\r \x00ab", max_size=30))
def test_whatever_is_asked_for_a_browser_stays_on_the_host(
    shared_world: World, wanted: str
) -> None:
    with shared_world.app.test_request_context():
        found = safe_next(wanted)
    stripped = "".join(c for c in found if c not in "\t\n\r").replace("\\", "/")
    assert urlsplit(urljoin("http://school.test/login", stripped)).netloc == "school.test"


def test_login_form_does_not_lead_out(school: World) -> None:
    for wanted in EVIL:
        answer = log_in(school.anonymous(), "tora", next=wanted)
        assert answer.status_code == 303, wanted
        host = urlsplit(urljoin("http://localhost/login", answer.location)).netloc
        assert host == "localhost", wanted


def test_language_form_does_not_lead_out(school: World) -> None:
    answer = school.anonymous().post_form("/language", {"locale": "nn", "next": "//evil.example"})
    assert answer.status_code == 303
    assert answer.location == "/"
