"""Host names to labels and back: never two hosts on one label."""

from __future__ import annotations

import re

import ada_url
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.kernel.errors import Invalid
from dask_platform.security.hostmap import BrokerOrigin, host_of, label_of
from dask_platform.security.weburl import is_host

# Few letters and many marks, so that neighbours in spelling are drawn again and again.
_LABELS = st.from_regex(r"[axn](?:[axn1-]{0,6}[axn1])?", fullmatch=True)
_HOSTS = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(_LABELS, min_size=1, max_size=5),
    st.sampled_from(["no", "a-no", "xn--no", "n-n"]),
).filter(is_host)
ORIGIN = BrokerOrigin("http", "ressurs.localhost", 8001)


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("snl.no", "snl-no"),
        ("a-b.no", "a--b-no"),
        ("a.b-no", "a-b--no"),
        ("a--b.no", "a----b-no"),
        ("www.snl.no", "www-snl-no"),
        ("xn--bl-yia.no", "q---xn----bl--yia-no"),
        ("xn-a.no", "q---xn--a-no"),
        ("xn.no", "xn-no"),
        ("q.xn-a.no", "q-xn--a-no"),
    ],
)
def test_a_host_has_this_label(host: str, label: str) -> None:
    assert label_of(host) == label
    assert host_of(label) == host


@given(_HOSTS)
def test_every_label_is_valid_and_is_read_back(host: str) -> None:
    try:
        label = label_of(host)
    except Invalid:
        assert len(host) + host.count("-") + len("q---") > 63
        return
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", label)
    assert "-" in label
    assert not label.startswith("xn--")
    assert host_of(label) == host
    # A browser takes the name as it is.
    assert ada_url.URL(f"https://{label}.ressurs.example/").hostname == f"{label}.ressurs.example"


@given(_HOSTS, _HOSTS)
def test_two_hosts_never_share_a_label(one: str, other: str) -> None:
    try:
        assert (label_of(one) == label_of(other)) == (one == other)
    except Invalid:
        assert max(len(one), len(other)) > 25


@given(st.from_regex(r"[axnq-]{1,12}", fullmatch=True))
def test_a_label_is_read_only_in_the_one_spelling(label: str) -> None:
    host = host_of(label)
    assert host is None or label_of(host) == label


@pytest.mark.parametrize(
    "label",
    [
        "",
        "www",
        "start",
        "-a",
        "a-",
        "a---no",
        "q---a-no",
        "xn--a-no",
        "a-b-",
        "A-no",
        "a-1",
        "æ-no",
    ],
)
def test_other_labels_stand_for_no_host(label: str) -> None:
    assert host_of(label) is None


@pytest.mark.parametrize("host", ["no", "SNL.no", "snl.no.", "1.2.3.4", "snl.no:443", "", "a_b.no"])
def test_what_is_no_host_has_no_label(host: str) -> None:
    with pytest.raises(Invalid):
        label_of(host)


def test_a_long_host_is_refused() -> None:
    assert len(label_of("a" * 60 + ".no")) == 63
    with pytest.raises(Invalid, match="too long"):
        label_of("a" * 61 + ".no")
    with pytest.raises(Invalid, match="too long"):
        label_of("a-" * 20 + "a.bbbbbbbbbbbbbbbbbb.no")


@pytest.mark.parametrize("rest", ["/", "/a?b", "/a/b?c=d#e", "/x?u=https://other.no/"])
def test_an_address_goes_forth_and_back(rest: str) -> None:
    ours = ORIGIN.forward(f"https://snl.no{rest}")
    assert ours == f"http://snl-no.ressurs.localhost:8001{rest}"
    assert ORIGIN.back(ours) == f"https://snl.no{rest}"
    assert BrokerOrigin("https", "ressurs.example").forward("https://snl.no/a") == (
        "https://snl-no.ressurs.example/a"
    )


@pytest.mark.parametrize("url", ["http://snl.no/", "https://snl.no", "https://snl.no:8/", "/a", ""])
def test_only_canonical_addresses_go_forth(url: str) -> None:
    with pytest.raises(Invalid):
        ORIGIN.forward(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://snl-no.ressurs.localhost:8001/",
        "http://snl-no.ressurs.localhost/",
        "http://snl-no.ressurs.localhost:8001",
        "http://snl-no.evil.ressurs.localhost:8001/",
        "http://snl-no.ressurs.localhost:8001.evil.no/",
        "http://start.ressurs.localhost:8001/",
        "http://a@snl-no.ressurs.localhost:8001/",
    ],
)
def test_no_other_address_comes_back(url: str) -> None:
    assert ORIGIN.back(url) is None
