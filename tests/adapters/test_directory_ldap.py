"""The LDAP adapter's own promises on real slapd: names, passwords, refusals, lists."""

from __future__ import annotations

import socket
import threading
from typing import Any

import ldap3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.adapters.directory import ACTIVE_DIRECTORY, LdapDirectory
from dask_platform.adapters.directory.names import is_sendable_name
from dask_platform.kernel.errors import (
    BadCredentials,
    ConfigurationError,
    DirectoryUnavailable,
)
from tests.adapters.conftest import MakeDirectory
from tests.services.client import Services
from tests.services.slapd import (
    LIMITED_DN,
    SIZE_LIMIT,
    SUFFIX,
    Slapd,
    SlapdServer,
    Tree,
)

PASSWORD = "riktig hest batteri stift"
TEACHER = ("teacher", "ringerike")


@pytest.fixture
def directory(tree: Tree, make_directory: MakeDirectory) -> LdapDirectory:
    """With one teacher, kari."""
    group = tree.group("teachers", [tree.person("kari", PASSWORD)])
    return make_directory({group: [TEACHER]})


@pytest.fixture
def plain_directory(tree: Tree, make_directory: MakeDirectory) -> LdapDirectory:
    """The same without TLS, for a test that asks many times."""
    group = tree.group("teachers", [tree.person("kari", PASSWORD)])
    return make_directory({group: [TEACHER]}, servers=(tree.server.url,), allow_plain=True)


# --- passwords that are none -----------------------------------------------------------------


def test_this_slapd_does_take_an_unauthenticated_bind(tree: Tree) -> None:
    """Without this the test after it would prove nothing."""
    dn = tree.person("kari", PASSWORD)
    with socket.create_connection(("127.0.0.1", tree.server.port), timeout=5) as connection:
        name = dn.encode()
        bind = b"\x02\x01\x03\x04" + bytes([len(name)]) + name + b"\x80\x00"
        message = b"\x02\x01\x01\x60" + bytes([len(bind)]) + bind
        connection.sendall(b"\x30" + bytes([len(message)]) + message)
        answer = connection.recv(4096)
    assert b"\x0a\x01\x00" in answer, "the server no longer answers an empty password with success"


@pytest.mark.parametrize("password", ["", " ", "\u00ad", "\u200b", "\x00", "\ud800", "x" * 1025])
def test_no_empty_password_gets_in(directory: LdapDirectory, password: str) -> None:
    """The soft hyphen and the zero-width space become an empty password under SASLprep."""
    with pytest.raises(BadCredentials):
        directory.authenticate("kari", password)


# --- names -----------------------------------------------------------------------------------


@given(
    name=st.one_of(
        st.text(max_size=300),
        st.text(alphabet="*()\\&|!=~<>:, \x00kari\u202e\u200bא", max_size=16),
        st.from_regex(r"kari[*)(\\&|= ]{1,8}(uid|cn)=[*a-z]{0,4}", fullmatch=True),
    )
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_typed_name_is_taken_for_anothers(plain_directory: LdapDirectory, name: str) -> None:
    """Somebody's right password under a hostile name: refused, and never an error."""
    if name.strip().lower() == "kari":
        return
    with pytest.raises(BadCredentials):
        plain_directory.authenticate(name, PASSWORD)


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "o*la",
        "a)(uid=*",
        "back\\slash",
        'comma, plus+ quote" semi; <x>',
        "#sharp",
        "Åse Ødegård",
        "שרה",
        "عمر",
        "山田",
        "🫐",
    ],
)
def test_a_strange_name_that_exists_logs_in(
    tree: Tree, make_directory: MakeDirectory, name: str
) -> None:
    """Escaping keeps the others out and lets the owner in; the DN survives the way back too."""
    assert is_sendable_name(name, 256)
    tree.person("somebody", PASSWORD)
    group = tree.group("group " + name, [tree.person(name, PASSWORD)])
    for style in ("memberof", "search"):
        directory = make_directory({group: [TEACHER]}, membership=style)
        person = directory.authenticate(name, PASSWORD)
        assert (person.username, person.grants) == (name, frozenset({TEACHER}))
        assert list(directory.people()) == [person]


def test_a_name_with_two_owners_is_nobodys(
    tree: Tree, make_directory: MakeDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    tree.person("kari", PASSWORD)
    tree.add(
        f"cn=twin,{tree.people_dn}",
        ["inetOrgPerson"],
        {"cn": "twin", "sn": "twin", "uid": "kari", "userPassword": PASSWORD},
    )
    directory = make_directory({f"cn=g,{SUFFIX}": [TEACHER]})
    with pytest.raises(BadCredentials):
        directory.authenticate("kari", PASSWORD)
    assert "more than one entry" in caplog.text


def test_who_lies_outside_the_base_cannot_log_in_and_is_not_listed(
    tree: Tree, make_directory: MakeDirectory
) -> None:
    dn = tree.person("kari", PASSWORD)
    outside = tree.server.tree()
    try:
        stranger = outside.person("ola", PASSWORD)
    finally:
        outside.close()
    group = tree.group("teachers", [dn, stranger])
    for style in ("memberof", "search"):
        directory = make_directory({group: [TEACHER]}, membership=style)
        with pytest.raises(BadCredentials):
            directory.authenticate("ola", PASSWORD)
        assert [person.username for person in directory.people()] == ["kari"]


# --- refusals take the same time -------------------------------------------------------------


def test_an_unknown_name_costs_the_server_as_much(
    services: Services, make_directory: MakeDirectory
) -> None:
    """As many operations, counted by a server that nobody else asks meanwhile."""
    waits: list[float] = []
    counts = []
    with services.private(Slapd) as facts:
        server = SlapdServer(**facts)
        own = server.tree()
        own.person("kari", PASSWORD)
        own.close()
        directory = make_directory(
            {f"cn=g,{SUFFIX}": [TEACHER]},
            servers=(server.url,),
            allow_plain=True,
            base_dn=own.base_dn,
            bind_password=server.password,
            refusal_seconds=7.0,
            monotonic=lambda: 100.0,
            sleep=waits.append,
        )
        for name in ("kari", "nobody"):
            before = operations(server)
            with pytest.raises(BadCredentials):
                directory.authenticate(name, "galt")
            counts.append(operations(server) - before)
    assert counts[0] == counts[1]
    # No time passed on this clock, so the whole of it was waited out, both times.
    assert waits == [7.0, 7.0]


def test_who_logs_in_does_not_wait(tree: Tree, make_directory: MakeDirectory) -> None:
    tree.person("kari", PASSWORD)
    waits: list[float] = []
    directory = make_directory(
        {f"cn=g,{SUFFIX}": [TEACHER]}, refusal_seconds=7.0, sleep=waits.append
    )
    directory.authenticate("kari", PASSWORD)
    assert waits == []


# --- lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["memberof", "search"])
def test_a_list_longer_than_the_servers_limit_comes_whole(
    tree: Tree, make_directory: MakeDirectory, style: str
) -> None:
    names = [f"person{number}" for number in range(2 * SIZE_LIMIT + 3)]
    group = tree.group("all", [tree.person(name, PASSWORD) for name in names])
    directory = make_directory({group: [TEACHER]}, membership=style, page_size=7)
    assert sorted(person.username for person in directory.people()) == sorted(names)


def test_a_list_cut_off_by_the_server_is_an_outage(
    tree: Tree, make_directory: MakeDirectory
) -> None:
    """Half a list, and a sync would throw the other half out."""
    members = [tree.person(f"person{number}", PASSWORD) for number in range(SIZE_LIMIT + 3)]
    directory = make_directory(
        {tree.group("all", members): [TEACHER]}, bind_dn=LIMITED_DN, page_size=7
    )
    with pytest.raises(DirectoryUnavailable):
        list(directory.people())


def test_a_mapped_group_that_is_gone_stops_the_list(
    tree: Tree, make_directory: MakeDirectory
) -> None:
    here = tree.group("here", [tree.person("kari", PASSWORD)])
    gone = tree.group_dn("gone")
    directory = make_directory({here: [TEACHER], gone: [("security", "oslo")]})
    with pytest.raises(ConfigurationError) as refused:
        next(directory.people())
    assert [gone in problem for problem in refused.value.problems] == [True]
    # A log-in goes on: what the person does have is known.
    assert directory.authenticate("kari", PASSWORD).grants == {TEACHER}


def test_active_directorys_names(tree: Tree, make_directory: MakeDirectory) -> None:
    dn = tree.person(
        "ignored",
        PASSWORD,
        sAMAccountName="kno",
        objectCategory="person",
        displayName="Kari Nordmann (DASK)",
        objectGUID=bytes.fromhex("33221100554477668899aabbccddeeff"),
    )
    directory = make_directory({tree.group("g", [dn]): [TEACHER]}, **ACTIVE_DIRECTORY)
    person = directory.authenticate("KNO", PASSWORD)
    assert person.key == "00112233-4455-6677-8899-aabbccddeeff"
    assert (person.username, person.display_name) == ("kno", "Kari Nordmann (DASK)")
    assert list(directory.people()) == [person]


@pytest.mark.parametrize("attribute", ["key_attribute", "username_attribute"])
def test_an_attribute_that_is_not_there_is_an_outage_with_a_reason(
    tree: Tree,
    make_directory: MakeDirectory,
    caplog: pytest.LogCaptureFixture,
    attribute: str,
) -> None:
    group = tree.group("teachers", [tree.person("kari", PASSWORD)])
    directory = make_directory({group: [TEACHER]}, **{attribute: "employeeNumber"})
    with pytest.raises(DirectoryUnavailable):
        directory.authenticate("kari", PASSWORD)
    with pytest.raises(DirectoryUnavailable):
        list(directory.people())
    assert "has no employeeNumber" in caplog.text
    assert "kari" not in caplog.text


def test_eight_people_log_in_at_once(tree: Tree, make_directory: MakeDirectory) -> None:
    names = [f"person{number}" for number in range(8)]
    group = tree.group("all", [tree.person(name, f"{PASSWORD} {name}") for name in names])
    directory = make_directory({group: [TEACHER]})
    seen: list[str] = []

    def log_in(name: str) -> None:
        seen.append(directory.authenticate(name, f"{PASSWORD} {name}").username)

    threads = [threading.Thread(target=log_in, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == names


# --- helpers ---------------------------------------------------------------------------------


def operations(server: SlapdServer) -> int:
    """How many operations slapd has begun, by its own count."""
    connection: Any = ldap3.Connection(
        ldap3.Server(server.url, get_info=ldap3.NONE), check_names=False
    )
    connection.bind(read_server_info=False)
    connection.search(
        "cn=Operations,cn=Monitor",
        "(objectClass=*)",
        ldap3.BASE,
        attributes=["monitorOpInitiated"],
    )
    count = int(connection.response[0]["raw_attributes"]["monitorOpInitiated"][0])
    connection.unbind()
    return count
