"""Running a class: its people, by hand and by list; its deadlines; who has read what."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from werkzeug.test import TestResponse

from tests.world import Client, World


def enrolled(world: World, unit: str = "nord") -> list[str]:
    """The user names in the class now."""
    with world.owner() as uow:
        return list(
            uow.scalars(
                text(
                    "SELECT p.username FROM enrolment e JOIN person p ON p.id = e.person_id"
                    " WHERE e.class_id = :id AND e.ended_at IS NULL ORDER BY 1"
                ),
                {"id": world.id(f"class {unit}")},
            )
        )


def people(world: World, rest: str = "") -> str:
    return f"/classes/{world.id('class nord')}/people{rest}"


def send_list(
    client: Client, world: World, names: str = "", file: bytes | None = None
) -> TestResponse:
    data: dict[str, object] = {"names": names}
    if file is not None:
        data["file"] = (io.BytesIO(file), "elever.csv")
    return client.post_form(people(world, "/list"), data, content_type="multipart/form-data")


def test_starting_a_class_makes_its_first_teacher(school: World) -> None:
    even = school.client("even")

    answer = even.post_form(
        f"/courses/{school.id('course')}/classes/new",
        {"name": "  Norsk  på torsdag ", "unit_id": school.id("nord")},
    )

    assert answer.status_code == 303
    assert even.get(answer.location).status_code == 200
    shown = even.get("/classes").text
    assert "Norsk på torsdag" in shown
    assert "Norsk nord" not in shown
    (event,) = school.audit("class.created")
    assert event["unit_id"] == school.id("nord")


def test_no_class_at_another_unit_or_of_a_draft_course(school: World) -> None:
    url = f"/courses/{school.id('course')}/classes/new"
    elsewhere = school.client("tora").post_form(url, {"name": "X1", "unit_id": school.id("sor")})
    with school.owner() as uow:
        uow.execute(text("UPDATE course SET published = false"))
    draft = school.client("tora").post_form(url, {"name": "X2", "unit_id": school.id("nord")})

    assert elsewhere.status_code == 400
    assert draft.status_code == 400
    assert 'value="X2"' in draft.text
    assert school.audit("class.created") == []


def test_chosen_students_are_enrolled_and_it_is_noted(school: World) -> None:
    tora = school.client("tora")
    assert "dag" in tora.get(people(school)).text

    answer = tora.post_form(people(school), {"person_id": [school.id("dag"), school.id("anna")]})

    assert answer.status_code == 303
    assert enrolled(school) == ["anna", "bo", "dag"]
    (event,) = school.audit("class.enrolled")
    assert event["subject_id"] == school.id("dag")
    assert school.client("dag").get(f"/classes/{school.id('class nord')}").status_code == 200


def test_students_of_another_unit_and_staff_are_not_enrolled(school: World) -> None:
    tora = school.client("tora")

    for name in ("cem", "even", "tora"):
        answer = tora.post_form(people(school), {"person_id": [school.id("dag"), school.id(name)]})
        assert answer.status_code == 404
    assert enrolled(school) == ["anna", "bo"]


def test_a_list_enrols_everybody_on_it(school: World) -> None:
    answer = send_list(
        school.client("tora"), school, file="\ufeffNavn;Brukernavn\r\nD;dag\r\nA;ANNA\r\n".encode()
    )

    assert answer.status_code == 303
    assert enrolled(school) == ["anna", "bo", "dag"]


def test_one_bad_line_and_nobody_is_enrolled(school: World) -> None:
    answer = send_list(school.client("tora"), school, names="dag\ncem\nnobody\n=1+1\ntora\n")

    assert answer.status_code == 400
    shown = answer.text
    assert enrolled(school) == ["anna", "bo"]
    assert "=1+1" in shown
    for name in ("cem", "nobody", "tora"):
        assert f"«{name}»" in shown
    assert "«dag»" not in shown
    assert "dag\r\ncem" in shown or "dag\ncem" in shown, "what was typed is kept"


def test_a_name_that_is_somebody_elsewhere_reads_like_one_that_is_nobody(school: World) -> None:
    tora = school.client("tora")
    elsewhere = send_list(tora, school, names="cem\n").text
    nobody = send_list(tora, school, names="nix\n").text

    def refusal(shown: str, name: str) -> str:
        return shown.split(f"«{name}»")[1].split("</li>")[0]

    assert refusal(elsewhere, "cem") == refusal(nobody, "nix")


def test_a_long_list_of_strangers_is_answered(school: World) -> None:
    names = "\r\n".join(f"elev{number}" for number in range(10_000))

    answer = send_list(school.client("tora"), school, file=names.encode())

    assert answer.status_code == 400
    assert "elev49" in answer.text
    assert len(answer.text) < 200_000


def test_an_empty_list_or_a_huge_file_is_refused(school: World) -> None:
    tora = school.client("tora")
    assert send_list(tora, school).status_code == 400
    huge = send_list(tora, school, file=b"a" * (1024 * 1024 + 10))
    assert huge.status_code == 413
    huge.request.environ["wsgi.input"].close()  # the test client's own temporary file


def test_taking_a_student_out_closes_the_class_for_them(school: World) -> None:
    anna = school.client("anna")

    answer = school.client("tora").post_form(
        people(school, "/remove"), {"person_id": school.id("anna")}
    )

    assert answer.status_code == 303
    assert enrolled(school) == ["bo"]
    assert anna.get(f"/classes/{school.id('class nord')}").status_code == 404
    assert school.audit("class.unenrolled")[0]["subject_id"] == school.id("anna")
    again = school.client("tora").post_form(people(school), {"person_id": school.id("anna")})
    assert again.status_code == 303
    assert enrolled(school) == ["anna", "bo"]


def test_only_the_teachers_of_the_class_run_it(school: World) -> None:
    urls = (
        people(school),
        f"/classes/{school.id('class nord')}/readings",
        f"/classes/{school.id('class nord')}/deadlines",
        f"/classes/{school.id('class nord')}/deadlines/{school.id('brev')}",
    )
    for name in ("anna", "dag", "even", "siri", "odd", "sigrid", "olga"):
        client = school.client(name)
        assert [client.get(url).status_code for url in urls] == [404] * 4, name
        posts = [
            client.post_form(people(school), {"person_id": school.id("dag")}),
            client.post_form(people(school, "/list"), {"names": "dag"}),
            client.post_form(people(school, "/remove"), {"person_id": school.id("bo")}),
            client.post_form(
                f"/classes/{school.id('class nord')}/teachers", {"person_id": school.id("even")}
            ),
        ]
        assert [answer.status_code for answer in posts] == [404] * 4, name
    assert enrolled(school) == ["anna", "bo"]


def test_the_database_refuses_what_the_application_would_not_ask(school: World) -> None:
    enrol = text(
        "INSERT INTO enrolment (id, class_id, person_id, enrolled_at) VALUES"
        " (gen_random_uuid(), :class, :person, now())"
    )
    for who, person, unit in (
        ("even", "dag", "nord"),  # teaches, but not this class
        ("tora", "cem", "nord"),  # a student who is elsewhere
        ("tora", "dag", "sor"),  # somebody else's class
        ("dag", "dag", "nord"),  # oneself
    ):
        with pytest.raises(ProgrammingError, match="row-level security"), school.uow(who) as uow:
            uow.execute(enrol, {"class": school.id(f"class {unit}"), "person": school.id(person)})


def test_a_colleague_is_added_and_taken_out(school: World) -> None:
    tora, even = school.client("tora"), school.client("even")
    url = f"/classes/{school.id('class nord')}/teachers"

    assert tora.post_form(url, {"person_id": school.id("even")}).status_code == 303
    assert tora.post_form(url, {"person_id": school.id("even")}).status_code == 303
    assert even.get(people(school)).status_code == 200
    assert even.post_form(f"{url}/remove", {"person_id": school.id("tora")}).status_code == 303
    last = even.post_form(f"{url}/remove", {"person_id": school.id("even")})

    assert last.status_code == 400
    assert tora.get(people(school)).status_code == 404
    assert len(school.audit("class.teacher_added")) == 1
    assert len(school.audit("class.teacher_removed")) == 1


def test_only_those_who_teach_at_the_unit_are_added(school: World) -> None:
    tora = school.client("tora")
    for name in ("siri", "odd", "sigrid", "anna"):
        answer = tora.post_form(
            f"/classes/{school.id('class nord')}/teachers", {"person_id": school.id(name)}
        )
        assert answer.status_code == 404, name


def test_two_teachers_who_take_each_other_out_leave_one(school: World) -> None:
    url = f"/classes/{school.id('class nord')}/teachers"
    tora, even = school.client("tora"), school.client("even")
    tora.post_form(url, {"person_id": school.id("even")})
    barrier = Barrier(2)

    def remove(client: Client, other: str) -> None:
        barrier.wait()
        client.post_form(f"{url}/remove", {"person_id": school.id(other)})

    threads = [
        Thread(target=remove, args=(tora, "even")), Thread(target=remove, args=(even, "tora"))
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with school.owner() as uow:
        left = uow.scalar(
            text("SELECT count(*) FROM class_teacher WHERE class_id = :id"),
            {"id": school.id("class nord")},
        )
    assert left == 1


def test_opening_the_class_list_is_noted(school: World) -> None:
    school.client("tora").get(people(school))

    (event,) = school.audit("class.list_read")
    assert event["actor_name"] == "tora"
    assert event["object_id"] == str(school.id("class nord"))


def test_who_has_read_what(school: World) -> None:
    school.client("anna").get(f"/classes/{school.id('class nord')}/items/les")

    shown = school.client("tora").get(f"/classes/{school.id('class nord')}/readings").text

    anna, bo = (shown.split(f">{name}<")[1].split("</tr>")[0] for name in ("Anna", "Bo"))
    assert "Les" not in anna
    assert "Les" in bo
    assert "Kladd" not in shown


def deadline_url(world: World) -> str:
    return f"/classes/{world.id('class nord')}/deadlines/{world.id('brev')}"


def deadline(world: World) -> tuple[datetime | None, datetime | None] | None:
    with world.owner() as uow:
        row = uow.execute(text("SELECT due_at, cutoff_at FROM class_deadline")).first()
    return tuple(row) if row else None  # type: ignore[return-value]


def test_a_deadline_is_entered_by_norwegian_time(school: World) -> None:
    tora = school.client("tora")
    answer = tora.post_form(
        deadline_url(school),
        {"due_at": "2126-07-01T12:00", "cutoff_at": "2126-12-01T12:00", "seen": "- -"},
    )

    assert answer.status_code == 303
    assert deadline(school) == (
        datetime(2126, 7, 1, 10, tzinfo=UTC), datetime(2126, 12, 1, 11, tzinfo=UTC),
    )  # fmt: skip
    assert 'value="2126-07-01T12:00"' in tora.get(deadline_url(school)).text
    (event,) = school.audit("class.deadline_set")
    assert event["details"]["due_at"].startswith("2126-07-01 10:00")


@pytest.mark.parametrize(
    ("due", "cutoff"),
    [
        ("2126-07-02T12:00", "2126-07-01T12:00"),
        ("soon", ""),
        ("2126-13-01T12:00", ""),
        ("0001-01-01T00:00", ""),
        ("9999-12-31T23:59", "x"),
    ],
)
def test_a_deadline_that_makes_no_sense_is_refused(school: World, due: str, cutoff: str) -> None:
    answer = school.client("tora").post_form(
        deadline_url(school), {"due_at": due, "cutoff_at": cutoff, "seen": "- -"}
    )

    assert answer.status_code == 400
    assert deadline(school) in (None, (None, None))


def test_a_deadline_that_another_teacher_changed_is_not_overwritten(school: World) -> None:
    tora = school.client("tora")
    tora.post_form(deadline_url(school), {"due_at": "2126-07-01T12:00", "seen": "- -"})
    late = tora.post_form(deadline_url(school), {"due_at": "2126-08-01T12:00", "seen": "- -"})

    assert late.status_code == 409
    assert "2126-08-01T12:00" in late.text, "what was typed is kept"
    assert deadline(school) == (datetime(2126, 7, 1, 10, tzinfo=UTC), None)
    seen = late.text.split('name="seen"')[1].split('value="')[1].split('"')[0]
    again = tora.post_form(deadline_url(school), {"due_at": "2126-08-01T12:00", "seen": seen})
    assert again.status_code == 303


def test_a_deadline_is_taken_away_again(school: World) -> None:
    tora = school.client("tora")
    tora.post_form(deadline_url(school), {"due_at": "2126-07-01T12:00", "seen": "- -"})
    seen = tora.get(deadline_url(school)).text.split('name="seen"')[1].split('value="')[1]
    tora.post_form(deadline_url(school), {"due_at": "", "seen": seen.split('"')[0]})

    assert deadline(school) == (None, None)


def test_a_deadline_belongs_to_the_class_and_to_an_assignment(school: World) -> None:
    tora = school.client("tora")
    page = f"/classes/{school.id('class nord')}/deadlines/{school.id('les')}"
    other = f"/classes/{school.id('class sor')}/deadlines/{school.id('brev')}"

    assert tora.get(page).status_code == 404
    assert tora.post_form(other, {"due_at": "2126-07-01T12:00"}).status_code == 404
    assert deadline(school) is None


def test_past_times_may_be_set(school: World) -> None:
    yesterday = (school.clock.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    answer = school.client("tora").post_form(
        deadline_url(school), {"cutoff_at": yesterday, "seen": "- -"}
    )
    assert answer.status_code == 303
