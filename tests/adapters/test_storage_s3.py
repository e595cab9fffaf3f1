"""The S3 store against a real SeaweedFS: the contract, and a network that fails."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import urllib3
from minio import Minio

from dask_platform.adapters.storage import S3Address, S3Store
from dask_platform.kernel.errors import FileCorrupt, FileMissing, StorageUnavailable
from tests.contracts.store_contract import MIB, StoreContract, listed, put, read, sha256
from tests.services.base import free_port
from tests.services.client import Services
from tests.services.seaweedfs import SeaweedFS, SeaweedServer


def address_of(server: SeaweedServer, bucket: str) -> S3Address:
    return S3Address(
        endpoint=server.endpoint,
        bucket=bucket,
        access_key=server.access_key,
        secret_key=server.secret_key,
        secure=False,
    )


@pytest.fixture(scope="module")
def address(seaweed: SeaweedServer) -> S3Address:
    """A bucket of this module's own; tests keep to keys of their own in it."""
    address = address_of(seaweed, f"files-{secrets.token_hex(6)}")
    S3Store(address).ensure_bucket()
    return address


@pytest.fixture(scope="module")
def client(seaweed: SeaweedServer) -> Minio:
    return Minio(
        endpoint=seaweed.endpoint,
        access_key=seaweed.access_key,
        secret_key=seaweed.secret_key,
        secure=False,
        region="us-east-1",
    )


@pytest.fixture
def store(address: S3Address) -> S3Store:
    return S3Store(address)


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, address: S3Address) -> S3Store:
        return S3Store(address)


class Proxy:
    """Carries TCP to ``port`` and cuts the line after ``limit`` bytes in one direction.

    ``upward`` counts what the client sends, else what the server answers. With ``limit`` None
    nothing is cut. Subclasses may decide otherwise in :meth:`hangs_up`.
    """

    def __init__(self, port: int, limit: int | None, *, upward: bool = True) -> None:
        self._target = port
        self._limit = limit
        self._upward = upward
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._start(self._accept)

    def hangs_up(self, data: bytes, carried: int, *, upward: bool) -> bool:
        """Whether to cut the line instead of passing ``data`` on."""
        return upward is self._upward and self._limit is not None and carried > self._limit

    def close(self) -> None:
        # A shutdown wakes the threads that wait on a socket; a close alone would not.
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._ends):
            end.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._ends += [client, server]
            self._start(self._carry, client, server, True)
            self._start(self._carry, server, client, False)

    def _carry(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                carried += len(data)
                if self.hangs_up(data, carried, upward=upward):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class LosesPutAnswers(Proxy):
    """Hangs up instead of passing on the good answer to a PUT."""

    def __init__(self, port: int) -> None:
        self.swallowed = 0
        self._putting = False
        super().__init__(port, None)

    def hangs_up(self, data: bytes, carried: int, *, upward: bool) -> bool:
        if upward:
            self._putting = self._putting or data.startswith(b"PUT ")
        elif self._putting and data.startswith(b"HTTP/1.1 2"):
            self._putting = False
            self.swallowed += 1
            return True
        return False


@pytest.fixture
def proxies() -> Iterator[contextlib.ExitStack]:
    """Takes proxies, and closes them after the test."""
    with contextlib.ExitStack() as stack:
        yield stack


def reached_by(proxy: Proxy, address: S3Address, proxies: contextlib.ExitStack) -> S3Store:
    proxies.callback(proxy.close)
    return S3Store(replace(address, endpoint=proxy.endpoint))


@pytest.mark.parametrize("size", [200_000, 6 * MIB])
def test_a_line_cut_in_the_middle_of_an_upload_leaves_nothing(
    store: S3Store,
    address: S3Address,
    seaweed: SeaweedServer,
    proxies: contextlib.ExitStack,
    size: int,
) -> None:
    through = reached_by(Proxy(seaweed.port, size // 2), address, proxies)
    key = f"cut-{secrets.token_hex(6)}/file"
    with pytest.raises(StorageUnavailable):
        put(through, key, bytes(size))
    time.sleep(0.5)  # so that a server which keeps what it got would show it
    assert listed(store, key) == []
    with pytest.raises(FileMissing):
        store.stat(key)
    put(store, key, bytes(size))
    assert read(store, key) == bytes(size)


def test_a_lost_answer_to_an_upload_that_was_stored_is_found_out(
    store: S3Store, address: S3Address, seaweed: SeaweedServer, proxies: contextlib.ExitStack
) -> None:
    """The PUT arrives, its answer does not: the store looks, and finds its own file."""
    line = LosesPutAnswers(seaweed.port)
    through = reached_by(line, address, proxies)
    key = f"lost-{secrets.token_hex(6)}"
    data = secrets.token_bytes(3 * MIB)
    assert put(through, key, data).size == len(data)
    assert line.swallowed == 1
    assert read(store, key) == data


def test_a_line_cut_in_the_middle_of_a_download_is_not_a_short_file(
    store: S3Store, address: S3Address, seaweed: SeaweedServer, proxies: contextlib.ExitStack
) -> None:
    key = f"down-{secrets.token_hex(6)}"
    put(store, key, bytes(4 * MIB))
    through = reached_by(Proxy(seaweed.port, 2 * MIB, upward=False), address, proxies)
    came: list[bytes] = []
    with pytest.raises(StorageUnavailable):
        came.extend(through.open(key))
    assert sum(map(len, came)) < 4 * MIB


def every_use(store: S3Store) -> Iterator[None]:
    """Each step uses the store once and must raise ``StorageUnavailable``."""
    for use in (
        store.check,
        store.ensure_bucket,
        lambda: list(store.keys()),
        lambda: store.stat("a"),
        lambda: store.open("a"),
        lambda: store.delete("a"),
        lambda: put(store, "a", b"x"),
        lambda: put(store, "a", bytes(2 * MIB)),
    ):
        with pytest.raises(StorageUnavailable):
            use()
        yield


def test_nobody_listens(address: S3Address) -> None:
    nobody = S3Store(replace(address, endpoint=f"127.0.0.1:{free_port()}"))
    assert len(list(every_use(nobody))) == 8


def test_a_server_that_never_answers_is_given_up(address: S3Address) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        store = S3Store(replace(address, endpoint=endpoint), connect_timeout=0.2, read_timeout=0.2)
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            store.stat("a")
        assert time.monotonic() - started < 5


def test_a_wrong_secret_is_unavailable(address: S3Address) -> None:
    stranger = S3Store(replace(address, secret_key="not the secret"))
    assert len(list(every_use(stranger))) == 8


def test_a_missing_bucket_fails_the_check(address: S3Address) -> None:
    store = S3Store(replace(address, bucket="no-such-bucket"))
    with pytest.raises(StorageUnavailable):
        store.check()


def test_a_server_killed_in_the_middle_of_an_upload(services: Services) -> None:
    with services.private(SeaweedFS) as facts:
        server = SeaweedServer(**facts)
        store = S3Store(address_of(server, "files"), connect_timeout=1, read_timeout=5)
        store.ensure_bucket()
        stream = KillsTheServer(server.pid, after=3 * MIB)
        with pytest.raises(StorageUnavailable):
            store.put("a", stream, size=8 * MIB, sha256="0" * 64)
        assert len(list(every_use(store))) == 8


class KillsTheServer(io.BytesIO):
    """An upload of 8 MiB, in the middle of which the server's process is killed."""

    def __init__(self, pid: int, after: int) -> None:
        super().__init__(bytes(8 * MIB))
        self._pid = pid
        self._after = after

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self._after and self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._pid = 0
            time.sleep(0.2)
        return super().read(size)


def test_set_up_twice_changes_nothing(store: S3Store, address: S3Address, client: Minio) -> None:
    key = f"kept-{secrets.token_hex(6)}"
    put(store, key, b"x")
    store.ensure_bucket()
    assert read(store, key) == b"x"
    assert client.get_bucket_versioning(address.bucket).status == "Enabled"


def test_the_hash_is_kept_beside_the_object(
    store: S3Store, address: S3Address, client: Minio
) -> None:
    key = f"meta-{secrets.token_hex(6)}"
    put(store, key, b"x")
    found = client.stat_object(bucket_name=address.bucket, object_name=f"{key}.bin")
    assert found.metadata is not None
    assert found.metadata["x-amz-meta-sha256"] == sha256(b"x")


def test_an_object_changed_behind_our_back_is_corrupt(
    store: S3Store, address: S3Address, client: Minio
) -> None:
    key = f"changed-{secrets.token_hex(6)}"
    for stored, claimed in ((b"other", sha256(b"right")), (b"other", None)):
        client.put_object(
            bucket_name=address.bucket,
            object_name=f"{key}.bin",
            data=io.BytesIO(stored),
            length=len(stored),
            metadata={"sha256": claimed} if claimed else None,
        )
        with pytest.raises(FileCorrupt):
            read(store, key)


def test_a_deleted_file_can_be_brought_back_for_a_while(
    store: S3Store, address: S3Address, client: Minio
) -> None:
    key = f"back-{secrets.token_hex(6)}"
    put(store, key, b"x")
    store.delete(key)
    versions = list(
        client.list_objects(bucket_name=address.bucket, prefix=key, include_version=True)
    )
    assert sorted(version.is_delete_marker for version in versions) == [False, True]
    rules = client.get_bucket_lifecycle(address.bucket)
    assert rules is not None
    expiry = rules.rules[0].noncurrent_version_expiration
    assert expiry is not None
    assert expiry.noncurrent_days == 30


def test_the_check_leaves_no_version_behind(
    store: S3Store, address: S3Address, client: Minio
) -> None:
    store.check()
    left = client.list_objects(
        bucket_name=address.bucket, prefix=".check/", recursive=True, include_version=True
    )
    assert list(left) == []


def test_nginx_can_fetch_by_the_internal_path(address: S3Address) -> None:
    store = S3Store(address, accel_prefix="/_s3/")
    key = f"accel-{secrets.token_hex(6)}/file"
    put(store, key, b"carried by nginx")
    path = store.internal_path(key)
    assert path is not None
    with urllib3.PoolManager() as http:
        # What nginx does: take the prefix off and ask the endpoint, which signs its own name.
        answer = http.request("GET", f"http://{address.endpoint}/{path.removeprefix('/_s3/')}")
        assert answer.data == b"carried by nginx"
        unsigned = http.request("GET", f"http://{address.endpoint}/{address.bucket}/{key}.bin")
        assert unsigned.status == 403
    assert S3Store(address).internal_path(key) is None
