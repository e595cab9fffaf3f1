"""A hand-in whose files lie in S3: the real school, worker, nginx, clamd and SeaweedFS."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from dask_platform.adapters.scanner import ClamdScanner
from dask_platform.adapters.storage import S3Address, S3Store
from dask_platform.features.handins.reconcile import reconcile
from dask_platform.features.handins.scanning import quarantine_key
from dask_platform.kernel.errors import StorageUnavailable
from tests.adapters.test_storage_s3 import LosesPutAnswers, Proxy, address_of
from tests.db_fixtures import Template
from tests.features.handins.desk import PDF, Desk, seen
from tests.features.handins.test_reconcile import DAY
from tests.features.handins.test_scanning import run_jobs
from tests.services.browser import Browser
from tests.services.clamav import EICAR, ClamdServer
from tests.services.client import Services
from tests.services.nginx import NAME, Nginx, NginxServer
from tests.services.school import School, Worker
from tests.services.seaweedfs import SeaweedFS, SeaweedServer
from tests.world import PASSWORD, World

# Random bytes inside, so that one lost, doubled or moved would show.
BIG = PDF.replace(b"<<>>", b"<<>>\n%" + secrets.token_hex(200_000).encode())
INFECTED = PDF.replace(b"<<>>", b"<<>>\n" + EICAR)


@pytest.fixture(scope="module")
def seaweed(services: Services) -> Iterator[SeaweedServer]:
    """This module's own server: each bucket costs the run's a fifth of its volumes."""
    with services.private(SeaweedFS) as facts:
        yield SeaweedServer(**facts)


@pytest.fixture(scope="module")
def whole_bucket(seaweed: SeaweedServer) -> S3Address:
    address = address_of(seaweed, f"handins-{secrets.token_hex(6)}")
    S3Store(address).ensure_bucket()
    return address


@pytest.fixture
def bucket(whole_bucket: S3Address) -> Iterator[S3Address]:
    """The bucket, empty before and after."""
    yield whole_bucket
    store = S3Store(whole_bucket)
    for key in stored(store):
        store.delete(key)


def stored(store: S3Store) -> list[str]:
    listed = store.keys()
    return [key for key, _at in listed]


# -- the whole installation ---------------------------------------------------------------------


@dataclass
class Installation:
    """A school behind nginx, as ``infra/`` has it, and its bucket as the store sees it."""

    world: World
    nginx: NginxServer
    store: S3Store
    bucket: str

    def browser(self, name: str) -> Browser:
        nginx = self.nginx
        browser = Browser((nginx.host, nginx.https), NAME, ca_file=nginx.ca_file)
        answer = browser.log_in(name, PASSWORD)
        assert (answer.status, answer.location) == (303, "/"), answer.text
        return browser

    def hand_in(self, student: Browser, name: str, data: bytes) -> str:
        """From the assignment's page to the receipt; the attempt's id."""
        task = f"/classes/{self.world.id('class nord')}/assignments/{self.world.id('brev')}"
        assert student.get(task).status == 200
        typed = {"text": "Svaret mitt.", "next": "hand-in"}
        sent = student.submit(student.form("/save"), typed, {"file": (name, data)})
        assert sent.status == 303, sent.text
        assert student.get(sent.location).status == 200
        done = student.submit(student.form("/hand-in"))
        assert done.status == 303, done.text
        receipt = student.get(done.location)
        assert receipt.status == 200
        assert hashlib.sha256(data).hexdigest() in re.sub(r"\s", "", receipt.text)
        return done.location.split("/")[2]

    def scanned(self, attempt: str) -> tuple[UUID, str, str]:
        """Wait for the worker: the file's id, its key, and what it was found to be."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with self.world.connect("dask_owner") as connection:
                row: tuple[UUID, str, str] = connection.execute(
                    "SELECT id, storage_key, scan_state FROM handin_file WHERE attempt_id = %s",
                    [attempt],
                ).fetchone()
            if row[2] != "pending":
                return row
            time.sleep(0.1)
        raise AssertionError("the worker did not scan the file within a minute")


@pytest.fixture
def installation(
    services: Services,
    school_template: Template,
    clamd_server: ClamdServer,
    seaweed: SeaweedServer,
    bucket: S3Address,
    tmp_path: Path,
) -> Iterator[Installation]:
    sock = str(tmp_path / "web.sock")
    with ExitStack() as stack:
        database = stack.enter_context(school_template.copy())
        world = World(school_template.server, database, tmp_path / "home")
        stack.callback(world.close)
        nginx = NginxServer(
            **stack.enter_context(
                services.private(
                    Nginx, upstream=sock, files=str(tmp_path / "none"), s3=seaweed.endpoint
                )
            )
        )
        env = {
            # Not production: that refuses a store without TLS, and the test's has none.
            "DASK_ENV": "test",
            "DASK_HOME": str(tmp_path / "home"),
            "DASK_PUBLIC_URL": nginx.url,
            "DASK_PROXY_HOPS": "1",
            "DASK_WORKERS": "1",
            "DASK_DATABASE_URL": world.url("dask_web"),
            "DASK_DATABASE_OWNER_URL": world.url("dask_owner"),
            "DASK_DATABASE_WORKER_URL": world.url("dask_worker"),
            "DASK_STORE": "s3",
            "DASK_S3_ENDPOINT": f"http://{bucket.endpoint}",
            "DASK_S3_BUCKET": bucket.bucket,
            "DASK_S3_ACCESS_KEY": bucket.access_key,
            "DASK_S3_SECRET_KEY": bucket.secret_key,
            "DASK_ACCEL_REDIRECT": "true",
            "DASK_SCANNER": "clamd",
            "DASK_CLAMD_ADDRESS": f"{clamd_server.host}:{clamd_server.port}",
        }
        stack.enter_context(services.private(School, env=env, socket=sock))
        stack.enter_context(services.private(Worker, env=env))
        yield Installation(world, nginx, S3Store(bucket), bucket.bucket)


def test_from_upload_to_the_teacher_through_nginx(installation: Installation) -> None:
    student = installation.browser("anna")
    attempt = installation.hand_in(student, "brev.pdf", BIG)
    file_id, key, state = installation.scanned(attempt)
    assert state == "clean"
    assert stored(installation.store) == [key]
    assert b"".join(installation.store.open(key)) == BIG

    address = f"/attempts/{attempt}/files/{file_id}"
    got = installation.browser("tora").get(address)
    assert got.status == 200, got.text
    assert got.body == BIG
    # nginx carried it: the platform names no length for what it hands on.
    assert got.headers["Content-Length"] == str(len(BIG))
    assert got.headers["Content-Disposition"].startswith('attachment; filename="innlevering-')
    assert got.headers["Content-Type"] == "application/pdf"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    # Nothing of the store's own: not what it is, nor whose, nor under which key.
    inside = re.compile("amz|accel|etag|seaweed|last-modified", re.IGNORECASE)
    assert [name for name in got.headers if inside.search(name)] == []
    assert key not in str(got.headers)
    assert installation.bucket not in str(got.headers)
    assert student.get(address).body == BIG
    for name in ("bo", "cem", "even", "siri", "sigrid", "olga"):
        assert installation.browser(name).get(address).status == 404, name

    infected = installation.hand_in(installation.browser("bo"), "brev.pdf", INFECTED)
    bad_id, bad_key, state = installation.scanned(infected)
    assert state == "infected"
    _wait_for_quarantine(installation, bad_key)
    assert stored(installation.store) == sorted([key, quarantine_key(bad_key)])
    bad_address = f"/attempts/{infected}/files/{bad_id}"
    for name in ("bo", "tora", "sigrid"):
        assert installation.browser(name).get(bad_address).status == 404, name
    assert "brev.pdf" in installation.browser("sigrid").get("/quarantine").text


def _wait_for_quarantine(installation: Installation, key: str) -> None:
    """The verdict is committed first, and then the bytes are moved."""
    deadline = time.monotonic() + 30
    while key in stored(installation.store):
        assert time.monotonic() < deadline, "the infected file was not put away"
        time.sleep(0.1)


# -- a line that fails --------------------------------------------------------------------------


@pytest.fixture
def over_s3(
    desk: Desk, bucket: S3Address, clamd_server: ClamdServer
) -> Iterator[Callable[[Proxy | None], Desk]]:
    """The school in this process, its store reached directly or through a failing line; bytes
    leave streamed, as they do without nginx."""
    with ExitStack() as stack:

        def reached_by(line: Proxy | None) -> Desk:
            address = bucket
            if line is not None:
                stack.callback(line.close)
                address = replace(bucket, endpoint=line.endpoint)
            desk.world.platform.files = S3Store(address)
            return desk

        desk.world.platform.scanner = ClamdScanner(f"{clamd_server.host}:{clamd_server.port}")
        yield reached_by


def work(desk: Desk, store: S3Store) -> None:
    """Everything in the queue, by a real worker with this store."""
    with desk.world.worker() as platform:
        platform.files, platform.scanner = store, desk.world.platform.scanner
        run_jobs(desk, platform)


def test_a_teacher_gets_the_same_bytes_streamed(
    over_s3: Callable[[Proxy | None], Desk], bucket: S3Address
) -> None:
    desk = over_s3(None)
    student = desk.world.client("anna")
    sent = desk.post_draft(student, "teksten", (BIG, "brev.pdf"), rest="/files")
    assert sent.status_code == 303
    file = desk.row("SELECT * FROM handin_file")
    desk.hand_in(file["attempt_id"])
    url = f"/attempts/{file['attempt_id']}/files/{file['id']}"
    assert desk.world.client("tora").get(url).status_code == 404
    work(desk, S3Store(bucket))
    got = desk.world.client("tora").get(url)
    assert (got.status_code, got.content_length) == (200, len(BIG))
    assert got.data == BIG
    with desk.world.worker() as platform:
        platform.files = S3Store(bucket)
        assert reconcile(platform, desk.now + DAY, thorough=True).in_order


@pytest.mark.parametrize("after", [1000, len(BIG) // 2, len(BIG)])
def test_a_store_that_dies_in_mid_upload_leaves_neither_row_nor_file(
    over_s3: Callable[[Proxy | None], Desk], bucket: S3Address, seaweed: SeaweedServer, after: int
) -> None:
    """The line to the store is cut after ``after`` bytes, also of every try that follows."""
    desk = over_s3(Proxy(seaweed.port, after))
    student = desk.world.client("anna")
    answer = desk.post_draft(student, "viktig tekst", (BIG, "brev.pdf"), rest="/files")
    assert answer.status_code == 503
    assert "viktig tekst</textarea>" in answer.text
    assert desk.row("SELECT text FROM attempt")["text"] == "viktig tekst"
    assert desk.rows("SELECT * FROM handin_file") == []
    assert desk.world.jobs() == []
    time.sleep(0.5)  # so that a server which keeps what it got would show it
    assert stored(S3Store(bucket)) == []

    desk = over_s3(None)
    version = str(desk.row("SELECT version FROM attempt")["version"])
    again = desk.post_draft(
        student, "viktig tekst", (BIG, "brev.pdf"), rest="/files", version=version
    )
    assert again.status_code == 303
    work(desk, S3Store(bucket))
    assert desk.row("SELECT scan_state FROM handin_file")["scan_state"] == "clean"


class Kills(Proxy):
    """Kills the server behind it, and not the line alone, after ``limit`` bytes."""

    def __init__(self, server: SeaweedServer, limit: int) -> None:
        self._pid = server.pid
        super().__init__(server.port, limit)

    def hangs_up(self, data: bytes, carried: int, *, upward: bool) -> bool:
        over = super().hangs_up(data, carried, upward=upward)
        if over:
            os.kill(self._pid, signal.SIGKILL)
        return over


def test_a_store_killed_in_mid_upload_is_told_and_changes_nothing(
    over_s3: Callable[[Proxy | None], Desk], services: Services
) -> None:
    desk = over_s3(None)
    file_id = desk.add(PDF)
    with services.private(SeaweedFS) as facts:
        mortal = SeaweedServer(**facts)
        address = address_of(mortal, "mortal")
        S3Store(address).ensure_bucket()
        with closing(Kills(mortal, len(BIG) // 2)) as line:
            dead = S3Store(replace(address, endpoint=line.endpoint))
            desk.world.platform.files = dead
            student = desk.world.client("anna")
            answer = desk.post_draft(student, "viktig", (BIG, "nytt.pdf"), rest="/files")
            assert answer.status_code == 503
            assert "viktig</textarea>" in answer.text
            assert [row["id"] for row in desk.rows("SELECT id FROM handin_file")] == [file_id]
            with desk.world.worker() as platform:
                platform.files = dead
                # Not one of its files can be seen now; that is no reason to call them lost.
                with pytest.raises(StorageUnavailable):
                    reconcile(platform, desk.now + DAY, repair=True)
    assert desk.row("SELECT scan_state FROM handin_file")["scan_state"] == "pending"


def test_an_answer_lost_by_the_store_costs_nothing(
    over_s3: Callable[[Proxy | None], Desk], bucket: S3Address, seaweed: SeaweedServer
) -> None:
    """The bytes arrived, the store's yes did not: it is asked, and the row is made."""
    line = LosesPutAnswers(seaweed.port)
    desk = over_s3(line)
    sent = desk.post_draft(desk.world.client("anna"), "teksten", (BIG, "brev.pdf"), rest="/files")
    assert (sent.status_code, line.swallowed) == (303, 1)
    (row,) = desk.rows("SELECT * FROM handin_file")
    assert stored(S3Store(bucket)) == [row["storage_key"]]


class DiesOnceStored(LosesPutAnswers):
    """Swallows the good answer to a PUT, and from then on hangs up on everybody."""

    def hangs_up(self, data: bytes, carried: int, *, upward: bool) -> bool:
        return self.swallowed > 0 or super().hangs_up(data, carried, upward=upward)


def test_a_store_that_dies_once_it_has_the_bytes_is_put_right_by_reconciling(
    over_s3: Callable[[Proxy | None], Desk], bucket: S3Address, seaweed: SeaweedServer
) -> None:
    """Nobody can know then: the student is told that it failed, and the bytes wait for a day."""
    desk = over_s3(DiesOnceStored(seaweed.port))
    student = desk.world.client("anna")
    sent = desk.post_draft(student, "teksten", (BIG, "brev.pdf"), rest="/files")
    assert sent.status_code == 503
    assert desk.rows("SELECT * FROM handin_file") == []
    store = S3Store(bucket)
    (key,) = stored(store)
    with desk.world.worker() as platform:
        platform.files = store
        assert reconcile(platform, desk.now).in_order, "it may still be under way"
        assert reconcile(platform, desk.now + DAY, repair=True).files_without_row == [key]
        assert reconcile(platform, desk.now + DAY).in_order
    assert stored(store) == []


def test_a_download_cut_in_the_middle_is_never_a_whole_file(
    over_s3: Callable[[Proxy | None], Desk], bucket: S3Address, seaweed: SeaweedServer
) -> None:
    desk = over_s3(None)
    file_id = desk.add(BIG)
    attempt_id = desk.row("SELECT id FROM attempt")["id"]
    over_s3(Proxy(seaweed.port, len(BIG) // 2, upward=False))
    url = f"/attempts/{attempt_id}/files/{file_id}"
    # To the server this is an answer that ends in an error: it breaks the connection off.
    with pytest.raises(StorageUnavailable):
        desk.world.client("anna").get(url, buffered=True)


def test_an_infected_file_is_put_away_in_the_bucket(
    over_s3: Callable[[Proxy | None], Desk], bucket: S3Address
) -> None:
    desk = over_s3(None)
    student = desk.world.client("anna")
    desk.post_draft(student, "teksten", (INFECTED, "brev.pdf"), rest="/files")
    file = desk.row("SELECT * FROM handin_file")
    desk.hand_in(file["attempt_id"])
    work(desk, S3Store(bucket))
    kept = stored(S3Store(bucket))
    assert kept == [quarantine_key(file["storage_key"])]
    url = f"/attempts/{file['attempt_id']}/files/{file['id']}"
    for name in ("anna", "tora", "sigrid"):
        assert desk.world.client(name).get(url).status_code == 404, name
    assert "brev.pdf" in seen(desk.world.client("sigrid").get("/quarantine"))
    with desk.world.worker() as platform:
        platform.files = S3Store(bucket)
        assert reconcile(platform, desk.now + DAY).in_order
