"""What goes over the wire, and what is made of servers that are wrong, silent or hostile."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dask_platform.adapters.directory import LdapDirectory
from dask_platform.kernel.errors import (
    BadCredentials,
    DirectoryUnavailable,
)
from tests.adapters.conftest import MakeDirectory
from tests.services.base import free_port
from tests.services.client import Services
from tests.services.slapd import (
    SERVICE_DN,
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
        # The base itself lies elsewhere: now the server answers with nothing but the address.
        pointed = make_directory(
            {f"cn=g,{SUFFIX}": [TEACHER]}, base_dn=f"cn=elsewhere,{tree.base_dn}"
        )
        with pytest.raises(DirectoryUnavailable) as outage:
            pointed.authenticate("kari", PASSWORD)
        assert "referral" in str(outage.value.__cause__)
        assert not called.is_set()


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
