"""The front page: what each kind of person meets first."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.world import World


def main_of(page: str) -> str:
    return page.split("<main")[1]


def header_of(page: str) -> str:
    return page.split("<header")[1].split("</header>")[0]


@pytest.mark.parametrize(
    ("name", "unit", "other"),
    [("anna", "Nord fengsel", "Sør fengsel"), ("cem", "Sør fengsel", "Nord fengsel"),
     ("tora", "Nord fengsel", "Sør fengsel"), ("olga", "Nord fengsel", "Sør fengsel")],
)  # fmt: skip
def test_the_header_names_the_unit(shared_world: World, name: str, unit: str, other: str) -> None:
    header = header_of(shared_world.client(name).get("/").text)

    assert unit in header
    assert other not in header


def test_staff_of_two_units_see_both_and_a_stranger_none(world: World) -> None:
    with world.owner() as uow:
        uow.execute(
            text("INSERT INTO staff_role (id, person_id, unit_id, role, source, starts_at)"
                 " VALUES (gen_random_uuid(), :person, :unit, 'teacher', 'local', now())"),
            {"person": world.id("tora"), "unit": world.id("sor")},
        )  # fmt: skip

    assert "Nord fengsel · Sør fengsel" in header_of(world.client("tora").get("/").text)
    assert "fengsel" not in header_of(world.anonymous().get("/login").text)


def test_a_student_knows_a_class_by_its_course_and_a_teacher_by_its_name(
    shared_world: World,
) -> None:
    address = f"/classes/{shared_world.id('class nord')}"
    by_student = main_of(shared_world.client("anna").get("/").text)
    by_teacher = main_of(shared_world.client("tora").get("/").text)

    assert f'href="{address}">Norsk</a>' in by_student
    assert "Nord fengsel" not in by_student
    assert f'href="{address}">Norsk nord</a>' in by_teacher
    assert "Nord fengsel" in by_teacher


def test_nobody_meets_a_class_that_is_not_theirs(shared_world: World) -> None:
    for name in ("cem", "even", "siri", "odd", "sigrid", "olga", "dag"):
        assert "Norsk nord" not in shared_world.client(name).get("/").text, name


def test_a_class_that_has_ended_asks_nothing_of_its_students(world: World) -> None:
    with world.owner() as uow:
        uow.execute(text("UPDATE course_class SET ended_at = now()"))
    page = main_of(world.client("anna").get("/").text)

    assert str(world.id("class nord")) not in page
    assert "Du er ikke i noen klasse ennå" in page
