"""Scanning as a job, with a real clamd: what is clean opens, everything else stays shut."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from uuid import UUID

import pytest
from procrastinate import App, PsycopgConnector
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from dask_platform.adapters.scanner import ClamdScanner, FakeScanner
from dask_platform.features.handins import scanning
from dask_platform.features.handins.jobs import AGAIN, make_blueprint
from dask_platform.features.handins.models import ScanState
from dask_platform.kernel.errors import ScannerUnavailable, StorageUnavailable
from dask_platform.web.platform import Platform
from tests.features.handins.desk import PDF, Desk, pdf, seen
from tests.services.clamav import EICAR, ClamdServer


@pytest.fixture
def clamd(desk: Desk, clamd_server: ClamdServer) -> Desk:
    desk.world.platform.scanner = ClamdScanner(f"{clamd_server.host}:{clamd_server.port}")
    return desk


def archive(*parts: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts:
            file.writestr(name, data)
    return made.getvalue()


def plant(desk: Desk, data: bytes, *, handed_in: bool = False) -> UUID:
    """Put ``data`` where a file lies that passed the check of its kind."""
    file_id = desk.add(pdf("plantet"))
    key = desk.row("SELECT storage_key FROM handin_file WHERE id = :id", id=file_id)["storage_key"]
    digest = hashlib.sha256(data).hexdigest()
    store = desk.world.platform.files
    store.delete(key)
    store.put(key, io.BytesIO(data), size=len(data), sha256=digest)
    desk.change(
        "UPDATE handin_file SET size = :size, sha256 = :sha WHERE id = :id",
        size=len(data), sha=digest, id=file_id,
    )  # fmt: skip
    if handed_in:
        desk.hand_in(desk.row("SELECT id FROM attempt")["id"])
    return file_id


def test_a_clean_file_opens_to_the_teacher(clamd: Desk) -> None:
    file_id = clamd.add(PDF)
    attempt_id = clamd.row("SELECT id FROM attempt")["id"]
    clamd.hand_in(attempt_id)
    teacher = clamd.world.client("tora")
    url = f"/attempts/{attempt_id}/files/{file_id}"
    assert teacher.get(url).status_code == 404
    assert clamd.scan(file_id) is ScanState.CLEAN
    answer = teacher.get(url)
    assert (answer.status_code, answer.data) == (200, PDF)
    assert clamd.attempt(attempt_id)["scan_state"] == "clean"
    (event,) = clamd.world.audit("file.scanned")
    assert (event["actor_name"], event["unit_id"]) == ("worker", clamd.world.id("nord"))


def test_an_infected_file_from_upload_to_quarantine(clamd: Desk) -> None:
    """A real upload through the form: the scanner finds what the check of the kind cannot."""
    student = clamd.world.client("anna")
    infected = PDF.replace(b"<<>>", b"<<>>\n" + EICAR)
    answer = clamd.post_draft(student, "teksten", (infected, "brev.pdf"), rest="/files")
    assert answer.status_code == 303
    file = clamd.row("SELECT * FROM handin_file")
    attempt_id = file["attempt_id"]
    clamd.hand_in(attempt_id)
    assert clamd.scan(file["id"]) is ScanState.INFECTED

    row = clamd.row("SELECT * FROM handin_file")
    assert row["scan_finding"].startswith("Eicar-Test")
    assert clamd.attempt(attempt_id)["scan_state"] == "infected"
    assert clamd.stored() == [scanning.quarantine_key(file["storage_key"])]

    url = f"/attempts/{attempt_id}/files/{file['id']}"
    for name in ("anna", "tora", "sigrid", "olga"):
        assert clamd.world.client(name).get(url).status_code == 404, name
    page = clamd.world.client("anna").get(clamd.url())
    assert url not in page.text
    assert "Eicar" not in page.text
    marking = clamd.world.client("tora").get(f"/attempts/{attempt_id}")
    assert "teksten" in marking.text
    assert "brev.pdf" not in marking.text
    (event,) = clamd.world.audit("file.infected")
    assert event["unit_id"] == clamd.world.id("nord")
    assert event["subject_id"] == clamd.world.id("anna")
    assert event["details"]["finding"].startswith("Eicar-Test")
    listed = clamd.world.client("sigrid").get("/quarantine")
    for word in ("brev.pdf", "Anna", "Norsk nord", "Brev", "Eicar-Test"):
        assert word in seen(listed)
    assert "teksten" not in listed.text
    assert "brev.pdf" not in clamd.world.client("sverre").get("/quarantine").text


def test_the_student_is_told_plainly_in_every_language(clamd: Desk) -> None:
    file_id = plant(clamd, EICAR)
    clamd.scan(file_id)
    words = {"nb": "viruskontrollen", "nn": "viruskontrollen", "en": "virus check"}
    for locale, word in words.items():
        clamd.change("UPDATE person SET locale = :locale WHERE username = 'anna'", locale=locale)
        assert word in seen(clamd.world.client("anna").get(clamd.url())).lower(), locale


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(archive(("tom", bytes(80 * 1024 * 1024))), id="zip bomb"),
        pytest.param(
            archive(*((f"{number}", bytes(1000)) for number in range(150))), id="too many files"
        ),
    ],
)
def test_a_bomb_is_never_clean(clamd: Desk, data: bytes) -> None:
    file_id = plant(clamd, data)
    assert clamd.scan(file_id) in (ScanState.INFECTED, ScanState.REFUSED)


def test_what_is_nested_too_deep_or_infected_inside_is_never_clean(clamd: Desk) -> None:
    shallow = deep = archive(("virus.txt", EICAR))
    for level in range(10):
        deep = archive((f"{level}.zip", deep))
    for data in (shallow, deep):
        assert clamd.scan(plant(clamd, data)) in (ScanState.INFECTED, ScanState.REFUSED)
        clamd.change("DELETE FROM handin_file")


def test_a_file_too_large_for_the_scanner_is_refused_not_clean(desk: Desk) -> None:
    desk.world.platform.scanner = FakeScanner(largest=10)
    file_id = desk.add()
    assert desk.scan(file_id) is ScanState.REFUSED
    assert len(desk.world.audit("file.refused")) == 1
    assert desk.row("SELECT scan_state FROM attempt")["scan_state"] == "refused"


def test_a_scanner_that_does_not_answer_leaves_the_file_pending(desk: Desk) -> None:
    scanner = FakeScanner()
    scanner.available = False
    desk.world.platform.scanner = scanner
    file_id = desk.add()
    with pytest.raises(ScannerUnavailable):
        desk.scan(file_id)
    assert desk.row("SELECT scan_state FROM handin_file")["scan_state"] == "pending"
    scanner.available = True
    assert desk.scan(file_id) is ScanState.CLEAN


def test_a_file_that_is_lost_is_said_to_be_lost(desk: Desk) -> None:
    file_id = desk.add()
    desk.world.platform.files.delete(desk.stored()[0])
    assert desk.scan(file_id) is ScanState.REFUSED
    assert desk.row("SELECT scan_finding FROM handin_file")["scan_finding"] == scanning.MISSING


def test_scanning_twice_or_too_late_does_no_harm(desk: Desk) -> None:
    file_id = desk.add()
    assert desk.scan(file_id) is ScanState.CLEAN
    assert desk.scan(file_id) is ScanState.CLEAN
    assert len(desk.world.audit("file.scanned")) == 1
    desk.change("DELETE FROM handin_file")
    assert desk.scan(file_id) is None


def test_a_quarantine_broken_off_in_the_middle_is_finished_next_time(desk: Desk) -> None:
    file_id = desk.add(PDF.replace(b"<<>>", b"<<>>\n" + EICAR))
    key = desk.stored()[0]
    store = desk.world.platform.files
    stored = store.stat(key)
    data = io.BytesIO(b"".join(store.open(key)))
    store.put(scanning.quarantine_key(key), data, size=stored.size, sha256=stored.sha256)
    assert desk.scan(file_id) is ScanState.INFECTED
    assert desk.stored() == [scanning.quarantine_key(key)]


def test_one_clean_file_does_not_make_the_attempt_clean(desk: Desk) -> None:
    first, second = desk.add(pdf("1"), "1.pdf"), desk.add(pdf("2"), "2.pdf")
    desk.scan(first)
    assert desk.row("SELECT scan_state FROM attempt")["scan_state"] == "pending"
    desk.scan(second)
    assert desk.row("SELECT scan_state FROM attempt")["scan_state"] == "clean"


def test_scanning_changes_no_version(desk: Desk) -> None:
    file_id = desk.add()
    before = desk.row("SELECT version FROM attempt")
    desk.scan(file_id)
    assert desk.row("SELECT version FROM attempt") == before


def test_the_worker_can_change_nothing_else_of_a_hand_in(desk: Desk) -> None:
    desk.handed_in()
    with desk.world.worker() as platform:
        for statement in (
            "UPDATE attempt SET text = 'x'",
            "UPDATE handin_file SET storage_key = 'x'",
            "DELETE FROM attempt",
            "SELECT * FROM person",
            "SELECT * FROM marking",
        ):
            refused = pytest.raises(ProgrammingError, match="permission denied")
            with refused, platform.database.work() as uow:
                uow.execute(text(statement))


def run_jobs(desk: Desk, platform: Platform) -> None:
    """Run everything in the queue through a real worker, as the worker's role."""
    url = desk.world.url("dask_worker").replace("postgresql+psycopg", "postgresql")
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=2))
    app.add_tasks_from(make_blueprint(), namespace="handins")

    async def drain() -> None:
        async with app.open_async():
            await app.run_worker_async(
                wait=False,
                additional_context={"platform": platform},
                install_signal_handlers=False,
                listen_notify=False,
            )

    asyncio.run(drain())


def test_the_jobs_run_from_the_queue(desk: Desk) -> None:
    kept = desk.add(pdf("1"), "1.pdf")
    gone = desk.add(pdf("2"), "2.pdf")
    desk.world.client("anna").post_form(desk.url(f"/files/{gone}/remove"))
    with desk.world.worker() as platform:
        run_jobs(desk, platform)
    assert desk.row("SELECT id, scan_state FROM handin_file") == {"id": kept, "scan_state": "clean"}
    assert len(desk.stored()) == 1
    statuses = {(job["task_name"], job["status"]) for job in desk.world.jobs()}
    assert ("handins:drop_file", "succeeded") in statuses
    assert ("handins:scan_file", "succeeded") in statuses


def test_a_job_that_meets_a_silent_scanner_comes_again_later(desk: Desk) -> None:
    desk.add()
    scanner = FakeScanner()
    scanner.available = False
    with desk.world.worker() as platform:
        platform.scanner = scanner
        run_jobs(desk, platform)
    (job,) = [job for job in desk.world.jobs() if job["task_name"] == "handins:scan_file"]
    assert (job["status"], job["attempts"]) == ("todo", 1)
    assert job["scheduled_at"] > desk.now
    assert desk.row("SELECT scan_state FROM handin_file")["scan_state"] == "pending"


def test_waiting_between_tries_grows_and_covers_store_and_scanner() -> None:
    assert AGAIN.retry_exceptions is not None
    for error in (ScannerUnavailable, StorageUnavailable):
        assert issubclass(error, tuple(AGAIN.retry_exceptions))


def test_a_chunk_reader_gives_the_bytes_in_any_portions() -> None:
    reader = scanning.ChunkReader(iter([b"abc", b"defg"]))
    assert list(iter(lambda: reader.read(2), b"")) == [b"ab", b"c", b"de", b"fg"]
    assert scanning.ChunkReader(iter([b"ab", b"cd"])).read() == b"abcd"
