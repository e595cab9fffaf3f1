"""Receiving files: constant memory, limits that keep the form, nothing left behind."""

from __future__ import annotations

import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, request
from pydantic import SecretStr
from sqlalchemy import text
from werkzeug.datastructures import FileStorage

from dask_platform.kernel.settings import MIB, Settings
from dask_platform.web import uploads
from dask_platform.web.uploads import UploadRequest, UploadStream, incoming
from tests.services.base import free_port
from tests.world import World

LARGE = 200 * MIB
BOUNDARY = "grense"


@pytest.fixture
def receiver(tmp_path: Path) -> Flask:
    """A bare application that tells what arrived. Its limit is one MiB a file."""
    app = Flask("receiver")
    app.request_class = UploadRequest
    settings = Settings(home=tmp_path, secret_key=SecretStr("x"), upload_max_bytes=MIB)
    app.extensions["dask"] = SimpleNamespace(settings=settings)

    @app.post("/")
    def receive() -> dict[str, Any]:
        files = incoming(request.files.getlist("file"))
        return {
            "text": request.form.get("text"),
            "files": [
                [one.name, one.size, one.sha256, one.too_large, len(one.stream.read())]
                for one in files
            ],
        }

    return app


def form(*parts: tuple[str, str | None, bytes], end: bool = True) -> bytes:
    """A multipart body, made by hand: (field, file name or None, bytes)."""
    made = b""
    for field, name, data in parts:
        file = f'; filename="{name}"' if name is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'
        made += head.encode() + data + b"\r\n"
    return made + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def post(app: Flask, body: bytes) -> Any:
    return app.test_client().post(
        "/", input_stream=io.BytesIO(body), content_length=len(body),
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
    )  # fmt: skip


def test_bytes_size_and_hash_are_those_that_were_sent(receiver: Flask) -> None:
    for size in (1, uploads.MEMORY_MOST, uploads.MEMORY_MOST + 1, MIB):
        data = os.urandom(size)
        got = post(receiver, form(("text", None, b"hei"), ("file", "a.bin", data))).json
        digest = hashlib.sha256(data).hexdigest()
        assert got == {"text": "hei", "files": [["a.bin", size, digest, False, size]]}


def test_past_the_limit_the_text_before_and_after_survives(receiver: Flask) -> None:
    big = bytes(MIB + 1)
    got = post(receiver, form(("file", "stor.bin", big), ("text", None, b"etter"))).json
    assert got["text"] == "etter"
    ((name, _size, _sha, too_large, kept),) = got["files"]
    assert (name, too_large, kept) == ("stor.bin", True, 0)


def test_one_file_too_large_does_not_harm_its_neighbour(receiver: Flask) -> None:
    got = post(receiver, form(("file", "a", bytes(2 * MIB)), ("file", "b", b"liten"))).json
    assert [file[3] for file in got["files"]] == [True, False]
    assert got["files"][1][4] == 5


def test_the_empty_field_of_a_browser_is_no_file(receiver: Flask) -> None:
    assert post(receiver, form(("file", "", b""))).json["files"] == []


def test_an_empty_file_with_a_name_is_a_file(receiver: Flask) -> None:
    assert post(receiver, form(("file", "tom.pdf", b""))).json["files"][0][1] == 0


def test_nothing_is_left_on_the_disk(receiver: Flask, tmp_path: Path) -> None:
    post(receiver, form(("file", "a", bytes(MIB))))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_folder_is_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir(mode=0o755)
    assert uploads.temporary_folder(tmp_path).stat().st_mode & 0o777 == 0o700


def test_an_upload_cut_off_in_the_middle_is_a_bad_request(receiver: Flask, tmp_path: Path) -> None:
    body = form(("text", None, b"hei"), ("file", "a", bytes(MIB)))
    answer = receiver.test_client().post(
        "/", input_stream=io.BytesIO(body[: len(body) // 2]), content_length=len(body),
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
    )  # fmt: skip
    assert answer.status_code == 400
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_came_another_way_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="request_class"):
        incoming([FileStorage(io.BytesIO(b"x"), "x")])


def test_a_stream_counts_and_drops(tmp_path: Path) -> None:
    stream = UploadStream(tmp_path, limit=5)
    try:
        assert stream.write(b"abc") == 3
        assert (stream.size, stream.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
        stream.seek(0)
        assert (stream.read(2), stream.tell()) == (b"ab", 2)
        assert stream.write(b"defghi") == 6
        assert stream.too_large
        stream.seek(0)
        assert stream.read() == b""
    finally:
        stream.close()


def test_the_sweep_takes_old_files_alone(tmp_path: Path) -> None:
    folder = uploads.temporary_folder(tmp_path)
    for name, age in (("gammel", 90_000), ("ny", 10)):
        path = folder / name
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age, time.time() - age))
    assert uploads.sweep(tmp_path, timedelta(hours=24)) == 1
    assert [path.name for path in folder.iterdir()] == ["ny"]


# --- a whole server -----------------------------------------------------------------------


class Server:
    def __init__(self, world: World, port: int, process: subprocess.Popen[bytes]) -> None:
        self.world = world
        self.port = port
        self.process = process
        self.cookie = f"dask={world.session('anna')}"
        self.path = f"/classes/{world.id('class nord')}/assignments/{world.id('brev')}"
        page = self.get(self.path)
        assert page is not None
        body, headers = page
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', body)
        assert found is not None
        self.token = found.group(1)
        for name, value in headers:
            if name.lower() == "set-cookie":
                self.cookie += "; " + value.split(";")[0]

    def get(self, path: str) -> tuple[str, list[tuple[str, str]]] | None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie, "Host": "localhost"})
            answer = connection.getresponse()
            body = answer.read().decode()
            return (body, answer.getheaders()) if answer.status == 200 else None
        finally:
            connection.close()

    def parts(self, size: int) -> tuple[bytes, Iterator[bytes], bytes]:
        """The head, the PDF of ``size`` bytes in portions, the tail of an upload form."""
        head = form(
            ("csrf_token", None, self.token.encode()), ("version", None, b"0"),
            ("text", None, "teksten på tross".encode()), end=False,
        )  # fmt: skip
        head += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
            "Content-Type: application/pdf\r\n\r\n"
        ).encode()
        start, finish = b"%PDF-1.7\n", b"\nstartxref\n9\n%%EOF\n"

        def file() -> Iterator[bytes]:
            yield start
            left = size - len(start) - len(finish)
            block = b"% fyll\n" * 16384
            while left:
                yield block[:left]
                left -= min(left, len(block))
            yield finish

        return head, file(), f"\r\n--{BOUNDARY}--\r\n".encode()

    def headers(self, length: int) -> dict[str, str]:
        return {
            "Host": "localhost",
            "Cookie": self.cookie,
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(length),
        }

    def upload(self, size: int) -> int:
        head, file, tail = self.parts(size)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(
                "POST", f"{self.path}/files", body=(p for q in ((head,), file, (tail,)) for p in q),
                headers=self.headers(len(head) + size + len(tail)),
            )  # fmt: skip
            return connection.getresponse().status
        finally:
            connection.close()

    def cut_off(self, size: int) -> int:
        """Send half of an upload, then nothing more; the status of the answer."""
        head, file, tail = self.parts(size)
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as wire:
            fields = self.headers(len(head) + size + len(tail))
            lines = [f"POST {self.path}/files HTTP/1.1"] + [f"{k}: {v}" for k, v in fields.items()]
            wire.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + head)
            sent = 0
            for portion in file:
                wire.sendall(portion)
                sent += len(portion)
                if sent > size // 2:
                    break
            wire.shutdown(socket.SHUT_WR)
            return int(wire.makefile("rb").readline().split()[1])

    def peak_memory(self) -> int:
        """The most memory the serving process has ever had, in bytes."""
        main = self.process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        status = Path(f"/proc/{children[0]}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found.group(1)) * 1024


@contextmanager
def serving(world: World) -> Iterator[Server]:
    world.platform.files.ensure_folder()  # type: ignore[attr-defined]
    with world.owner() as uow:
        uow.execute(
            text("UPDATE course_item SET file_bytes_most = :most WHERE slug = 'brev'"),
            {"most": LARGE + MIB},
        )
    port = free_port()
    log = world.settings.home / "gunicorn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1",
                "--threads", "4", "--worker-class", "gthread", "--timeout", "120",
                "--no-control-socket", "tests.web.upload_server:make()",
            ],
            cwd=Path(__file__).parents[2],
            env={
                **os.environ,
                "TEST_UPLOAD_HOME": str(world.settings.home),
                "TEST_UPLOAD_DATABASE": world.url(),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield Server(world, port, process)
    finally:
        process.terminate()
        process.wait(30)


def test_two_hundred_megabytes_in_constant_memory(world: World) -> None:
    with serving(world) as server:
        assert server.upload(MIB) == 303
        before = server.peak_memory()
        assert server.upload(LARGE) == 303
        after = server.peak_memory()
    store = world.platform.files
    listed = store.keys()
    sizes = [store.stat(key).size for key, _at in listed]
    assert sorted(sizes) == [MIB, LARGE]
    grown = (after - before) / MIB
    assert grown < 16, f"a file of 200 MiB took {grown:.0f} MiB of memory more than one of 1 MiB"
    assert after < 250 * MIB


def test_a_real_upload_cut_off_in_the_middle_leaves_nothing(world: World) -> None:
    with serving(world) as server:
        assert server.cut_off(20 * MIB) == 400
        assert server.get(server.path) is not None, "the server no longer answers"
        assert list(world.platform.files.keys()) == []
        assert list(uploads.temporary_folder(world.settings.home).iterdir()) == []
    with world.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM handin_file")) == 0
        assert uow.scalar(text("SELECT count(*) FROM attempt")) == 0
