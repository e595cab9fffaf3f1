"""Adding and removing files: type by content, limits that are named, bytes and rows together."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.features.handins import filing
from dask_platform.kernel.errors import (
    Closed,
    Invalid,
    NotAllowed,
    NotVisible,
    StorageUnavailable,
    TooLarge,
)
from dask_platform.kernel.ports import FileStore, StoredFile
from tests.features.handins.desk import PDF, Desk, arrived, pdf, seen
from tests.world import World

NAMES = [
    "א" * 127 + ".pdf",  # right to left, two bytes a letter
    "ا" * 125 + ".pdf",
    "漢" * 83 + ".pdf",
    "ไ" * 80 + ".pdf",
    "🦊" * 62 + ".pdf",
    "e\u0301" * 80 + ".pdf",
    "a" * 251 + ".pdf",
    "\u202efdp.exe" + "x" * 200 + ".pdf",
    "../../etc/" + "p" * 240 + ".pdf",
    "नमस्ते" * 12 + ".pdf",
]


class DyingStore:
    """A real store that stops answering in the middle of a file."""

    def __init__(self, real: FileStore, after: int = 20) -> None:
        self._real = real
        self._after = after

    def put(self, key: str, stream: BinaryIO, *, size: int, sha256: str) -> StoredFile:
        after = self._after

        class Dying(io.RawIOBase):
            def read(self, amount: int = -1) -> bytes:
                if stream.tell() >= after:
                    raise StorageUnavailable("The file store does not answer.")
                return stream.read(min(after, amount) if amount >= 0 else after)

        return self._real.put(key, Dying(), size=size, sha256=sha256)  # type: ignore[arg-type]

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._real.open(key, offset=offset, length=length)

    def stat(self, key: str) -> StoredFile:
        return self._real.stat(key)

    def delete(self, key: str) -> None:
        raise StorageUnavailable("The file store does not answer.")

    def keys(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        return self._real.keys(prefix)

    def internal_path(self, key: str) -> str | None:
        return self._real.internal_path(key)

    def check(self) -> None:
        raise StorageUnavailable("The file store does not answer.")


def test_a_file_has_bytes_row_job_and_event(desk: Desk) -> None:
    file_id = desk.add(PDF, "brev.pdf")
    row = desk.row("SELECT * FROM handin_file")
    assert (row["id"], row["name"], row["size"]) == (file_id, "brev.pdf", len(PDF))
    assert (row["extension"], row["mime"], row["scan_state"]) == (
        "pdf",
        "application/pdf",
        "pending",
    )
    assert desk.stored() == [row["storage_key"]]
    assert b"".join(desk.world.platform.files.open(row["storage_key"])) == PDF
    assert desk.attempt(row["attempt_id"])["scan_state"] == "pending"
    (job,) = desk.world.jobs()
    assert (job["task_name"], job["args"]) == ("handins:scan_file", {"file_id": str(file_id)})
    (event,) = desk.world.audit("attempt.file_added")
    assert event["details"]["sha256"] == row["sha256"]
    assert "brev.pdf" not in str(event["details"])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_and_direction_is_kept_readable(desk: Desk, name: str) -> None:
    desk.add(PDF, name)
    kept = desk.row("SELECT name FROM handin_file")["name"]
    assert 0 < len(kept.encode()) <= 120
    assert kept.endswith(".pdf")
    assert not set(kept) & set("/\\\u202e\x00")
    page = desk.world.client("anna").get(desk.url())
    assert page.status_code == 200
    assert kept in page.text


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.text(max_size=255))
def test_no_name_breaks_adding(desk: Desk, raw: str) -> None:
    file_id = desk.add(pdf(raw), raw)
    with desk.acting("anna") as (uow, actor, task):
        filing.remove_file(uow, actor, task, file_id, desk.now)


def test_content_decides_not_the_name(desk: Desk) -> None:
    with pytest.raises(Invalid, match=r"bilde\.png") as caught:
        desk.add(b"<html><script>alert(1)</script></html>", "bilde.png")
    assert caught.value.params["families"]
    assert desk.stored() == []


def test_a_kind_the_assignment_does_not_take_is_refused(desk: Desk) -> None:
    desk.change("UPDATE course_item SET file_types = '{image}' WHERE slug = 'brev'")
    with pytest.raises(Invalid, match="image"):
        desk.add()


def test_a_kind_that_is_never_allowed_is_refused_even_when_asked_for(desk: Desk) -> None:
    desk.change("UPDATE course_item SET file_types = '{archive,unknown}' WHERE slug = 'brev'")
    with pytest.raises(Invalid):
        desk.add(b"7z\xbc\xaf\x27\x1c" + bytes(100), "arkiv.7z")


def test_limits_name_file_and_limit(desk: Desk) -> None:
    desk.change("UPDATE course_item SET file_bytes_most = 2048 WHERE slug = 'brev'")
    with pytest.raises(TooLarge, match=r"stor\.pdf.*2 kB"):
        desk.add(pdf("x" * 3000), "stor.pdf")
    desk.add(pdf("1"), "en.pdf")
    desk.add(pdf("2"), "to.pdf")
    with pytest.raises(Invalid, match=r"tre\.pdf.*at most 2 files"):
        desk.add(pdf("3"), "tre.pdf")
    with pytest.raises(Invalid, match="empty"):
        desk.add(b"", "tom.pdf")
    assert len(desk.stored()) == 2


def test_an_assignment_without_files_takes_none(desk: Desk) -> None:
    desk.change("UPDATE course_item SET files_most = 0 WHERE slug = 'brev'")
    with pytest.raises(Invalid, match="no files"):
        desk.add()


def test_after_the_cutoff_no_file_is_taken(desk: Desk) -> None:
    desk.deadline(None, desk.now - timedelta(seconds=1))
    with pytest.raises(Closed):
        desk.add()
    assert desk.stored() == []


def test_the_same_file_sent_twice_is_added_once(desk: Desk) -> None:
    assert desk.add() == desk.add()
    assert len(desk.stored()) == 1


def test_a_store_that_dies_in_the_middle_leaves_neither_file_nor_row(desk: Desk) -> None:
    with pytest.raises(StorageUnavailable):
        desk.add(store=DyingStore(desk.world.platform.files))
    assert desk.stored() == []
    assert desk.rows("SELECT * FROM handin_file") == []
    assert desk.world.jobs() == []


def test_the_page_keeps_the_text_when_the_store_does_not_answer(desk: Desk) -> None:
    client = desk.world.client("anna")
    desk.world.platform.files = DyingStore(desk.world.platform.files)
    answer = desk.post_draft(client, "viktig tekst", (PDF, "brev.pdf"), rest="/files")
    assert answer.status_code == 503
    assert "viktig tekst</textarea>" in answer.text
    assert desk.row("SELECT text FROM attempt")["text"] == "viktig tekst"
    assert desk.rows("SELECT * FROM handin_file") == []


def test_text_and_files_come_in_one_form_with_any_button(desk: Desk) -> None:
    client = desk.world.client("anna")
    answer = desk.post_draft(client, "tekst", (PDF, "en.pdf"), rest="/files")
    assert (answer.status_code, answer.location) == (303, desk.url() + "#files")
    version = str(desk.row("SELECT version FROM attempt")["version"])
    answer = desk.post_draft(
        client, "tekst to", (pdf("2"), "to.pdf"), version=version, next="hand-in"
    )
    assert (answer.status_code, answer.location) == (303, desk.url("/hand-in"))
    assert [row["name"] for row in desk.rows("SELECT name FROM handin_file ORDER BY name")] == [
        "en.pdf",
        "to.pdf",
    ]
    assert desk.row("SELECT text FROM attempt")["text"] == "tekst to"


def test_a_file_that_is_refused_costs_neither_text_nor_the_other_file(desk: Desk) -> None:
    answer = desk.post_draft(
        desk.world.client("anna"), "teksten", (b"MZ\x90\x00" + bytes(50), "spill.exe"),
        (PDF, "brev.pdf"), rest="/files",
    )  # fmt: skip
    assert answer.status_code == 400
    assert "spill.exe" in answer.text
    assert "teksten</textarea>" in answer.text
    assert desk.row("SELECT text FROM attempt")["text"] == "teksten"
    assert desk.row("SELECT name FROM handin_file")["name"] == "brev.pdf"


def test_the_page_names_the_limit_of_a_file_that_is_too_large(desk: Desk) -> None:
    desk.change("UPDATE course_item SET file_bytes_most = 102400 WHERE slug = 'brev'")
    answer = desk.post_draft(
        desk.world.client("anna"), "teksten", (pdf("x" * 110_000), "stor.pdf"), rest="/files"
    )
    assert answer.status_code == 413
    assert "stor.pdf" in seen(answer)
    assert "100 kB" in seen(answer)
    assert desk.row("SELECT text FROM attempt")["text"] == "teksten"


def test_add_without_a_file_says_so_and_keeps_the_text(desk: Desk) -> None:
    answer = desk.post_draft(desk.world.client("anna"), "teksten", rest="/files")
    assert answer.status_code == 400
    assert desk.row("SELECT text FROM attempt")["text"] == "teksten"


def test_a_refused_text_leaves_no_file_behind(desk: Desk) -> None:
    desk.save("annet")
    answer = desk.post_draft(
        desk.world.client("anna"), "gammelt vindu", (PDF, "brev.pdf"), rest="/files"
    )
    assert answer.status_code == 409
    assert desk.stored() == []
    assert desk.rows("SELECT * FROM handin_file") == []


def test_removing_takes_row_now_and_bytes_by_a_job(desk: Desk) -> None:
    file_id = desk.add()
    client = desk.world.client("anna")
    url = desk.url(f"/files/{file_id}/remove")
    assert client.post_form(url).status_code == 303
    assert desk.rows("SELECT * FROM handin_file") == []
    job = desk.world.jobs()[-1]
    assert job["task_name"] == "handins:drop_file"
    assert job["args"] == {"key": desk.stored()[0]}
    assert desk.row("SELECT scan_state FROM attempt")["scan_state"] == "clean"
    assert client.post_form(url).status_code == 404


@pytest.mark.parametrize("name", ["bo", "cem"])
def test_nobody_removes_the_file_of_another(desk: Desk, name: str) -> None:
    file_id = desk.add()
    assert (
        desk.world.client(name).post_form(desk.url(f"/files/{file_id}/remove")).status_code == 404
    )
    assert len(desk.rows("SELECT * FROM handin_file")) == 1


def test_a_stopped_file_stays_and_leaves_room_for_another(desk: Desk) -> None:
    desk.change("UPDATE course_item SET files_most = 1 WHERE slug = 'brev'")
    file_id = desk.add()
    desk.change("UPDATE handin_file SET scan_state = 'infected'")
    with desk.acting("anna") as (uow, actor, task), pytest.raises(NotAllowed):
        filing.remove_file(uow, actor, task, file_id, desk.now)
    desk.add(pdf("ny"), "ny.pdf")
    assert len(desk.rows("SELECT * FROM handin_file")) == 2


def test_stopped_files_cannot_grow_without_end(desk: Desk) -> None:
    for number in range(filing.STOPPED_MOST):
        desk.add(pdf(str(number)))
        desk.change("UPDATE handin_file SET scan_state = 'refused'")
    with pytest.raises(NotAllowed):
        desk.add(pdf("en til"))


def test_a_handed_in_attempt_takes_no_more_files(desk: Desk) -> None:
    desk.handed_in()
    with pytest.raises(Closed):
        desk.add()
    assert desk.stored() == []


def test_another_class_takes_no_file(world: World, desk: Desk) -> None:
    with pytest.raises(NotVisible), desk.acting("cem") as (_uow, _actor, task):
        filing.receive(task, arrived(PDF), world.platform.files, desk.now)
