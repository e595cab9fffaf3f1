"""Loading courses: the same twice changes nothing, an edited one keeps what students did."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from dask_platform.db.unit_of_work import Database
from dask_platform.features.courses.cli import content
from dask_platform.features.courses.load import load_content
from dask_platform.features.courses.models import Course, CourseClass, Item, Media, Module
from dask_platform.kernel.errors import ConfigurationError, FileMissing, Invalid
from dask_platform.kernel.ids import new_id
from tests.features.courses.conftest import CONTENT
from tests.features.courses.courses_on_disk import FILES, SVG, YAML, write_course, yaml_with
from tests.world import World

TABLES = ("course", "course_module", "course_item", "competence_aim", "course_media")


def load(world: World, folder: Path) -> list[bool]:
    """Load, and say of each course whether anything was changed."""
    with world.owner() as uow:
        done = load_content(uow, world.platform.files, folder, now=world.clock.now())
    return [one.changed for one in done]


def rows(world: World) -> dict[str, list[dict[str, Any]]]:
    """Everything the tables of courses hold."""
    with world.owner() as uow:
        return {
            table: [
                dict(row)
                for row in uow.execute(text(f"SELECT * FROM {table} ORDER BY id")).mappings()
            ]
            for table in TABLES
        }


def placed(items: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    return {(row["slug"], row["body_html"], row["position"]) for row in items}


def item(world: World, slug: str) -> Item:
    with world.owner() as uow:
        return uow.scalars(
            select(Item).join(Course, Course.id == Item.course_id)
            .where(Item.slug == slug, Course.slug == "sveis")
        ).one()  # fmt: skip


def test_loads_what_the_files_say(school: World, folder: Path) -> None:
    write_course(folder)

    assert load(school, folder) == [True]

    page = item(school, "lysbue")
    assert '<a href="/items/utstyr">utstyret</a>' in page.body_html
    with school.owner() as uow:
        media = uow.scalars(select(Media).where(Media.name == "firkant.svg")).one()
    assert f'src="/media/{media.id}/firkant.svg"' in page.body_html
    assert b"".join(school.platform.files.open(media.storage_key)) == SVG
    assert item(school, "logg").file_types == ["pdf", "image"]
    (event,) = school.audit("content.loaded")
    assert event["actor_name"] == "content load"
    assert event["details"]["slug"] == "sveis"


def test_loading_twice_changes_nothing(school: World, folder: Path) -> None:
    write_course(folder)
    load(school, folder)
    before, events = rows(school), school.audit()
    school.clock.move(timedelta(hours=1))

    assert load(school, folder) == [False]

    assert rows(school) == before
    assert school.audit() == events


def test_loading_the_courses_of_this_repository_twice_changes_nothing(school: World) -> None:
    assert all(load(school, CONTENT))
    before = rows(school)

    assert not any(load(school, CONTENT))
    assert rows(school) == before


def test_the_way_there_does_not_matter(school: World, folder: Path) -> None:
    """Changing a course and changing it back leaves the rows that a first load would have made."""
    write_course(folder)
    load(school, folder)
    first = placed(rows(school)["course_item"])
    write_course(folder, yaml_with("slug: utstyr", "slug: verneutstyr"))
    load(school, folder)
    write_course(folder)
    load(school, folder)

    kept = [row for row in rows(school)["course_item"] if not row["removed"]]
    assert placed(kept) == first


def test_an_edited_course_keeps_what_students_did(school: World, folder: Path) -> None:
    write_course(folder)
    load(school, folder)
    page, gone = item(school, "lysbue"), item(school, "utstyr")
    class_id = new_id()
    with school.owner() as uow:
        uow.add(
            CourseClass(
                id=class_id, course_id=page.course_id, unit_id=school.id("nord"), name="Sveis",
                created_at=school.clock.now(),
            )
        )  # fmt: skip
        uow.flush()
        for read in (page, gone):
            uow.execute(
                text("INSERT INTO reading VALUES (:person, :class, :item, now())"),
                {"person": school.id("anna"), "class": class_id, "item": read.id},
            )
    write_course(
        folder,
        {
            "course.yaml": YAML.replace("slug: utstyr, title: Utstyret", "slug: nytt, title: Nytt"),
            "pages/01.md": "## Lys\n\nNy tekst. ![En firkant](../media/firkant.svg)\n",
        },
    )

    assert load(school, folder) == [True]

    again = item(school, "lysbue")
    assert again.id == page.id
    assert "Ny tekst" in again.body_html
    assert again.version == page.version + 1
    assert item(school, "utstyr").removed
    assert not item(school, "nytt").removed
    with school.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM reading")) == 2


def test_what_comes_back_is_the_same_item(school: World, folder: Path) -> None:
    write_course(folder)
    load(school, folder)
    before = item(school, "utstyr").id
    write_course(folder, yaml_with("slug: utstyr", "slug: annet"))
    load(school, folder)
    write_course(folder)
    load(school, folder)

    assert item(school, "utstyr").id == before
    assert not item(school, "utstyr").removed
    assert item(school, "annet").removed


def test_a_changed_picture_gets_a_new_address_and_the_old_one_ends(
    school: World, folder: Path
) -> None:
    write_course(folder)
    load(school, folder)
    write_course(folder, {"media/firkant.svg": SVG.replace(b"#246", b"#642")})
    load(school, folder)

    with school.owner() as uow:
        (media,) = uow.scalars(select(Media)).all()
    assert f"/media/{media.id}/firkant.svg" in item(school, "lysbue").body_html
    assert b"#642" in b"".join(school.platform.files.open(media.storage_key))


def test_a_picture_that_the_store_lost_is_put_back(school: World, folder: Path) -> None:
    write_course(folder)
    load(school, folder)
    with school.owner() as uow:
        key = uow.scalars(select(Media.storage_key)).one()
    school.platform.files.delete(key)
    with pytest.raises(FileMissing):
        school.platform.files.stat(key)

    load(school, folder)

    assert school.platform.files.stat(key).size == len(SVG)


def test_modules_move_with_their_pages(school: World, folder: Path) -> None:
    write_course(folder)
    load(school, folder)
    moved = YAML.replace(
        "      - {page: pages/02.md",
        "  - slug: slutt\n    title: Slutt\n    items:\n      - {page: pages/02.md",
    )
    write_course(folder, {"course.yaml": moved})
    load(school, folder)

    with school.owner() as uow:
        placed = uow.execute(
            select(Module.slug, Item.slug, Item.position)
            .join(Item, Item.module_id == Module.id)
            .join(Course, Course.id == Module.course_id)
            .where(Course.slug == "sveis")
            .order_by(Module.position, Item.position)
        ).all()
    assert [tuple(row) for row in placed] == [
        ("start", "lysbue", 1), ("slutt", "utstyr", 1), ("slutt", "logg", 2),
    ]  # fmt: skip


def test_one_bad_course_and_nothing_is_loaded(school: World, folder: Path) -> None:
    write_course(folder)
    write_course(folder, {"pages/02.md": "[x](https://a.no)\n"}, "bad")
    before = rows(school)

    with pytest.raises(ConfigurationError) as caught:
        load(school, folder)

    assert any("bad/pages/02.md:1" in problem for problem in caught.value.problems)
    assert rows(school) == before


def test_an_assignment_does_not_become_a_page(school: World, folder: Path) -> None:
    write_course(folder)
    load(school, folder)
    before = rows(school)
    page = YAML[: YAML.index("      - assignment")] + (
        "      - {page: pages/03.md, slug: logg, title: Logg}\n"
    )
    write_course(folder, {"course.yaml": page, "pages/03.md": "Hei.\n", "pages/02.md": "Maske.\n"})

    with pytest.raises(Invalid, match="cannot become a page"):
        load(school, folder)
    assert rows(school) == before


def test_takes_no_course_from_a_school(school: World, folder: Path) -> None:
    write_course(folder)
    with school.owner() as uow:
        uow.add(
            Course(
                slug="sveis", school_id=school.id("school nord"), language="nb", title="Vår",
                summary="", updated_at=school.clock.now(),
            )
        )  # fmt: skip

    with pytest.raises(Invalid, match="a course that a school has made"):
        load(school, folder)


class Context:
    """What the command line gives a command, with the test school behind it."""

    def __init__(self, world: World) -> None:
        self.platform = world.platform
        self._database = Database(world.url("dask_owner"))

    def owner_database(self) -> Database:
        return self._database

    def close(self) -> None:
        self._database.dispose()


def test_the_command_line(school: World, folder: Path) -> None:
    context = Context(school)
    run = CliRunner().invoke
    good, bad = folder / "good", folder / "bad"
    write_course(good)
    write_course(bad, {"pages/02.md": "[x](https://a.no)\n<b>\n"})

    checked = run(content, ["check", str(good)], obj=context)
    loaded = run(content, ["load", str(good)], obj=context)
    again = run(content, ["load", str(good / "sveis")], obj=context)
    refused = run(content, ["load", str(bad)], obj=context)
    nowhere = run(content, ["load", str(folder / "none")], obj=context)
    context.close()

    assert (checked.exit_code, checked.stdout) == (0, "1 course is good.\n")
    assert (loaded.exit_code, loaded.stdout) == (0, "sveis: loaded, 3 items\n")
    assert (again.exit_code, again.stdout) == (0, "sveis: unchanged, 3 items\n")
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert [line.split(" ")[0] for line in refused.stderr.splitlines()] == [
        "sveis/pages/02.md:1:", "sveis/pages/02.md:2:",
    ]  # fmt: skip
    assert nowhere.exit_code == 2


def test_the_files_of_the_tests_are_a_course(folder: Path) -> None:
    assert set(FILES) == {
        str(path.relative_to(write_course(folder)))
        for path in write_course(folder).rglob("*")
        if path.is_file()
    }
