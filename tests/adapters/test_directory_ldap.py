"""The LDAP adapter's own promises, on real slapd: the wire, hostile names, refusals, lists."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ldap3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.adapters.directory import ACTIVE_DIRECTORY, LdapDirectory, LdapSettings
from dask_platform.adapters.directory.names import is_sendable_name
from dask_platform.kernel.errors import (
    BadCredentials,
    ConfigurationError,
    DirectoryUnavailable,
)
from tests.adapters.conftest import MakeDirectory
from tests.services.base import free_port
from tests.services.client import Services
from tests.services.slapd import (
    SERVICE_DN,
    SIZE_LIMIT,
    SUFFIX,
    Slapd,
    SlapdServer,
    Tree,
    make_certificate,
)

PASSWORD = "riktig hest batteri stift"
TEACHER = ("teacher", "ringerike")


@pytest.fixture
def directory(tree: Tree, make_directory: MakeDirectory) -> LdapDirectory:
    """With one teacher, kari."""
    group = tree.group("teachers", [tree.person("kari", PASSWORD)])
    return make_directory({group: [TEACHER]})


# --- the wire -------------------------------------------------------------------------------


@pytest.mark.parametrize("starttls", [False, True], ids=["ldaps", "StartTLS"])
def test_a_certificate_for_another_host_is_refused(
    services: Services, make_directory: MakeDirectory, starttls: bool
) -> None:
    with services.private(Slapd, name="dc1.fylke.example") as facts:
        server = SlapdServer(**facts)
        directory = make_directory(
            {f"cn=g,{SUFFIX}": [TEACHER]},
            servers=(server.url if starttls else server.tls_url,),
            starttls=starttls,
            ca_file=Path(server.ca_file),
            bind_password=server.password,
        )
        assert "IP address mismatch" in why_unavailable(directory)


@pytest.mark.parametrize("starttls", [False, True], ids=["ldaps", "StartTLS"])
def test_a_certificate_by_an_unknown_authority_is_refused(
    tree: Tree, make_directory: MakeDirectory, tmp_path: Path, starttls: bool
) -> None:
    make_certificate(tmp_path, "127.0.0.1")
    directory = make_directory(
        {f"cn=g,{SUFFIX}": [TEACHER]},
        servers=(tree.server.url if starttls else tree.server.tls_url,),
        starttls=starttls,
        ca_file=tmp_path / "ca.pem",
    )
    assert "CERTIFICATE_VERIFY_FAILED" in why_unavailable(directory)


def test_without_an_authority_file_the_systems_own_are_asked(
    make_directory: MakeDirectory,
) -> None:
    directory = make_directory({f"cn=g,{SUFFIX}": [TEACHER]}, ca_file=None)
    assert "CERTIFICATE_VERIFY_FAILED" in why_unavailable(directory)


def test_a_server_that_declines_starttls_hears_no_password(make_directory: MakeDirectory) -> None:
    heard = bytearray()
    # An extended response with "protocolError": what a server without StartTLS says.
    refusal = bytes.fromhex("78070a010204000400")

    def decline(connection: socket.socket) -> None:
        request = connection.recv(4096)
        heard.extend(request)
        number = request[2 : 4 + request[3]]  # the answer carries the number of the request
        answer = number + refusal
        connection.sendall(b"\x30" + bytes([len(answer)]) + answer)
        heard.extend(connection.recv(4096))

    with fake_server(decline) as port:
        directory = make_directory(
            {f"cn=g,{SUFFIX}": [TEACHER]}, servers=(f"ldap://127.0.0.1:{port}",), starttls=True
        )
        assert "startTLS failed - protocolError" in why_unavailable(directory)
    assert b"1.3.6.1.4.1.1466.20037" in heard
    assert SERVICE_DN.encode() not in heard


def test_a_server_that_is_silent_is_given_up(make_directory: MakeDirectory) -> None:
    with fake_server(lambda connection: time.sleep(3)) as port:
        directory = make_directory(
            {f"cn=g,{SUFFIX}": [TEACHER]},
            servers=(f"ldap://127.0.0.1:{port}",),
            allow_plain=True,
            receive_timeout=1,
        )
        began = time.monotonic()
        assert why_unavailable(directory)
        assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x80\x00\x00",
        b"",
    ],
)
def test_a_server_that_talks_nonsense_is_given_up(
    make_directory: MakeDirectory, nonsense: bytes
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(nonsense)

    with fake_server(talk) as port:
        directory = make_directory(
            {f"cn=g,{SUFFIX}": [TEACHER]},
            servers=(f"ldap://127.0.0.1:{port}",),
            allow_plain=True,
            receive_timeout=1,
        )
        assert why_unavailable(directory)


def test_a_wrong_service_password_is_an_outage_and_is_not_logged(
    make_directory: MakeDirectory, tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.person("kari", PASSWORD)
    directory = make_directory(
        {f"cn=g,{SUFFIX}": [TEACHER]}, bind_password="not the service's secret"
    )
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(DirectoryUnavailable) as outage,
    ):
        directory.authenticate("kari", PASSWORD)
    assert "service account" in caplog.text
    for secret in ("not the service's secret", PASSWORD, "kari"):
        assert secret not in caplog.text + str(outage.value) + repr(outage.value.__cause__)


def test_a_base_that_is_not_there_is_an_outage_and_no_wrong_password(
    make_directory: MakeDirectory,
) -> None:
    directory = make_directory({f"cn=g,{SUFFIX}": [TEACHER]}, base_dn=f"ou=nowhere,{SUFFIX}")
    with pytest.raises(DirectoryUnavailable):
        directory.authenticate("kari", PASSWORD)


def test_no_referral_is_followed(
    tree: Tree, directory: LdapDirectory, make_directory: MakeDirectory
) -> None:
    called = threading.Event()
    with fake_server(lambda connection: called.set()) as port:
        tree.add(
            f"cn=elsewhere,{tree.base_dn}",
            ["referral", "extensibleObject"],
            {"cn": "elsewhere", "ref": f"ldap://127.0.0.1:{port}/{SUFFIX}"},
        )
        assert directory.authenticate("kari", PASSWORD).username == "kari"
        assert [person.username for person in directory.people()] == ["kari"]
        with pytest.raises(BadCredentials):
            directory.authenticate("elsewhere", PASSWORD)
        assert not called.is_set()


# --- passwords that are none ----------------------------------------------------------------


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


# --- names ----------------------------------------------------------------------------------


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
def test_no_typed_name_is_taken_for_anothers(directory: LdapDirectory, name: str) -> None:
    """Somebody's right password under a hostile name: refused, and never an error."""
    if name.strip().lower() == "kari":
        return
    with pytest.raises(BadCredentials):
        directory.authenticate(name, PASSWORD)


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
        assert (person.username, person.grants) == (name, {TEACHER})
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


# --- refusals take the same time ------------------------------------------------------------


def test_an_unknown_name_costs_the_server_a_bind_too(
    tree: Tree, make_directory: MakeDirectory
) -> None:
    tree.person("kari", PASSWORD)
    waits: list[float] = []
    directory = make_directory(
        {f"cn=g,{SUFFIX}": [TEACHER]},
        servers=(tree.server.url,),
        allow_plain=True,
        refusal_seconds=7.0,
        monotonic=lambda: 100.0,
        sleep=waits.append,
    )
    counts = []
    for name in ("kari", "nobody"):
        before = operations(tree.server)
        with pytest.raises(BadCredentials):
            directory.authenticate(name, "galt")
        counts.append(operations(tree.server) - before)
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


# --- lists ----------------------------------------------------------------------------------


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
    """A page above the server's limit is refused by it; half a list is never given."""
    members = [tree.person(f"person{number}", PASSWORD) for number in range(SIZE_LIMIT + 3)]
    directory = make_directory({tree.group("all", members): [TEACHER]}, page_size=1000)
    try:
        people = list(directory.people())
    except DirectoryUnavailable:
        return
    assert len(people) == len(members)


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


# --- settings -------------------------------------------------------------------------------


def test_every_problem_of_the_settings_is_named_at_once(tmp_path: Path) -> None:
    wrong = LdapSettings(
        servers=("ldap://dc1.fylke.example", "https://dc2", "ldaps://u:p@dc3", "ldaps://h:x"),
        base_dn="fylke",
        bind_dn=" ",
        bind_password="",
        mapping_file=tmp_path / "nowhere.yaml",
        ca_file=tmp_path / "nowhere.pem",
        user_filter="(uid=*)",
        group_filter="(a=b))",
        membership="search",
        nested="ad",
        page_size=0,
    )
    with pytest.raises(ConfigurationError) as refused:
        LdapDirectory(wrong)
    said = "\n".join(refused.value.problems)
    for words in (
        "ldap://dc1.fylke.example would send passwords in the clear",
        "https://dc2 is not a server address",
        "The address of dc3 holds more",
        "ldaps://h:x is not a server address",
        "base DN 'fylke'",
        "No service account",
        "no password",
        "nowhere.pem cannot be read",
        "user filter needs",
        "group filter '(a=b))'",
        "'ad' goes with membership 'memberof'",
        "must be at least 1",
        "nowhere.yaml cannot be read",
    ):
        assert words in said
    assert "u:p" not in said


def test_no_server_at_all_is_a_problem(make_directory: MakeDirectory) -> None:
    with pytest.raises(ConfigurationError, match="No directory server"):
        make_directory({f"cn=g,{SUFFIX}": [TEACHER]}, servers=())


def test_the_password_is_not_in_the_settings_text(tmp_path: Path) -> None:
    made = LdapSettings(
        servers=("ldaps://x",),
        base_dn=SUFFIX,
        bind_dn=SERVICE_DN,
        bind_password="hemmelig",
        mapping_file=tmp_path,
    )
    assert "hemmelig" not in repr(made)


# --- helpers --------------------------------------------------------------------------------


def why_unavailable(directory: LdapDirectory) -> str:
    """The reason given to the operator; the person's message must not hold it."""
    with pytest.raises(DirectoryUnavailable) as outage:
        directory.check()
    reason = str(outage.value.__cause__)
    assert reason not in str(outage.value)
    return reason


@contextmanager
def fake_server(talk: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port where ``talk(connection)`` answers whoever connects."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0.1)
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                try:
                    connection, _address = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    try:
                        talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            ending.set()
            thread.join()


def operations(server: SlapdServer) -> int:
    """How many operations slapd has begun, by its own count."""
    connection = ldap3.Connection(ldap3.Server(server.url, get_info=ldap3.NONE), check_names=False)
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
