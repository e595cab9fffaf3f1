"""Reading a course from files: a good one whole, and nothing that leads out of its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.courses.content import course_folders, read_course, read_courses
from dask_platform.kernel.yaml_reader import YamlReader
from tests.features.courses.conftest import CONTENT
from tests.features.courses.courses_on_disk import (
    SVG,
    YAML,
    Changes,
    second_page,
    write_course,
    yaml_with,
)


def test_reads_a_good_course_whole(tmp_path: Path) -> None:
    course, problems = read_course(write_course(tmp_path))

    assert problems == []
    assert course is not None
    assert [item.slug for item in course.items] == ["lysbue", "utstyr", "logg"]
    assert "[utstyret](utstyr)" in course.items[0].source
    assert "![En firkant](firkant.svg)" in course.items[0].source
    assert course.items[2].grading == "grade"
    assert course.items[2].text_wanted
    assert course.items[2].file_bytes_most == 10 * 1024 * 1024
    assert list(course.media) == ["firkant.svg"]


def test_the_courses_of_this_repository_are_good() -> None:
    courses, problems = read_courses(CONTENT)

    assert [str(problem) for problem in problems] == []
    assert courses is not None
    assert len(courses) >= 3


def test_a_file_that_no_page_uses_is_a_warning(tmp_path: Path) -> None:
    course, problems = read_course(write_course(tmp_path, {"pages/03.md": "Glemt.\n"}))

    assert course is not None
    assert [str(one) for one in problems] == [
        "sveis/pages/03.md:1: warning: No page uses this file."
    ]


@pytest.mark.parametrize("file", ["pages/02.md", "media/firkant.svg", "course.yaml"])
def test_follows_no_symbolic_link(file: str, tmp_path: Path) -> None:
    course_folder = write_course(tmp_path)
    outside = tmp_path / "outside"
    outside.write_bytes((course_folder / file).read_bytes())
    (course_folder / file).unlink()
    (course_folder / file).symlink_to(outside)

    course, problems = read_course(course_folder)

    assert course is None
    assert f"sveis/{file}:1: This is a symbolic link. Put the file itself here." in map(
        str, problems
    )


def test_follows_no_link_to_a_folder(tmp_path: Path) -> None:
    real = write_course(tmp_path / "real")
    (tmp_path / "sveis").symlink_to(real)

    course, problems = read_course(tmp_path / "sveis")

    assert course is None
    assert "symbolic link" in str(problems[0])


def test_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    course_folder = write_course(tmp_path)
    os.mkfifo(course_folder / "pages" / "03.md")

    course, problems = read_course(course_folder)

    assert course is None
    assert [str(one) for one in problems] == ["sveis/pages/03.md:1: This is not a plain file."]


def test_a_link_written_in_an_unusual_way_is_named_not_lost(tmp_path: Path) -> None:
    changes: Changes = {"pages/02.md": "Se [loggen][1].\n\n[1]: ../assignments/01.md\n"}

    course, problems = read_course(write_course(tmp_path, changes))

    assert course is None
    assert str(problems[0]).startswith("sveis/pages/02.md:1: Write links and pictures as")


def test_one_bad_course_refuses_all(tmp_path: Path) -> None:
    write_course(tmp_path)
    write_course(tmp_path, {**yaml_with("slug: sveis", "slug: lodd"), "pages/01.md": None}, "lodd")

    courses, problems = read_courses(tmp_path)

    assert courses is None
    assert any("There is no file pages/01.md" in str(problem) for problem in problems)
    assert all(problem.file.startswith("lodd/") for problem in problems)
    assert [folder.name for folder in course_folders(tmp_path)] == ["lodd", "sveis"]


def test_an_empty_folder_is_no_course(tmp_path: Path) -> None:
    courses, problems = read_courses(tmp_path)

    assert courses is None
    assert "There is no course here." in str(problems[0])


def test_the_hash_tells_of_every_change(tmp_path: Path) -> None:
    def hash_of(name: str, changes: Changes) -> str:
        course, problems = read_course(write_course(tmp_path / name, changes))
        assert course is not None, problems
        return course.hash()

    same = hash_of("a", {})
    assert hash_of("b", {}) == same
    changed = [
        hash_of("c", yaml_with("Om sveising", "Mer om sveising")),
        hash_of("d", second_page("Noe annet. [loggen](../assignments/01.md)\n")),
        hash_of("e", {"media/firkant.svg": SVG.replace(b"#246", b"#642")}),
        hash_of("f", yaml_with("megabytes: 10", "megabytes: 11")),
    ]
    assert len({same, *changed}) == 5


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    reader = YamlReader("f")
    root = reader.root(data)
    assert root is not None or reader.problems


@given(
    st.recursive(
        st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none()),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_any_yaml_in_place_of_any_value_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    written = yaml.safe_dump(value, default_flow_style=True).strip("\n. ")
    text = YAML.replace("Om sveising.", written)
    folder = write_course(tmp_path_factory.mktemp("c"), {"course.yaml": text})

    course, problems = read_course(folder)

    assert (course is None) == any(not one.warning for one in problems)
