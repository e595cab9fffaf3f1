"""One way to read an address; every published trick in its place."""

from __future__ import annotations

import ada_url
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dask_platform.security.weburl import _PLAIN, MOST_CHARACTERS, BadAddress, is_host, parse

#: What is refused, and as what. Each line is a way that somebody has got past a list.
TRICKS = [
    # user names: the host is what stands behind the @
    ("https://snl.no@evil.no/", "userinfo"),
    ("https://snl.no:pass@evil.no/", "userinfo"),
    ("https://@snl.no/", "not_canonical"),
    ("https://snl.no%40evil.no/", "bad_url"),
    # slashes that are none, and too few or too many of them
    ("https:\\\\snl.no\\", "not_canonical"),
    ("https://snl.no\\@evil.no/", "not_canonical"),
    ("https:/snl.no/", "not_canonical"),
    ("https:snl.no/", "not_canonical"),
    ("https:///snl.no/", "not_canonical"),
    ("//snl.no/", "bad_url"),
    ("snl.no", "bad_url"),
    ("/side", "bad_url"),
    # characters that one parser drops and another keeps
    ("https://snl.no/\t", "not_canonical"),
    ("https://sn\tl.no/", "not_canonical"),
    ("https://snl.no/a\r\nHost: evil.no", "not_canonical"),
    ("https://snl.no/\x00", "not_canonical"),
    (" https://snl.no/", "not_canonical"),
    ("https://snl.no/ ", "not_canonical"),
    ("https://snl.no/a b", "not_canonical"),
    ("https://snl.no/\u00ad", "not_canonical"),
    # hosts
    ("https://SNL.no/", "not_canonical"),
    ("https://snl.no./", "bad_url"),
    ("https://snl.no../", "bad_url"),
    ("https://.snl.no/", "bad_url"),
    ("https://snl..no/", "bad_url"),
    ("https://snl。no/", "not_canonical"),
    ("https://ｓｎｌ.no/", "not_canonical"),
    ("https://ⓢnl.no/", "not_canonical"),
    ("https://sn\u200bl.no/", "not_canonical"),
    ("https://søk.no/", "not_canonical"),
    ("https://snl.no%00.evil.no/", "bad_url"),
    ("https://snl.no%2eevil.no/", "not_canonical"),
    ("https://localhost/", "bad_url"),
    ("https://no/", "bad_url"),
    ("https:///", "bad_url"),
    ("https://", "bad_url"),
    ("", "bad_url"),
    # addresses in numbers, in every spelling
    ("https://127.0.0.1/", "bad_url"),
    ("https://127.1/", "not_canonical"),
    ("https://0x7f000001/", "not_canonical"),
    ("https://0177.0.0.1/", "not_canonical"),
    ("https://2130706433/", "not_canonical"),
    ("https://１２７.0.0.1/", "not_canonical"),
    ("https://[::1]/", "bad_url"),
    ("https://[::ffff:127.0.0.1]/", "not_canonical"),
    ("https://[fe80::1%25eth0]/", "bad_url"),
    ("https://[v1.fe80::a]/", "bad_url"),
    # ports and schemes
    ("https://snl.no:443/", "not_canonical"),
    ("https://snl.no:8443/", "port"),
    ("https://snl.no:0/", "port"),
    ("https://snl.no:/", "not_canonical"),
    ("https://snl.no:65536/", "bad_url"),
    ("http://snl.no/", "scheme"),
    ("HTTPS://snl.no/", "not_canonical"),
    ("ftp://snl.no/", "scheme"),
    ("javascript:alert(1)//snl.no/", "scheme"),
    ("data:text/html,x", "scheme"),
    ("blob:https://snl.no/1", "scheme"),
    ("file:///etc/passwd", "scheme"),
    ("view-source:https://snl.no/", "scheme"),
    ("wss://snl.no/", "scheme"),
    # dots and slashes in disguise
    ("https://snl.no/a/../b", "not_canonical"),
    ("https://snl.no/a/./b", "not_canonical"),
    ("https://snl.no/%2e%2e/b", "not_canonical"),
    ("https://snl.no/.%2E/b", "not_canonical"),
    ("https://snl.no/a%2eb", "encoding"),
    ("https://snl.no/%252e%252e/b", "encoding"),
    ("https://snl.no/..%252f", "encoding"),
    ("https://snl.no/a%2fb", "encoding"),
    ("https://snl.no/a%5Cb", "encoding"),
    ("https://snl.no/a//b", "encoding"),
    ("https://snl.no//evil.no/", "encoding"),
    ("https://snl.no/..;/b", "encoding"),
    ("https://snl.no/a;b=c", "encoding"),
    ("https://snl.no/a%3Bb", "encoding"),
    # bytes and letters
    ("https://snl.no/%00", "encoding"),
    ("https://snl.no/%0d%0aHost:%20evil.no", "encoding"),
    ("https://snl.no/%ff", "encoding"),
    ("https://snl.no/%c0%af", "encoding"),
    ("https://snl.no/%ED%A0%80", "encoding"),
    ("https://snl.no/%", "encoding"),
    ("https://snl.no/%zz", "encoding"),
    ("https://snl.no/%u002f", "encoding"),
    ("https://snl.no/a%CC%8A", "encoding"),
    ("https://snl.no/?q=%00", "encoding"),
    ("https://snl.no/?q=%ff", "encoding"),
    ("https://snl.no/?q=a;url=b", "encoding"),
    ("https://snl.no/?", "not_canonical"),
    ("https://snl.no/#", "not_canonical"),
    ("https://snl.no/?" + "&".join("a" * 40), "encoding"),
    ("https://snl.no/" + "a" * MOST_CHARACTERS, "bad_url"),
    ("https://\ud800.no/", "bad_url"),
]


@pytest.mark.parametrize(("given", "fault"), TRICKS, ids=range(len(TRICKS)))
def test_a_trick_is_refused(given: str, fault: str) -> None:
    with pytest.raises(BadAddress) as refused:
        parse(given)
    assert refused.value.fault == fault, ascii(given)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(BadAddress) as refused:
        parse("https://anna:hemmelig@snl.no/")
    assert refused.value.canonical is None


@pytest.mark.parametrize(
    ("given", "host", "path", "query"),
    [
        ("https://snl.no/", "snl.no", "/", ()),
        ("https://snl.no/%C3%85l", "snl.no", "/Ål", ()),
        ("https://snl.no/a%20b?q=a+b%20c&x", "snl.no", "/a b", (("q", "a b c"), ("x", ""))),
        ("https://nbl.snl.no/a.b/", "nbl.snl.no", "/a.b/", ()),
        ("https://xn--tilbakefring-ngb.no/", "xn--tilbakefring-ngb.no", "/", ()),
        ("https://snl.no/100%25", "snl.no", "/100%", ()),
    ],
)
def test_an_address_is_cut_up(
    given: str, host: str, path: str, query: tuple[tuple[str, str], ...]
) -> None:
    got = parse(given)
    assert (got.text, got.host, got.path, got.query) == (given, host, path, query)


def test_what_no_server_sees_is_left_out() -> None:
    assert parse("https://snl.no/a?b=c#avsnitt").text == "https://snl.no/a?b=c"


HOSTS = st.from_regex(r"[a-z0-9.@:%\\/\[\]-]{0,20}", fullmatch=True)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.builds("https://{}/{}".format, HOSTS, st.text(max_size=30)),
    st.builds(
        "https://snl.no{}".format, st.from_regex(r"[/?#%&=+;.\\a-e0-9]{0,40}", fullmatch=True)
    ),
)


@given(TEXTS)
@example("https://snl.no/?q=a#?b")
@example("https://snl.no/a?#")
def test_a_browser_reads_the_same(given: str) -> None:
    """What we decide on is what a browser, and so the one who fetches, would go to."""
    try:
        ours = parse(given)
    except BadAddress:
        return
    browser = ada_url.URL(ours.text)
    assert (browser.href, browser.protocol, browser.host) == (ours.text, "https:", ours.host)
    assert (browser.username, browser.password, browser.port, browser.hash) == ("", "", "", "")
    assert ours.text == given.partition("#")[0]
    query = ada_url.parse_search_params(browser.search) if browser.search else {}
    assert {name for name, _value in ours.query} == set(query)


@given(
    st.builds(
        "https://{}/{}".format,
        st.from_regex(r"(?:[a-zx0-9-]{1,6}\.){1,3}[a-z0-9-]{1,5}", fullmatch=True)
        | st.sampled_from(["xn--a.no", "a.xn--no", "1.2.3.4", "0x1.a0", "a.0x1", "a--b.no"]),
        st.from_regex(r"[a-c0-9A._~!$&'()*+,=:@/?%;-]{0,30}", fullmatch=True),
    )
)
@settings(max_examples=1000)
def test_what_is_read_without_the_parser_is_read_alike(given: str) -> None:
    """Plainly written addresses skip the parser: it must leave each of them just as it stands."""
    plain = _PLAIN.fullmatch(given)
    if plain is None:
        return
    browser = ada_url.URL(given)
    assert browser.href == given
    assert (browser.hostname, browser.pathname) == (plain["host"], plain["path"])
    assert browser.search == (f"?{plain['query']}" if plain["query"] else "")


@pytest.mark.parametrize(
    "text",
    [
        "https://" + "a" * 1990, "https://" + "a." * 990, "https://" + "a-" * 990,
        "https://a.no/" + "a/" * 980 + ";", "https://a.no/" + "a" * 1980 + ";",
        "https://a.no/" + "a." * 980 + ";", "https://a.no/?" + "a" * 1970 + "%",
    ],
)  # fmt: skip
def test_no_text_makes_the_plain_reading_try_again_and_again(text: str) -> None:
    """A pattern that backs up would take years for one of these; the run would not end."""
    with pytest.raises(BadAddress):
        parse(text)


@pytest.mark.parametrize(
    "host", ["snl.no", "a.b-c.no", "xn--tilbakefring-ngb.no", "1.no", "a1.xn--p1ai"]
)
def test_a_host_in_its_normal_form(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "no", "SNL.no", "snl.no.", ".snl.no", "snl..no", "-a.no", "a-.no", "å.no", "1.2.3.4"),
        *("snl.no:443", "a.no/", "*.no", "a_b.no", "[::1]", "0x7f.1", "a" * 64 + ".no"),
    ],
)
def test_no_host_in_its_normal_form(host: str) -> None:
    assert not is_host(host)
