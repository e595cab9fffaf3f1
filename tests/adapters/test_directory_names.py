"""Distinguished names and what may be sent to a server."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.dn import escape_rdn

from dask_platform.adapters.directory.names import (
    dn_key,
    escape,
    fold,
    is_below,
    is_sendable_name,
    is_sendable_password,
    tidy,
)

HOSTILE = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(alphabet="*()\\&|!=~<>:,+\"'; \x00\n#aå\u202e\u200bא", max_size=12),
    st.sampled_from(["*", ")(uid=*", "*)(|(uid=*", "\\", "\\2a", "\\5c2a", "\x00", "#30", " "]),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=A,DC=fylke,DC=no", "cn=a, dc=Fylke ,dc=NO"),
        ("cn=Lærere,dc=no", "CN=L\\c3\\a6rere,DC=no"),
        ("cn=Ålesund,dc=no", "cn=A\u030alesund,dc=no"),
        ("cn=Berg\\, Kari,dc=no", "cn=Berg\\2c Kari,dc=no"),
        ("cn=a+uid=b,dc=no", "uid=B + cn=A,dc=no"),
        ("cn=two  words,dc=no", "cn=Two Words,dc=no"),
        ("cn=\\ a,dc=no", "cn=a,dc=no"),  # servers ignore spaces at the ends when they compare
        ("OID.2.5.4.3=a,dc=no", "2.5.4.3=a,dc=no"),
    ],
)
def test_names_a_server_takes_as_equal_have_one_key(one: str, other: str) -> None:
    assert dn_key(one) == dn_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,dc=no", "cn=b,dc=no"),
        ("cn=a,dc=no", "ou=a,dc=no"),
        ("cn=a,ou=b,dc=no", "ou=b,cn=a,dc=no"),
        ("cn=a\\,ou=b,dc=no", "cn=a,ou=b,dc=no"),
        ("cn=a\\+ou=b,dc=no", "cn=a+ou=b,dc=no"),
    ],
)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert dn_key(one) != dn_key(other)


@pytest.mark.parametrize(
    "dn",
    [
        "",
        " ",
        "Lærere",
        "cn",
        "cn=",
        "cn=a,",
        ",cn=a",
        "cn=a,,dc=no",
        "=a",
        "cn=a\\",
        "cn=a\\x",
        "cn=a;dc=no",
        "cn=<a>",
        'cn="a"',
        "cn=a\x00",
        "cn=\\ff",
        "1a=b",
        "c n=a",
        "cn=\ud800",
    ],
)
def test_what_is_no_name_is_refused(dn: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dn_key(dn)


@settings(deadline=None)
@given(st.text())
def test_any_text_gives_a_key_or_a_value_error(text: str) -> None:
    try:
        key = dn_key(text)
    except ValueError:
        return
    assert key
    assert all(pairs and all(value is not None for _type, value in pairs) for pairs in key)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_escaped_value_comes_back_whole(value: str) -> None:
    # Here every byte is escaped, so nothing is trimmed and nothing is syntax.
    written = "".join(f"\\{byte:02x}" for byte in value.encode())
    assert dn_key(f"cn={written},dc=no") == ((("cn", fold(value)),), (("dc", "no"),))


@settings(deadline=None)
@given(HOSTILE.filter(lambda value: value.strip() and not set(value) & set("\x00\n\r")))
def test_a_value_escaped_by_ldap3_is_one_value(value: str) -> None:
    key = dn_key(f"cn={escape_rdn(value)},dc=no")
    assert len(key) == 2
    assert key[0][0][0] == "cn"


def test_below() -> None:
    base = dn_key("ou=people,dc=no")
    assert is_below(dn_key("uid=a,OU=People,DC=no"), base)
    assert is_below(base, base)
    assert not is_below(dn_key("uid=a,ou=other,dc=no"), base)
    assert not is_below(dn_key("dc=no"), base)


@settings(deadline=None)
@given(HOSTILE)
def test_an_escaped_name_is_one_assertion_and_nothing_else(name: str) -> None:
    """Compiled by the library that sends it, the filter asks for exactly these bytes."""
    search_filter = f"(&(objectClass=person)(uid={escape(name)}))"
    parsed = parse_filter(search_filter, None, False, True, None, False)  # type: ignore[no-untyped-call]
    compiled = compile_filter(parsed.elements[0])  # type: ignore[no-untyped-call]
    assert compiled.getName() == "and"
    parts = list(compiled["and"])
    assert len(parts) == 2
    assert parts[1].getName() == "equalityMatch"
    assert bytes(parts[1]["equalityMatch"]["attributeDesc"]) == b"uid"
    assert bytes(parts[1]["equalityMatch"]["assertionValue"]) == name.encode()


@settings(deadline=None)
@given(st.text())
def test_a_sendable_name_can_be_sent(name: str) -> None:
    if is_sendable_name(name, 256):
        assert name.encode()
        assert name.strip()
        assert len(name) <= 256
        assert "\x00" not in name


@settings(deadline=None)
@given(st.text())
def test_a_sendable_password_can_be_sent(password: str) -> None:
    if is_sendable_password(password, 1024):
        assert password.encode().strip()
        assert b"\x00" not in password.encode()


@pytest.mark.parametrize(
    "name", ["kari", "Kari.Nordmann", "kari@fylke.no", "Åse Ødegård", "שרה", "山田", "k-r_1"]
)
def test_ordinary_names_in_every_script_are_sendable(name: str) -> None:
    assert is_sendable_name(name, 256)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "kari\x00",
        "ka\nri",
        "ka\u00adri",
        "kari\u200b",
        "\u202ekari",
        "\ufeffkari",
        "ka\u2028ri",
        "ka\ud800ri",
        "ka\ue000ri",
        "k" * 257,
    ],
)
def test_names_with_something_unseen_in_them_are_not(name: str) -> None:
    assert not is_sendable_name(name, 256)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("  Kari \n Nordmann ", "Kari Nordmann"),
        ("Kari\x00\x1b[31m", "Kari[31m"),
        ("Kari\u202egnp.exe", "Karignp.exe"),
        ("שרה לוי", "שרה לוי"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_display_name_is_tidied(written: str, shown: str) -> None:
    assert tidy(written) == shown
