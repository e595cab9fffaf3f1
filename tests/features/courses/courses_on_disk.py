"""Writing small courses to disk, for tests of reading and loading them."""

from __future__ import annotations

from pathlib import Path

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">'
    b"<title>En firkant</title>"
    b'<rect x="1" y="1" width="8" height="8" fill="#246"/></svg>'
)

YAML = """\
slug: sveis
language: nb
title: Sveising
summary: Om sveising.
curriculum: {code: IKM01-01, title: Industriteknikk}
aims:
  - {code: KM1, curriculum: IKM01-01, text: sveise trygt, as_of: 2026-11-01}
modules:
  - slug: start
    title: Start
    items:
      - {page: pages/01.md, slug: lysbue, title: Lysbuen, aims: [KM1]}
      - {page: pages/02.md, slug: utstyr, title: Utstyret}
      - assignment: assignments/01.md
        slug: logg
        title: Skriv logg
        aims: [KM1]
        grading: grade
        files: {most: 2, megabytes: 10, types: [pdf, image]}
"""

Changes = dict[str, str | bytes | None]
"""Files by name; None: left out."""

FILES: dict[str, str | bytes] = {
    "course.yaml": YAML,
    "pages/01.md": "## Lys\n\nSe [utstyret](02.md) og ![En firkant](../media/firkant.svg).\n",
    "pages/02.md": "Maske og hansker. Skriv så [loggen](../assignments/01.md).\n",
    "assignments/01.md": "Skriv hva du gjorde. Les [om lysbuen](../pages/01.md).\n",
    "media/firkant.svg": SVG,
}


def write_course(folder: Path, changes: Changes | None = None, name: str = "sveis") -> Path:
    """A good course in ``folder/name``, with some files changed, added, or (None) left out."""
    course = folder / name
    for file, content in {**FILES, **(changes or {})}.items():
        if content is None:
            continue
        path = course / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return course


def yaml_with(old: str, new: str) -> Changes:
    """The good ``course.yaml`` with one text in it replaced."""
    assert old in YAML, f"{old!r} is not in the course to be changed: correct the test"
    return {"course.yaml": YAML.replace(old, new, 1)}


def second_page(words: str) -> Changes:
    """The good course with the second page saying something else."""
    return {"pages/02.md": words}
