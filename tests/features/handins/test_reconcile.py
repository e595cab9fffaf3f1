"""Rows and stored files belong together; where they do not, that is found, told and mended."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from dask_platform.features.handins import filing, scanning
from dask_platform.features.handins.cli import files as files_command
from dask_platform.features.handins.reconcile import reconcile
from dask_platform.kernel.errors import DaskError, StorageUnavailable
from tests.features.handins.desk import PDF, Desk, arrived, pdf
from tests.features.handins.test_files import DyingStore

DAY = timedelta(hours=25)


class PowerCut(Exception):
    """The process ends here."""


def put(desk: Desk, key: str, data: bytes = PDF) -> None:
    digest = hashlib.sha256(data).hexdigest()
    desk.world.platform.files.put(key, io.BytesIO(data), size=len(data), sha256=digest)


def test_all_in_order(desk: Desk) -> None:
    desk.add()
    with desk.world.worker() as platform:
        report = reconcile(platform, desk.now, thorough=True)
    assert report.in_order
    assert (report.rows, report.files) == (1, 1)


def test_an_upload_that_never_got_its_row_is_removed_after_a_day(desk: Desk) -> None:
    put(desk, "handins/uten-rad")
    put(desk, "quarantine/uten-rad")
    put(desk, "media/noe-annet")
    with desk.world.worker() as platform:
        assert reconcile(platform, desk.now).in_order
        report = reconcile(platform, desk.now + DAY)
        assert report.files_without_row == ["handins/uten-rad", "quarantine/uten-rad"]
        assert len(desk.stored()) == 3
        reconcile(platform, desk.now + DAY, repair=True)
        assert reconcile(platform, desk.now + DAY).in_order
    assert desk.stored() == ["media/noe-annet"]
    (event,) = desk.world.audit("store.reconciled")
    assert event["details"]["files_without_row"] == ["handins/uten-rad", "quarantine/uten-rad"]


def test_a_crash_between_put_and_commit_is_found(desk: Desk) -> None:
    """The row is rolled back after the bytes have gone to the store, as a power cut would."""
    store = desk.world.platform.files
    with suppress(PowerCut), desk.acting("anna") as (uow, actor, task):
        received = filing.receive(task, arrived(PDF), store, desk.now)
        filing.add_file(uow, actor, task, received, store, desk.now)
        assert len(desk.stored()) == 1
        raise PowerCut
    assert desk.rows("SELECT * FROM handin_file") == []
    assert desk.world.jobs() == []
    with desk.world.worker() as platform:
        report = reconcile(platform, desk.now + DAY, repair=True)
    assert len(report.files_without_row) == 1
    assert desk.stored() == []


def test_a_row_without_its_file_is_marked_and_told(desk: Desk) -> None:
    file_id = desk.add()
    desk.world.platform.files.delete(desk.stored()[0])
    with desk.world.worker() as platform:
        report = reconcile(platform, desk.now, repair=True)
        assert report.rows_without_file == [file_id]
        assert reconcile(platform, desk.now).in_order
    row = desk.row("SELECT * FROM handin_file")
    assert (row["scan_state"], row["scan_finding"]) == ("refused", scanning.MISSING)
    assert desk.row("SELECT scan_state FROM attempt")["scan_state"] == "refused"


def test_a_file_that_has_changed_is_found_when_asked_thoroughly(desk: Desk) -> None:
    file_id = desk.add()
    key = desk.stored()[0]
    desk.scan(file_id)
    desk.world.platform.files.delete(key)
    put(desk, key, pdf("byttet ut"))
    with desk.world.worker() as platform:
        assert reconcile(platform, desk.now, thorough=True).rows_without_file == [file_id]


def test_a_stopped_file_among_the_others_is_put_away(desk: Desk) -> None:
    desk.add()
    key = desk.stored()[0]
    desk.change("UPDATE handin_file SET scan_state = 'infected', scan_finding = 'x'")
    with desk.world.worker() as platform:
        report = reconcile(platform, desk.now, repair=True)
        assert report.not_put_away == [key]
        assert reconcile(platform, desk.now).in_order
    assert desk.stored() == [scanning.quarantine_key(key)]


def test_a_scan_that_nobody_does_is_asked_for_again(desk: Desk) -> None:
    file_id = desk.add()
    desk.change("DELETE FROM procrastinate_jobs")
    later = desk.now + timedelta(hours=2)
    with desk.world.worker() as platform:
        report = reconcile(platform, later, repair=True)
    assert report.not_scanned == [file_id]
    (job,) = desk.world.jobs()
    assert job["args"] == {"file_id": str(file_id)}


def test_a_silent_store_changes_nothing(desk: Desk) -> None:
    desk.add()
    with desk.world.worker() as platform:
        platform.files = DyingStore(platform.files)
        with pytest.raises(StorageUnavailable):
            reconcile(platform, desk.now, repair=True)
    assert desk.row("SELECT scan_state FROM handin_file")["scan_state"] == "pending"


def test_the_command_fails_until_it_has_mended(desk: Desk) -> None:
    put(desk, "handins/uten-rad")
    desk.world.clock.move(DAY)
    with desk.world.worker() as platform:
        context = SimpleNamespace(platform=platform)
        run = CliRunner()
        found = run.invoke(files_command, ["reconcile"], obj=context)
        assert isinstance(found.exception, DaskError)
        assert "file without row: handins/uten-rad" in found.output
        mended = run.invoke(files_command, ["reconcile", "--repair"], obj=context)
        assert (mended.exception, mended.exit_code) == (None, 0)
        assert run.invoke(files_command, ["reconcile"], obj=context).exit_code == 0
