"""A bad course is refused with each mistake named by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_platform.features.courses.content import read_course
from tests.features.courses.courses_on_disk import (
    SVG,
    YAML,
    Changes,
    second_page,
    write_course,
    yaml_with,
)

# name → (what is changed, [the beginning of each problem as it is printed])
BAD: dict[str, tuple[Changes, list[str]]] = {
    "no course.yaml": ({"course.yaml": None}, ["sveis/course.yaml:1: There is no course.yaml"]),
    "empty yaml": ({"course.yaml": ""}, ["sveis/course.yaml:1: The file is empty"]),
    "broken yaml": (
        yaml_with("title: Sveising", "title: [Sveising"),
        ["sveis/course.yaml:4: Not valid YAML"],
    ),
    "two documents": (
        {"course.yaml": YAML + "---\nslug: to\n"},
        ["sveis/course.yaml:20: Not valid"],
    ),
    "tab": (
        yaml_with("  - slug: start", "\t- slug: start"),
        ["sveis/course.yaml:9: Not valid YAML"],
    ),
    "control character": (
        yaml_with("Om sveising", "Om\x07sveising"),
        ["sveis/course.yaml:4: Not valid YAML: a character"],
    ),
    "nul": (yaml_with("Om sveising", "Om\x00sveising"), ["sveis/course.yaml:4: Not valid YAML"]),
    "not utf-8": (
        {"course.yaml": YAML.replace("Om sveising", "På").encode("latin-1")},
        ["sveis/course.yaml:4: The file must be saved as UTF-8"],
    ),
    "a list at the top": ({"course.yaml": "- a\n- b\n"}, ["sveis/course.yaml:1: Here must be the"]),
    "a key twice": (
        yaml_with("language: nb\n", "language: nb\nlanguage: nn\n"),
        ["sveis/course.yaml:3: The field 'language' stands twice"],
    ),
    "unknown field": (
        yaml_with("language: nb\n", "language: nb\nprice: 10\n"),
        ["sveis/course.yaml:3: Unknown field 'price'"],
    ),
    "unknown field in an item": (
        yaml_with("title: Utstyret}", "title: Utstyret, colour: red}"),
        ["sveis/course.yaml:13: Unknown field 'colour'"],
    ),
    "a key that is a list": (
        yaml_with("language: nb\n", "language: nb\n? [a, b]\n: c\n"),
        ["sveis/course.yaml:3: Unknown field None"],
    ),
    "missing field": (
        yaml_with("summary: Om sveising.\n", ""),
        ["sveis/course.yaml:1: The field 'summary' is missing"],
    ),
    "several at once": (
        yaml_with("language: nb\ntitle: Sveising", "language: tysk\ntitle: 12"),
        [
            "sveis/course.yaml:2: 'tysk' is not one of nb, nn, en",
            "sveis/course.yaml:3: Here must be text. Put it in quotes",
        ],
    ),
    "no is not Norwegian": (yaml_with("nb", "no"), ["sveis/course.yaml:2: Here must be text"]),
    "slug is not the folder": (
        yaml_with("slug: sveis", "slug: annet"),
        ["sveis/course.yaml:1: The slug must be the folder's: sveis"],
    ),
    "bad slug": (
        yaml_with("slug: lysbue", 'slug: "../lys"'),
        ["sveis/course.yaml:12: A slug has small letters"],
    ),
    "slug twice": (
        yaml_with("slug: utstyr", "slug: lysbue"),
        ["sveis/course.yaml:13: The slug lysbue is used twice"],
    ),
    "bad code": (yaml_with("KM1, c", "kmål, c"), ["sveis/course.yaml:7: 'kmål' is not a code"]),
    "unknown aim": (
        yaml_with("aims: [KM1]}", "aims: [KM2]}"),
        ["sveis/course.yaml:12: The code KM2 is not listed"],
    ),
    "unknown curriculum": (
        yaml_with("curriculum: IKM01-01, text", "curriculum: NOR01-06, text"),
        ["sveis/course.yaml:7: The code NOR01-06 is not listed"],
    ),
    "bad day": (yaml_with("2026-11-01", "2026-13-01"), ["sveis/course.yaml:7: Here must be a day"]),
    "bad grading": (
        yaml_with("grading: grade", "grading: stars"),
        ["sveis/course.yaml:18: 'stars' is not one of grade, passfail"],
    ),
    "too many files": (
        yaml_with("most: 2", "most: 999999999999999999"),
        ["sveis/course.yaml:19: Here must be a whole number from 0 to 10"],
    ),
    "a number in hex": (
        yaml_with("most: 2", "most: 0x2"),
        ["sveis/course.yaml:19: Here must be a"],
    ),
    "files without types": (
        yaml_with("megabytes: 10, types: [pdf, image]", "megabytes: 10"),
        ["sveis/course.yaml:19: Say which types of file"],
    ),
    "asks for nothing": (
        yaml_with("files: {most: 2, megabytes: 10, types: [pdf, image]}", "text: false"),
        ["sveis/course.yaml:14: The assignment asks for nothing"],
    ),
    "text says maybe": (
        yaml_with("grading: grade", "grading: grade\n        text: maybe"),
        ["sveis/course.yaml:19: Here must be true or false"],
    ),
    "an object of Python": (
        yaml_with("title: Sveising", "title: !!python/object/apply:os.system [id]"),
        ["sveis/course.yaml:3: Here must be text"],
    ),
    "alias": (
        yaml_with("title: Sveising\nsummary: Om sveising.", "title: &t Sveising\nsummary: *t"),
        ["sveis/course.yaml:4: Aliases"],
    ),
    "deep": (yaml_with("Om sveising.", "[" * 5000), ["sveis/course.yaml:4: Nested too deep"]),
    "no items": (
        {"course.yaml": YAML[: YAML.index("modules:")] + "modules: []\n"},
        ["sveis/course.yaml:8: The course has no page"],
    ),
    "missing page": (
        yaml_with("pages/02.md", "pages/03.md"),
        [
            "sveis/course.yaml:13: There is no file pages/03.md",
            "sveis/pages/01.md:3: There is no such",
        ],
    ),
    "page twice": (
        yaml_with("pages/02.md", "pages/01.md"),
        [
            "sveis/course.yaml:13: The file pages/01.md is used twice",
            "sveis/pages/01.md:3: There is",
        ],
    ),
    "page outside": (
        yaml_with("pages/02.md", "../annet/pages/02.md"),
        [
            "sveis/course.yaml:13: Here must be a file pages/….md",
            "sveis/pages/01.md:3: There is no",
        ],
    ),
    "page by absolute path": (
        yaml_with("pages/02.md", "/etc/passwd"),
        [
            "sveis/course.yaml:13: Here must be a file pages/….md",
            "sveis/pages/01.md:3: There is no",
        ],
    ),
    "empty page": (second_page(" \n"), ["sveis/pages/02.md:1: The page is empty"]),
    "page not utf-8": (
        {"pages/02.md": "Ett\nTo æ\n".encode("latin-1")},
        ["sveis/pages/02.md:2: Save the file as UTF-8"],
    ),
    "nul in a page": (second_page("a\nb\x00\n"), ["sveis/pages/02.md:2: The file holds a NUL"]),
    "link out": (
        second_page("Ett\n\nSe [vg](https://vg.no/).\n"),
        ["sveis/pages/02.md:3: This link leads out of the platform: https://vg.no/"],
    ),
    "link by name of host": (
        second_page("Se [vg](//vg.no/).\n"),
        ["sveis/pages/02.md:1: This link leads out of the platform: //vg.no/"],
    ),
    "bare address": (
        second_page("Se <https://vg.no/>.\n"),
        ["sveis/pages/02.md:1: This link leads out"],
    ),
    "mail": (second_page("Se <a@b.no>.\n"), ["sveis/pages/02.md:1: This link leads out"]),
    "script in a link": (
        second_page("[x](javascript:alert)\n"),
        ["sveis/pages/02.md:1: This link leads out"],
    ),
    "link by reference": (
        second_page("Se [vg][1].\n\n[1]: https://vg.no/\n"),
        ["sveis/pages/02.md:1: This link leads out"],
    ),
    "link out of the course": (
        second_page("Se [annet](../../annet/pages/01.md).\n"),
        ["sveis/pages/02.md:1: There is no such page"],
    ),
    "link to no page": (
        second_page("Se [x](04.md).\n"),
        ["sveis/pages/02.md:1: There is no such page: 04.md"],
    ),
    "link to course.yaml": (
        second_page("[x](../course.yaml)\n"),
        ["sveis/pages/02.md:1: There is no such"],
    ),
    "picture outside": (
        second_page("![x](https://vg.no/a.png)\n"),
        ["sveis/pages/02.md:1: This picture lies outside"],
    ),
    "picture that is not there": (
        second_page("![x](../media/b.svg)\n"),
        ["sveis/pages/02.md:1: There is no such picture: ../media/b.svg"],
    ),
    "picture out of the course": (
        second_page("![x](../../annet/media/firkant.svg)\n"),
        ["sveis/pages/02.md:1: There is no such picture"],
    ),
    "picture without words": (
        second_page("![](../media/firkant.svg)\n"),
        ["sveis/pages/02.md:1: This picture has no description"],
    ),
    "script": (
        second_page("Ett\n\n<script>alert(1)</script>\n"),
        ["sveis/pages/02.md:3: HTML is not used here: <script>"],
    ),
    "html": (
        second_page("En <b>fet</b> ting\n"),
        ["sveis/pages/02.md:1: HTML is not used here: <b>"],
    ),
    "two mistakes in two files": (
        {"pages/01.md": "# Stor\n", "pages/02.md": "[x](http://a.no)\n"},
        [
            "sveis/pages/01.md:1: Start with ## here",
            "sveis/pages/02.md:1: This link leads out",
        ],
    ),
    "script in a drawing": (
        {"media/firkant.svg": SVG.replace(b"</svg>", b"\n<script>alert(1)</script></svg>")},
        [
            "sveis/media/firkant.svg:2: The drawing cannot be used",
            "sveis/pages/01.md:3: There is no",
        ],
    ),
    "a drawing that is no drawing": (
        {"media/firkant.svg": b"MZ\x90\x00"},
        ["sveis/media/firkant.svg:1: This is not a picture", "sveis/pages/01.md:3: There is no"],
    ),
    "the name says something else": (
        {"media/foto.png": SVG},
        ["sveis/media/foto.png:1: The name's ending does not fit"],
    ),
    "bad name of a picture": (
        {"media/Stor Bokstav.svg": SVG},
        ["sveis/media/Stor Bokstav.svg:1: A picture's name has small letters"],
    ),
    "a folder too many": (
        {"pages/mer/03.md": "Hei\n"},
        ["sveis/pages/mer:1: Only the folders pages, assignments, media"],
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_names_each_mistake_with_file_and_line(name: str, tmp_path: Path) -> None:
    changes, expected = BAD[name]

    course, problems = read_course(write_course(tmp_path, changes))

    said = [str(problem) for problem in problems if not problem.warning]
    assert course is None
    assert len(said) >= len(expected), said
    for beginning in expected:
        assert any(line.startswith(beginning) for line in said), f"{beginning!r} not in {said}"
    assert all("\n" not in line for line in said)
