"""Competence aims: written in the browser, named by pages, and marked until they are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from dask_platform.features.courses.content import read_course
from dask_platform.features.courses.load import load_content
from tests.features.courses.author import Author
from tests.features.courses.courses_on_disk import write_course, yaml_with
from tests.world import World

NOT_CHECKED = "Ikke sjekket mot Grep ennå"
AIM = {"code": "KM77", "curriculum": "NOR01-06", "text": "bruke høvelen trygt"}


def aims(author: Author) -> list[dict[str, Any]]:
    with author.world.owner() as uow:
        found = uow.execute(
            text("SELECT * FROM competence_aim WHERE course_id = :id ORDER BY code"),
            {"id": author.course_id},
        ).mappings()
        return [dict(row) for row in found]


def add(author: Author, **changed: str) -> TestResponse:
    return author.client.post_form(f"{author.url}/aims/new", {**AIM, **changed})


def address(author: Author, code: str = "KM77") -> str:
    found = next(one["id"] for one in aims(author) if one["code"] == code)
    return f"{author.url}/aims/{found}"


def seen(page: TestResponse) -> str:
    return page.text.split('name="seen"')[1].split('value="')[1].split('"')[0]


def test_an_aim_is_added_as_of_today_and_not_yet_checked(author: Author) -> None:
    answer = add(author, code=" km 77 ", text="bruke\nhøvelen  trygt")

    assert answer.location == f"{author.url}/aims"
    (kept,) = aims(author)
    assert (kept["code"], kept["curriculum"], kept["text"], kept["verified"]) == (
        "KM77", "NOR01-06", "bruke høvelen trygt", False,
    )  # fmt: skip
    assert abs((kept["as_of"] - author.world.clock.now().date()).days) <= 1
    shown = author.client.get(f"{author.url}/aims").text
    assert NOT_CHECKED in shown
    assert "bruke høvelen trygt" in shown
    assert author.world.audit("course.changed")[-1]["details"]["change"] == "added"


@pytest.mark.parametrize(
    ("field", "value"),
    [("code", "mål nr. 3"), ("code", "KM"), ("code", "KM1" * 20), ("curriculum", "norsk"),
     ("curriculum", ""), ("text", ""), ("text", "…"), ("text", "x" * 5000), ("code", "KM\x001")],
)  # fmt: skip
def test_what_is_no_aim_is_refused_and_kept_in_the_form(
    author: Author, field: str, value: str
) -> None:
    answer = add(author, **{field: value})

    assert answer.status_code in (400, 413)
    assert 'value="NOR01-06"' in answer.text or field == "curriculum"
    assert aims(author) == []


def test_a_code_stands_once_in_a_course(author: Author) -> None:
    add(author)
    add(author, code="KM78")
    page = author.client.get(address(author, "KM78"))

    again = add(author)
    renamed = author.client.post_form(address(author, "KM78"), {**AIM, "seen": seen(page)})

    assert [again.status_code, renamed.status_code] == [400, 400]
    assert [one["code"] for one in aims(author)] == ["KM77", "KM78"]


def test_pages_and_assignments_name_aims_and_the_mark_is_for_staff(author: Author) -> None:
    world = author.world
    add(author)
    add(author, code="KM78", text="kvesse høvelen", verified="y")

    saved = author.save(aims=["KM77", "KM78"], published="y")
    made = author.new("Logg", "Skriv.\n", "assignment", aims=["KM78"], grading="grade",
                      text_wanted="y", files_most=0, megabytes=1)  # fmt: skip
    with world.owner() as uow:
        uow.execute(
            text("UPDATE course_class SET course_id = :course WHERE id = :id"),
            {"course": author.course_id, "id": world.id("class nord")},
        )
    page = f"/classes/{world.id('class nord')}/items/hovel"

    assert [saved.status_code, made.status_code] == [303, 303]
    assert author.stored()["aims"] == ["KM77", "KM78"]
    assert author.stored("logg")["aims"] == ["KM78"]
    by_teacher, by_student = author.client.get(page).text, world.client("anna").get(page).text
    assert by_teacher.count(NOT_CHECKED) == 1
    assert NOT_CHECKED not in by_student
    assert "bruke høvelen trygt" in by_student
    assert "Høvel · Logg" in author.client.get(f"{author.url}/aims").text
    form = author.client.get(author.edit_url).text
    assert form.count("checked") >= 2


def test_a_page_names_no_aim_that_the_course_does_not_have(author: Author) -> None:
    add(author)

    refused = author.save(aims=["KM77", "KM99"], source="Ny tekst.\n")

    assert refused.status_code == 400
    assert "Ny tekst." in refused.text
    assert author.stored()["aims"] == []


def test_a_new_code_follows_to_the_pages_and_their_writers_go_on(author: Author) -> None:
    add(author)
    author.save(aims=["KM77"])
    place = address(author)
    before = author.stored()["version"]

    author.client.post_form(
        place, {**AIM, "code": "KM80", "verified": "y", "seen": seen(author.client.get(place))}
    )

    assert [(one["code"], one["verified"]) for one in aims(author)] == [("KM80", True)]
    assert author.stored()["aims"] == ["KM80"]
    assert author.stored()["version"] == before


def test_an_aim_that_is_removed_leaves_the_pages(author: Author) -> None:
    add(author)
    add(author, code="KM78")
    author.save(aims=["KM77", "KM78"])

    answer = author.client.post_form(f"{address(author)}/remove")

    assert answer.status_code == 303
    assert [one["code"] for one in aims(author)] == ["KM78"]
    assert author.stored()["aims"] == ["KM78"]
    assert author.world.audit("course.changed")[-1]["details"]["change"] == "removed"


def test_of_two_teachers_the_second_sees_what_the_first_wrote(author: Author) -> None:
    add(author)
    place = address(author)
    even = author.world.client("even")
    old = seen(even.get(place))
    author.client.post_form(place, {**AIM, "text": "Toras", "seen": old})

    late = even.post_form(place, {**AIM, "text": "Evens", "seen": old})

    assert late.status_code == 409
    assert "Evens" in late.text
    assert [one["text"] for one in aims(author)] == ["Toras"]
    assert even.post_form(place, {**AIM, "text": "Begges", "seen": seen(late)}).status_code == 303


def test_saving_what_was_there_moves_no_day_and_is_not_noted(author: Author) -> None:
    add(author)
    with author.world.owner() as uow:
        uow.execute(text("UPDATE competence_aim SET as_of = '2020-02-02'"))
    place = address(author)
    noted = len(author.world.audit())

    answer = author.client.post_form(place, {**AIM, "seen": seen(author.client.get(place))})

    assert answer.status_code == 303
    assert aims(author)[0]["as_of"].isoformat() == "2020-02-02"
    assert len(author.world.audit()) == noted


def test_aims_are_written_by_the_school_of_the_course_alone(author: Author) -> None:
    world = author.world
    add(author)
    place = address(author)
    for name in ("siri", "anna", "odd", "sigrid", "olga"):
        client = world.client(name)
        urls = (f"{author.url}/aims", f"{author.url}/aims/new", place)
        assert {client.get(url).status_code for url in urls} == {404}, name
        assert client.post_form(f"{place}/remove").status_code == 404
        assert client.post_form(f"{author.url}/aims/new", AIM).status_code == 404
    for name in ("siri", "anna", "odd"):
        with world.uow(name) as uow:
            for verb in ("UPDATE competence_aim SET text = 'x'", "DELETE FROM competence_aim"):
                assert uow.execute(text(f"{verb} RETURNING id")).all() == [], name
    national = f"/courses/{world.id('course')}/aims"
    assert author.client.get(national).status_code == 200
    assert author.client.get(f"{national}/new").status_code == 404
    assert len(aims(author)) == 1


def test_an_aim_of_another_course_is_not_found_in_this_one(author: Author) -> None:
    add(author)
    aim_id = UUID(address(author).rsplit("/", 1)[1])
    other = Author(author.world)

    assert author.client.get(f"{other.url}/aims/{aim_id}").status_code == 404
    assert author.client.post_form(f"{other.url}/aims/{aim_id}/remove").status_code == 404


def test_files_say_whether_an_aim_is_checked(school: World, folder: Path) -> None:
    plain = write_course(folder)
    unchecked, _ = read_course(plain)
    checked, problems = read_course(
        write_course(
            folder / "to", yaml_with("as_of: 2026-11-01", "as_of: 2026-11-01, verified: true")
        )
    )

    assert unchecked is not None
    assert checked is not None, problems
    assert [unchecked.aims[0].verified, checked.aims[0].verified] == [False, True]
    for place, kept in ((folder / "sveis", False), (folder / "to", True)):
        with school.owner() as uow:
            load_content(uow, school.platform.files, place, now=school.clock.now())
        with school.owner() as uow:
            assert list(uow.scalars(text("SELECT verified FROM competence_aim"))) == [kept]
