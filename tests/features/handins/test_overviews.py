"""Lists: a class at a glance, what waits, what a student has to do, what security sees."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text

from dask_platform.features.handins import queries
from dask_platform.web import metrics
from tests.features.handins.desk import Desk, pdf, seen


def work_url(desk: Desk, which: str = "class nord") -> str:
    return f"/classes/{desk.world.id(which)}/work"


def test_the_teacher_sees_who_has_read_and_handed_in_what(desk: Desk) -> None:
    desk.deadline(desk.now - timedelta(hours=1), None)
    attempt_id = desk.handed_in()
    desk.change(
        "INSERT INTO reading VALUES (:p, :c, :i, now())",
        p=desk.world.id("bo"), c=desk.world.id("class nord"), i=desk.world.id("les"),
    )  # fmt: skip
    page = desk.world.client("tora").get(work_url(desk))
    assert page.status_code == 200
    for word in ("Anna", "Bo", "Brev", "Skjema", f"/attempts/{attempt_id}"):
        assert word in page.text
    words = seen(page)
    assert "Late" in words or "For sent" in words
    assert "Cem" not in words
    assert "Dag" not in words
    (event,) = desk.world.audit("class.list_read")
    assert event["unit_id"] == desk.world.id("nord")


def test_drafts_are_not_in_the_list(desk: Desk) -> None:
    attempt_id = desk.save("uferdig")
    assert str(attempt_id) not in desk.world.client("tora").get(work_url(desk)).text


def test_only_teachers_of_the_class_see_the_list(desk: Desk) -> None:
    for name in ("anna", "even", "siri", "odd", "sigrid", "olga"):
        assert desk.world.client(name).get(work_url(desk)).status_code == 404, name
    assert desk.world.audit("class.list_read") == []


def test_a_class_of_thirty_takes_few_statements(desk: Desk) -> None:
    world = desk.world
    with world.owner() as uow:
        for number in range(28):
            person = uuid4()
            values = {
                "p": person, "n": f"elev{number}", "u": world.id("nord"),
                "c": world.id("class nord"), "i": world.id("brev"), "a": uuid4(),
            }  # fmt: skip
            for statement in (
                "INSERT INTO person (id, kind, username, display_name, locale, active, created_at)"
                " VALUES (:p, 'student', :n, :n, 'nb', true, now())",
                "INSERT INTO placement (id, person_id, unit_id, starts_at)"
                " VALUES (gen_random_uuid(), :p, :u, now() - interval '1 day')",
                "INSERT INTO enrolment (id, class_id, person_id, enrolled_at)"
                " VALUES (gen_random_uuid(), :c, :p, now())",
                "INSERT INTO attempt (id, class_id, item_id, person_id, number, state, text,"
                " started_at, saved_at, handed_in_at, late, file_count, scan_state, version,"
                " receipt) VALUES (:a, :c, :i, :p, 1, 'handed_in', 't', now(), now(), now(),"
                " false, 0, 'clean', 2, :n)",
            ):
                uow.execute(text(statement), values)
    counts: list[int] = []

    def count(answer):  # type: ignore[no-untyped-def]
        counts.append(metrics.sql_statements())
        return answer

    world.app.after_request(count)
    page = world.client("tora").get(work_url(desk))
    assert page.text.count("/attempts/") == 28
    assert counts[0] <= 8, f"{counts[0]} statements; load the students' work together"


def test_a_class_without_students_says_what_to_do(desk: Desk) -> None:
    desk.change("UPDATE enrolment SET ended_at = now()")
    page = desk.world.client("tora").get(work_url(desk))
    assert page.status_code == 200
    assert f"/classes/{desk.world.id('class nord')}" in page.text


def test_the_teachers_queue_counts_what_waits(desk: Desk) -> None:
    desk.handed_in()
    desk.handed_in(name="bo")
    desk.save("utkast", item="skjema")
    for name, expected in (
        ("tora", [(desk.world.id("class nord"), "Norsk nord", 2)]), ("even", []), ("siri", []),
    ):  # fmt: skip
        actor = desk.actor(name)
        with desk.world.uow(name) as uow:
            assert queries.teacher_queue(uow, actor) == expected, name


def test_a_students_tasks_with_state_and_deadline(desk: Desk) -> None:
    due = desk.now + timedelta(days=1)
    desk.deadline(due, None, item="skjema")
    desk.handed_in()
    desk.handed_in(name="bo", item="skjema")
    actor = desk.actor("anna")
    with desk.world.uow("anna") as uow:
        tasks = queries.student_tasks(uow, actor)
    in_class = desk.world.id("class nord")
    assert tasks == [
        (in_class, desk.world.id("skjema"), "Skjema", "Norsk nord", None, due, None),
        (in_class, desk.world.id("brev"), "Brev", "Norsk nord", "handed_in", None, None),
    ]
    outsider = desk.actor("dag")
    with desk.world.uow("dag") as uow:
        assert queries.student_tasks(uow, outsider) == []


def test_security_sees_what_was_stopped_at_own_units_and_no_more(desk: Desk) -> None:
    desk.add(pdf("1"), "stoppet.pdf")
    desk.add(pdf("2"), "ren.pdf")
    desk.change(
        "UPDATE handin_file SET scan_state = 'infected', scan_finding = 'Et funn',"
        " scanned_at = now() WHERE name = 'stoppet.pdf'"
    )
    for name in ("sigrid", "stein"):
        page = desk.world.client(name).get("/quarantine")
        for word in ("stoppet.pdf", "Et funn", "Anna", "Norsk nord", "Brev"):
            assert word in seen(page), (name, word)
        assert "ren.pdf" not in page.text
        assert "/files/" not in page.text
    elsewhere = desk.world.client("sverre").get("/quarantine")
    assert elsewhere.status_code == 200
    assert "stoppet.pdf" not in elsewhere.text
    for name in ("anna", "tora", "odd", "olga"):
        assert desk.world.client(name).get("/quarantine").status_code == 404, name
    read = desk.world.audit("quarantine.read")
    assert [event["actor_name"] for event in read] == ["sigrid", "stein", "sverre"]


def test_a_teacher_sees_the_task_as_the_class_does(desk: Desk) -> None:
    page = desk.world.client("tora").get(desk.url())
    assert page.status_code == 200
    assert "Om brev." in page.text
    assert "<textarea" not in page.text
    for name in ("even", "siri", "sigrid", "olga", "odd"):
        assert desk.world.client(name).get(desk.url()).status_code == 404, name
