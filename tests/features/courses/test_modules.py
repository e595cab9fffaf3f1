"""The modules of a course: renamed, moved, deleted when nothing is in them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.features.courses.author import Author


def test_modules_are_renamed_and_moved(author: Author) -> None:
    author.client.post_form(f"{author.url}/modules", {"title": "Materialer"})
    author.client.post_form(f"{author.url}/modules/{author.module}", {"title": "Redskap"})
    author.client.post_form(f"{author.url}/modules/{author.module}/move/down")

    with author.world.owner() as uow:
        titles = uow.scalars(
            text("SELECT title FROM course_module WHERE course_id = :id ORDER BY position"),
            {"id": author.course_id},
        ).all()
    assert titles == ["Materialer", "Redskap"]
    assert author.client.post_form(f"{author.url}/modules", {"title": " "}).status_code == 400


def titles(author: Author) -> list[str]:
    with author.world.owner() as uow:
        found = uow.scalars(
            text("SELECT title FROM course_module WHERE course_id = :id ORDER BY position"),
            {"id": author.course_id},
        )
        return list(found)


def add_empty(author: Author, title: str = "Tom") -> str:
    """The address of a new module."""
    author.client.post_form(f"{author.url}/modules", {"title": title})
    found = author.one(
        "SELECT id FROM course_module WHERE course_id = :course AND title = :title", title=title
    )
    return f"{author.url}/modules/{found}"


def test_an_empty_module_is_deleted_and_it_is_noted(author: Author) -> None:
    address = add_empty(author)
    page = author.client.get(address)

    answer = author.client.post_form(f"{address}/delete")

    assert f"{address}/delete" in page.text
    assert answer.status_code == 303
    assert answer.location == author.url
    assert titles(author) == ["Verktøy"]
    assert author.client.get(address).status_code == 404
    noted = author.world.audit("course.changed")[-1]["details"]
    assert noted["change"] == "deleted"
    assert noted["module"] == address.rsplit("/", 1)[1]


@pytest.mark.parametrize(
    ("published", "reason"), [(True, "har publiserte sider"), (False, "har utkast")]
)
def test_a_module_with_pages_says_why_it_stays(
    author: Author, published: bool, reason: str
) -> None:
    if published:
        author.act("publish")
    address = f"{author.url}/modules/{author.module}"
    page = author.client.get(address)

    answer = author.client.post_form(f"{address}/delete", follow_redirects=True)

    assert f"{address}/delete" not in page.text, "what cannot be done has no button"
    assert reason in page.text
    assert reason in answer.text
    assert "Flytt dem til en annen modul" in answer.text, "the next step is said"
    assert titles(author) == ["Verktøy"]


def test_pages_that_were_taken_out_move_on_and_can_come_back(author: Author) -> None:
    author.act("withdraw")
    address = f"{author.url}/modules/{author.module}"
    alone = author.client.post_form(f"{address}/delete", follow_redirects=True)
    other = add_empty(author, "Materialer").rsplit("/", 1)[1]

    author.client.post_form(f"{address}/delete")
    author.act("restore")

    assert "Lag en modul til" in alone.text
    assert titles(author) == ["Materialer"]
    assert str(author.stored()["module_id"]) == other
    assert not author.stored()["removed"]


def test_only_the_school_of_the_course_deletes_its_modules(author: Author) -> None:
    address = add_empty(author)
    for name in ("siri", "anna", "odd", "olga"):
        assert author.world.client(name).post_form(f"{address}/delete").status_code == 404
    gone = text("DELETE FROM course_module WHERE title = 'Tom' RETURNING id")
    for name in ("siri", "anna", "odd"):
        with author.world.uow(name) as uow:
            assert uow.execute(gone).all() == [], name
    assert titles(author) == ["Verktøy", "Tom"]
