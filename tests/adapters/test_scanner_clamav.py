"""The scanner against a real clamd: the contract, archives, and a clamd that is ill."""

from __future__ import annotations

import io
import os
import signal
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dask_platform.adapters.scanner import ClamdScanner
from dask_platform.kernel.errors import ScannerUnavailable, ScanRefused
from tests.contracts.scanner_contract import MIB, ScannerContract, scan_bytes
from tests.services.base import free_port
from tests.services.clamav import EICAR, STREAM_LIMIT, Clamd, ClamdServer
from tests.services.client import Services


@pytest.fixture
def scanner(clamd_server: ClamdServer) -> ClamdScanner:
    return ClamdScanner(f"{clamd_server.host}:{clamd_server.port}")


class TestOverTcp(ScannerContract):
    @pytest.fixture
    def scanner(self, scanner: ClamdScanner) -> ClamdScanner:
        return scanner


class TestOverUnixSocket(ScannerContract):
    @pytest.fixture
    def scanner(self, clamd_server: ClamdServer) -> ClamdScanner:
        return ClamdScanner(clamd_server.socket)


def zipped(data: bytes, name: str = "file.txt") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def nested(data: bytes, depth: int) -> bytes:
    for _ in range(depth):
        data = zipped(data, "inner.zip")
    return data


def bomb(size: int) -> bytes:
    """A small archive that unpacks to ``size`` bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(size // MIB):
            member.write(bytes(MIB))
    return out.getvalue()


def locked(data: bytes) -> bytes:
    """An archive whose member says that it is encrypted, as a password-protected one does."""
    archive = bytearray(zipped(data))
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_found_in_nested_archives(scanner: ClamdScanner, depth: int) -> None:
    assert "Eicar" in (scan_bytes(scanner, nested(EICAR, depth)) or "")


def test_a_clean_archive_is_clean(scanner: ClamdScanner) -> None:
    assert scan_bytes(scanner, nested(b"plain words", 3)) is None


def test_nested_too_deep_is_refused(scanner: ClamdScanner) -> None:
    with pytest.raises(ScanRefused):
        scan_bytes(scanner, nested(EICAR, 20))


def test_a_zip_bomb_is_refused(scanner: ClamdScanner) -> None:
    packed = bomb(300 * MIB)
    assert len(packed) < MIB
    started = time.monotonic()
    with pytest.raises(ScanRefused):
        scan_bytes(scanner, packed)
    assert time.monotonic() - started < 20


def test_too_many_files_are_refused(scanner: ClamdScanner) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(300):
            archive.writestr(f"{number}.txt", f"{number}")
    with pytest.raises(ScanRefused):
        scan_bytes(scanner, out.getvalue())


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("zip64", [False, True])
def test_no_way_of_packing_hides_a_virus(scanner: ClamdScanner, method: int, zip64: bool) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", method) as archive,
        archive.open("file", "w", force_zip64=zip64) as member,
    ):
        member.write(EICAR)
    if zip64 or method == zipfile.ZIP_LZMA:
        with pytest.raises(ScanRefused):
            scan_bytes(scanner, out.getvalue())
    else:
        assert scan_bytes(scanner, out.getvalue()) is not None


def test_a_locked_archive_is_refused(scanner: ClamdScanner) -> None:
    with pytest.raises(ScanRefused, match="password"):
        scan_bytes(scanner, locked(b"plain words"))


@pytest.mark.parametrize("times", range(5))
def test_far_over_the_limit_is_refused_whenever_clamd_hangs_up(
    scanner: ClamdScanner, times: int
) -> None:
    with pytest.raises(ScanRefused):
        scanner.scan(bytes(MIB // 4) for _ in range(8 * STREAM_LIMIT // MIB))


def test_over_our_own_limit_nothing_more_is_read(clamd_server: ClamdServer) -> None:
    scanner = ClamdScanner(clamd_server.socket, largest=3 * MIB)
    read = 0

    def source() -> Iterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += MIB
            yield bytes(MIB)

    with pytest.raises(ScanRefused):
        scanner.scan(source())
    assert read == 4 * MIB


def test_version_names_the_engine(scanner: ClamdScanner) -> None:
    assert scanner.version().startswith("ClamAV 1.")


@pytest.mark.parametrize("address", ["", "host", "host:", ":3310", "host:x", "host:0", "h:70000"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        ClamdScanner(address)


# --- a clamd that is ill ----------------------------------------------------------------------


def both_refuse(scanner: ClamdScanner) -> None:
    with pytest.raises(ScannerUnavailable):
        scanner.scan(iter([b"x"]))
    with pytest.raises(ScannerUnavailable):
        scanner.version()


def test_not_running() -> None:
    both_refuse(ClamdScanner(f"127.0.0.1:{free_port()}"))
    both_refuse(ClamdScanner("/nonexistent/clamd.sock"))


@contextmanager
def pretending(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A clamd of one's own: ``talk`` is called with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                with line:
                    talk(line)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_one_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        both_refuse(ClamdScanner(address, timeout=0.3, patience=0.3))
        assert time.monotonic() - started < 3


def test_one_that_stops_reading_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        scanner = ClamdScanner(address, timeout=0.3, patience=0.3)
        with pytest.raises(ScannerUnavailable):
            scanner.scan(bytes(MIB) for _ in range(64))


def drain(line: socket.socket) -> None:
    """Read what the client sends until its last, empty piece."""
    while not line.recv(65536).endswith(b"\0\0\0\0"):
        pass


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"stream: OK",
        b"stream: Can't allocate memory ERROR\0",
        b"COMMAND READ TIMED OUT\0",
        b"UNKNOWN COMMAND\0",
        b"stream: OK FOUND ERROR\0",
        b"OK\0",
        b"\xff\xfe\0",
        b"x" * 100_000,
    ],
)
def test_no_answer_but_ok_means_clean(answer: bytes) -> None:
    def talk(line: socket.socket) -> None:
        drain(line)
        line.sendall(answer)

    with pretending(talk) as address, pytest.raises(ScannerUnavailable):
        ClamdScanner(address, timeout=2, patience=2).scan(iter([b"some data"]))


def test_one_that_answers_in_drops_is_given_up() -> None:
    def talk(line: socket.socket) -> None:
        drain(line)
        try:
            for _ in range(100):
                line.sendall(b"s")
                time.sleep(0.05)
        except OSError:
            return

    with pretending(talk) as address:
        started = time.monotonic()
        with pytest.raises(ScannerUnavailable):
            ClamdScanner(address, timeout=1, patience=0.5).scan(iter([b"some data"]))
        assert time.monotonic() - started < 3


def test_killed_in_the_middle(services: Services) -> None:
    with services.private(Clamd) as facts:
        server = ClamdServer(**facts)
        scanner = ClamdScanner(f"{server.host}:{server.port}", timeout=2, patience=2)
        assert scan_bytes(scanner, EICAR) is not None

        def source() -> Iterator[bytes]:
            yield bytes(MIB)
            os.kill(server.pid, signal.SIGKILL)
            time.sleep(0.2)
            for _ in range(5):
                yield bytes(MIB)

        with pytest.raises(ScannerUnavailable):
            scanner.scan(source())
        both_refuse(scanner)
