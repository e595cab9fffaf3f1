"""Large files leave through nginx, from both stores: the real nginx, the real stores, and the
platform's own answer in between."""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from dask_platform.adapters.storage import FilesystemStore, S3Address, S3Store
from dask_platform.entry.wiring import ACCEL_FILES, ACCEL_S3
from dask_platform.kernel.ports import FileStore
from dask_platform.web.downloads import attachment
from tests.services.browser import Browser
from tests.services.client import Services
from tests.services.nginx import NAME, Nginx, NginxServer
from tests.services.seaweedfs import SeaweedServer

BIG = secrets.token_bytes(3 * 1024 * 1024 + 17)
KEY = "handins/0f3a"


@contextmanager
def school_with(sock: Path, answer: Callable[[], Response]) -> Iterator[None]:
    """A page of one kind, ``/file``, on the socket where nginx looks for the platform."""
    app = Flask(__name__)
    app.add_url_rule("/file", "file", answer)
    server = make_server(f"unix://{sock}", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fill(store: FileStore) -> None:
    digest = hashlib.sha256(BIG).hexdigest()
    store.put(KEY, io.BytesIO(BIG), size=len(BIG), sha256=digest)


@pytest.fixture
def folder_store(tmp_path: Path) -> FilesystemStore:
    made = FilesystemStore(tmp_path / "files", accel_prefix=ACCEL_FILES)
    made.ensure_folder()
    return made


@pytest.fixture
def s3_store(seaweed: SeaweedServer) -> S3Store:
    bucket = f"accel-{secrets.token_hex(6)}"
    address = S3Address(seaweed.endpoint, bucket, seaweed.access_key, seaweed.secret_key, False)
    made = S3Store(address, accel_prefix=ACCEL_S3)
    made.ensure_bucket()
    return made


@pytest.mark.parametrize("kind", ["folder_store", "s3_store"])
def test_a_file_leaves_through_nginx_as_the_platform_says(
    kind: str,
    request: pytest.FixtureRequest,
    services: Services,
    seaweed: SeaweedServer,
    tmp_path: Path,
) -> None:
    store: FileStore = request.getfixturevalue(kind)
    fill(store)

    def answer() -> Response:
        made = attachment(store, KEY, size=len(BIG), name="innlevering-1.pdf", extension="pdf")
        made.headers["X-Request-Id"] = "the-request"
        return made

    sock = tmp_path / "web.sock"
    with (
        services.private(
            Nginx, upstream=str(sock), files=str(tmp_path / "files"), s3=seaweed.endpoint
        ) as facts,
        school_with(sock, answer),
    ):
        nginx = NginxServer(**facts)
        browser = Browser((nginx.host, nginx.https), NAME, ca_file=nginx.ca_file)
        browser.cookies["__Host-dask"] = "not for the store"
        got = browser.get("/file")
        assert (got.status, len(got.body)) == (200, len(BIG))
        assert got.body == BIG
        expected = {
            "Content-Type": ["application/pdf"],
            "Content-Disposition": ['attachment; filename="innlevering-1.pdf"'],
            "Content-Security-Policy": ["sandbox; default-src 'none'"],
            "Cache-Control": ["private, no-store"],
            "X-Content-Type-Options": ["nosniff"],
            "X-Request-Id": ["the-request"],
            "X-Accel-Redirect": None,
            "ETag": None,
            "Server": ["nginx"],
        }
        assert {name: got.headers.get_all(name) for name in expected} == expected
        assert not [name for name in got.headers if name.lower().startswith("x-amz")]
        assert got.headers["Content-Length"] == str(len(BIG))

        part = browser.get("/file", {"Range": "bytes=0-9"})
        assert (part.status, len(part.body)) == (200, len(BIG)), "whole or not at all"

        store.delete(KEY)
        browser.close()
        if kind == "s3_store":
            gone = browser.get("/file")
            assert gone.status in (404, 502)
            assert b"NoSuchKey" not in gone.body
            assert b"amz" not in gone.body.lower()
