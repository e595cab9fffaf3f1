"""Sending a file: an attachment, with a type and a name of ours, that no browser will run."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from dask_platform.adapters.storage import FilesystemStore
from dask_platform.kernel.errors import FileCorrupt, FileMissing
from dask_platform.kernel.settings import MIB
from dask_platform.security import filetypes
from dask_platform.web import downloads
from dask_platform.web.downloads import attachment

KEY = "handins/en"
DATA = bytes(range(256)) * 9000  # more than two chunks


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    made = FilesystemStore(tmp_path / "files")
    made.ensure_folder()
    digest = hashlib.sha256(DATA).hexdigest()
    made.put(KEY, io.BytesIO(DATA), size=len(DATA), sha256=digest)
    return made


def send(store: FilesystemStore, *, method: str = "GET", key: str = KEY, extension: str = "pdf"):  # type: ignore[no-untyped-def]
    app = Flask("sender")
    with app.test_request_context(method=method):
        return attachment(
            store, key, size=len(DATA), name="innlevering-K7QF-1.pdf", extension=extension
        )


def test_the_bytes_leave_in_chunks_as_an_attachment(store: FilesystemStore) -> None:
    answer = send(store)
    chunks = list(answer.response)
    assert b"".join(chunks) == DATA
    assert max(map(len, chunks)) <= MIB
    headers = answer.headers
    assert headers["Content-Disposition"] == 'attachment; filename="innlevering-K7QF-1.pdf"'
    assert headers["Content-Type"] == "application/pdf"
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "no-store" in headers["Cache-Control"]


def test_nginx_is_told_where_and_python_sends_nothing(
    store: FilesystemStore, tmp_path: Path
) -> None:
    behind = FilesystemStore(tmp_path / "files", accel_prefix="/_files/")
    answer = send(behind)
    path = answer.headers["X-Accel-Redirect"]
    assert path.startswith("/_files/handins/en")
    assert (tmp_path / "files" / "files" / path.removeprefix("/_files/")).read_bytes() == DATA
    assert answer.get_data() == b""
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "extension", ["svg", "html", "htm", "xhtml", "xml", "js", "bin", "", "ggb"]
)
def test_what_a_browser_would_run_has_no_type_of_its_own(extension: str) -> None:
    assert downloads.content_type(extension) == "application/octet-stream"


def test_no_type_in_the_table_is_active() -> None:
    for mime in downloads.TYPES.values():
        assert not any(word in mime for word in ("html", "svg", "script", "xhtml"))
    assert filetypes.UNKNOWN.extension not in downloads.TYPES


def test_head_tells_the_size_alone(store: FilesystemStore) -> None:
    answer = send(store, method="HEAD")
    asked = EnvironBuilder(method="HEAD").get_environ()
    body, _status, headers = answer.get_wsgi_response(asked)
    assert list(body) == []
    assert dict(headers)["Content-Length"] == str(len(DATA))


def test_a_missing_file_is_known_before_anything_is_sent(store: FilesystemStore) -> None:
    with pytest.raises(FileMissing):
        send(store, key="handins/ingen")


def test_a_damaged_file_never_ends_well(store: FilesystemStore, tmp_path: Path) -> None:
    (path,) = (tmp_path / "files" / "files" / "handins" / "en.file").iterdir()
    path.chmod(0o600)
    path.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(FileCorrupt):
        b"".join(send(store).response)
