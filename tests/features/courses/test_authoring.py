"""Making, copying and changing a course in the browser, and who may."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from dask_platform.features.courses.load import load_content
from tests.features.courses.author import Author
from tests.features.courses.conftest import CONTENT


def test_a_course_is_made_and_a_class_reads_it(author: Author) -> None:
    world = author.world
    author.save(published="y", source="## Høvelen\n\nHold den **skarp**.\n")
    publish = {"title": "Sløyd", "summary": "Om tre.", "language": "nb", "published": "y"}
    version = author.one("SELECT version FROM course WHERE id = :course")
    saved = author.client.post_form(f"{author.url}/edit", {**publish, "version": version})
    made = author.client.post_form(
        f"{author.url}/classes/new", {"name": "Sløyd A", "unit_id": world.id("nord")}
    )
    author.client.post_form(made.location, {"person_id": world.id("anna")})

    assert saved.status_code == 303
    shown = world.client("anna").get(made.location.removesuffix("/people") + "/items/hovel")
    assert "<strong>skarp</strong>" in shown.text
    kinds = {event["kind"] for event in world.audit()}
    assert {"course.created", "course.changed", "class.created", "class.enrolled"} <= kinds


def test_a_national_course_is_copied_not_edited(author: Author) -> None:
    world = author.world
    with world.owner() as uow:
        load_content(uow, world.platform.files, CONTENT, now=world.clock.now())
    original = author.one("SELECT id FROM course WHERE slug = 'digital-grunnkurs'")

    assert author.client.get(f"/courses/{original}").status_code == 200
    assert author.client.get(f"/courses/{original}/edit").status_code == 404
    copied = author.client.post_form(
        f"/courses/{original}/copy", {"school_id": world.id("school nord")}
    )

    assert copied.status_code == 303
    copy = copied.location.rsplit("/", 1)[1]
    with world.owner() as uow:
        bodies = {
            course: uow.execute(
                text("SELECT slug, title, body_source, published, aims FROM course_item"
                     " WHERE course_id = :id ORDER BY slug"),
                {"id": course},
            ).all()
            for course in (str(original), copy)
        }  # fmt: skip
        media = set(uow.scalars(
            text("SELECT id FROM course_media WHERE course_id = :id"), {"id": copy}
        ))  # fmt: skip
        html = "".join(uow.scalars(
            text("SELECT body_html FROM course_item WHERE course_id = :id"), {"id": copy}
        ))  # fmt: skip
    assert bodies[str(original)] == bodies[copy]
    assert media
    named = {UUID(part.split("/")[0]) for part in html.split('src="/media/')[1:]}
    assert named == media, "the copy shows its own pictures, and all of them"
    assert author.client.get(f"{copied.location}/edit").status_code == 200


def test_a_course_is_edited_by_its_own_school_alone(author: Author) -> None:
    world = author.world
    urls = (author.url, f"{author.url}/edit", author.edit_url, f"{author.url}/items/hovel")

    for name in ("siri", "anna", "odd", "sigrid", "olga", "cem"):
        client = world.client(name)
        assert {client.get(url).status_code for url in urls} == {404}, name
        assert author.save(client, source="Hacket.\n").status_code == 404
        assert client.post_form(f"{author.url}/items/{author.page}/publish").status_code == 404
    even = world.client("even")
    assert {even.get(url).status_code for url in urls} == {200}
    assert author.stored()["body_source"] == "Om høvelen.\n"


def test_a_course_is_not_made_for_another_school(author: Author) -> None:
    world = author.world
    answer = author.client.post_form(
        "/courses/new",
        {"title": "X", "summary": "x", "language": "nb", "school_id": world.id("school sor")},
    )
    assert answer.status_code == 400
    copied = author.client.post_form(
        f"/courses/{world.id('course')}/copy", {"school_id": world.id("school sor")}
    )
    assert copied.status_code == 404


def test_the_database_refuses_changes_to_what_is_not_ones_own(author: Author) -> None:
    world = author.world
    change = text("UPDATE course_item SET title = 'x' WHERE course_id = :id RETURNING id")
    insert = text(
        "INSERT INTO course_module (id, course_id, slug, title, position)"
        " VALUES (gen_random_uuid(), :id, 'x', 'x', 9)"
    )
    for who, course in (
        ("siri", author.course_id),
        ("anna", author.course_id),
        ("odd", author.course_id),
        ("tora", world.id("course")),
    ):
        with world.uow(who) as uow:
            assert uow.execute(change, {"id": course}).all() == []
        with pytest.raises(ProgrammingError, match="row-level security"), world.uow(who) as uow:
            uow.execute(insert, {"id": course})


def test_a_course_that_somebody_else_changed_is_not_overwritten(author: Author) -> None:
    old = {"title": "Sløyd", "summary": "Om tre.", "language": "nb", "version": 1}
    author.client.post_form(f"{author.url}/edit", {**old, "title": "Først"})

    late = author.client.post_form(f"{author.url}/edit", {**old, "title": "Sist"})

    assert late.status_code == 409
    assert 'value="Sist"' in late.text
    assert author.one("SELECT title FROM course WHERE id = :course") == "Først"


def test_titles_in_any_script_get_an_address(author: Author) -> None:
    author.new("Πλάνη", "a\n")
    author.new("مسحاج", "b\n")
    author.new("Høvel", "c\n")

    with author.world.owner() as uow:
        slugs = uow.scalars(
            text("SELECT slug FROM course_item WHERE course_id = :id ORDER BY position"),
            {"id": author.course_id},
        ).all()
    assert slugs == ["hovel", "side", "side-2", "hovel-2"]
