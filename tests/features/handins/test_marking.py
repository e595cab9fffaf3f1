"""Marking: the teachers of the class alone, never one over another, never in silence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from dask_platform.features.handins import marking
from dask_platform.features.handins.marking import Given
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed, NotVisible, TooLarge
from tests.features.handins.desk import Desk, pdf, seen

EVERYBODY = ("anna", "bo", "dag", "cem", "tora", "even", "siri", "odd", "sigrid", "sverre", "olga")


@pytest.fixture
def work(desk: Desk) -> UUID:
    return desk.handed_in("Kjære skole.")


def mark(
    desk: Desk, attempt_id: UUID, grade: str | None = "4", comment: str = "Bra.", version: int = 0,
    *, give_back: bool = False, name: str = "tora",
) -> None:  # fmt: skip
    actor = desk.actor(name)
    act = marking.return_marking if give_back else marking.save_marking
    with desk.world.uow(name) as uow:
        act(uow, actor, attempt_id, Given(grade, comment, version), desk.now)


def second_teacher(desk: Desk) -> None:
    """Let even teach the class too."""
    desk.change(
        "INSERT INTO class_teacher VALUES (:c, :p, now())",
        c=desk.world.id("class nord"), p=desk.world.id("even"),
    )  # fmt: skip


def test_a_marking_is_seen_by_the_student_only_when_returned(desk: Desk, work: UUID) -> None:
    mark(desk, work, comment="Godt skrevet, Anna.")
    student = desk.world.client("anna")
    assert "Godt skrevet" not in student.get(desk.url()).text
    assert "Godt skrevet" not in student.get(f"/attempts/{work}").text
    mark(desk, work, comment="Godt skrevet, Anna.", version=1, give_back=True)
    assert "Godt skrevet" in student.get(desk.url()).text
    assert "Godt skrevet" in student.get(f"/attempts/{work}").text
    assert desk.attempt(work)["state"] == "returned"
    kinds = [event["kind"] for event in desk.world.audit() if event["kind"].startswith("marking")]
    assert kinds == ["marking.saved", "marking.returned"]


def test_only_the_teacher_of_the_class_reads_and_marks(desk: Desk, work: UUID) -> None:
    for name in EVERYBODY:
        client = desk.world.client(name)
        read = client.get(f"/attempts/{work}").status_code
        wrote = client.post_form(
            f"/attempts/{work}/marking", {"grade": "4", "comment": name, "version": "0"}
        ).status_code
        assert read == (200 if name in ("anna", "tora") else 404), name
        assert wrote == (303 if name == "tora" else 404), name
    assert desk.row("SELECT comment FROM marking")["comment"] == "tora"
    assert {event["actor_name"] for event in desk.world.audit("attempt.read")} == {"tora"}


def test_a_draft_is_the_students_alone(desk: Desk) -> None:
    attempt_id = desk.save("uferdig")
    assert desk.world.client("tora").get(f"/attempts/{attempt_id}").status_code == 404
    with pytest.raises(NotVisible):
        mark(desk, attempt_id)
    assert desk.world.client("anna").get(f"/attempts/{attempt_id}").location == desk.url()


def test_access_ends_when_the_student_moves(desk: Desk, work: UUID) -> None:
    desk.change(
        "UPDATE placement SET ends_at = now() WHERE person_id = :id", id=desk.world.id("anna")
    )
    assert desk.world.client("tora").get(f"/attempts/{work}").status_code == 404
    with pytest.raises(NotVisible):
        mark(desk, work)


def test_access_ends_with_the_teachers_role(desk: Desk, work: UUID) -> None:
    teacher = desk.world.client("tora")
    assert teacher.get(f"/attempts/{work}").status_code == 200
    desk.change(
        "UPDATE staff_role SET ends_at = now() WHERE person_id = :id", id=desk.world.id("tora")
    )
    assert teacher.get(f"/attempts/{work}").status_code == 404


def test_the_second_teacher_is_refused_and_loses_nothing(desk: Desk, work: UUID) -> None:
    second_teacher(desk)
    mark(desk, work, "5", "Toras ord")
    answer = desk.world.client("even").post_form(
        f"/attempts/{work}/return", {"grade": "2", "comment": "Evens ord", "version": "0"}
    )
    assert answer.status_code == 409
    assert "Evens ord</textarea>" in answer.text
    assert "Toras ord" in answer.text
    row = desk.row("SELECT * FROM marking")
    assert (row["grade"], row["comment"], row["returned_at"]) == ("5", "Toras ord", None)
    again = desk.world.client("even").post_form(
        f"/attempts/{work}/return",
        {"grade": "2", "comment": "Evens ord", "version": str(row["version"])},
    )
    assert again.status_code == 303
    assert desk.row("SELECT * FROM marking")["marked_by"] == desk.world.id("even")


def test_two_first_markings_at_once_make_one(desk: Desk, work: UUID) -> None:
    second_teacher(desk)

    def attempt(name: str) -> bool:
        try:
            mark(desk, work, comment=name, name=name)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, ("tora", "even"))) == [False, True]


def test_what_is_returned_does_not_change_in_silence(desk: Desk, work: UUID) -> None:
    mark(desk, work, "3", give_back=True)
    version = desk.row("SELECT version FROM marking")["version"]
    with pytest.raises(NotAllowed):
        mark(desk, work, "6", version=version)
    mark(desk, work, "6", version=version, give_back=True)
    first, second = desk.world.audit("marking.returned")
    assert (first["details"]["again"], second["details"]["again"]) == (False, True)
    assert second["details"]["grade_changed"] is True


def test_a_return_sent_twice_is_one(desk: Desk, work: UUID) -> None:
    for _ in range(2):
        mark(desk, work, give_back=True)
    assert len(desk.world.audit("marking.returned")) == 1


@pytest.mark.parametrize("grade", ["7", "0", "passed", "A", "1' OR '1"])
def test_a_grade_of_another_kind_is_refused(desk: Desk, work: UUID, grade: str) -> None:
    with pytest.raises(Invalid):
        mark(desk, work, grade)
    answer = desk.world.client("tora").post_form(
        f"/attempts/{work}/return", {"grade": grade, "comment": "skrevet", "version": "0"}
    )
    assert answer.status_code == 400
    assert "skrevet</textarea>" in answer.text
    assert desk.rows("SELECT * FROM marking") == []


def test_pass_or_fail(desk: Desk) -> None:
    attempt_id = desk.handed_in(item="skjema")
    with pytest.raises(Invalid):
        mark(desk, attempt_id, "4")
    mark(desk, attempt_id, "passed", "", give_back=True)
    page = desk.world.client("anna").get(desk.url(item="skjema"))
    assert "Bestått" in page.text or "Passed" in page.text


def test_work_may_be_returned_with_a_comment_alone(desk: Desk, work: UUID) -> None:
    with pytest.raises(Invalid):
        mark(desk, work, None, "  ", give_back=True)
    mark(desk, work, None, "Filen ble stoppet. Prøv igjen.", give_back=True)
    assert desk.attempt(work)["state"] == "returned"


def test_a_comment_has_a_limit(desk: Desk, work: UUID) -> None:
    with pytest.raises(TooLarge, match=str(marking.COMMENT_MOST)):
        mark(desk, work, comment="x" * (marking.COMMENT_MOST + 1))


def test_the_teacher_sees_how_many_files_are_not_ready(desk: Desk) -> None:
    desk.add(pdf("1"), "klar.pdf")
    desk.add(pdf("2"), "venter.pdf")
    ready = desk.row("SELECT id FROM handin_file WHERE name = 'klar.pdf'")["id"]
    attempt_id = desk.save("tekst", version=1)
    desk.hand_in(attempt_id)
    desk.scan(ready)
    page = desk.world.client("tora").get(f"/attempts/{attempt_id}")
    assert "klar.pdf" in page.text
    assert "venter.pdf" not in page.text
    words = seen(page)
    assert "1 file is being checked" in words or "1 fil blir sjekket" in words


def test_marking_an_unknown_attempt_is_not_there(desk: Desk) -> None:
    answer = desk.world.client("tora").post_form(
        f"/attempts/{uuid4()}/marking", {"grade": "4", "version": "0"}
    )
    assert answer.status_code == 404


def test_a_student_sees_no_other_name_than_own_teachers(desk: Desk, work: UUID) -> None:
    desk.handed_in("Bos tekst", name="bo")
    mark(desk, work, give_back=True)
    client = desk.world.client("anna")
    for url in (desk.url(), f"/attempts/{work}", f"/attempts/{work}/receipt"):
        page = seen(client.get(url))
        for name in ("Bo ", "Dag", "Cem", "Even", "Siri", "Bos tekst"):
            assert name not in page, (url, name)
