"""Courses as files: reading ``content/<course>/`` and saying everything that is wrong with it.

Shape of a course folder::

    course.yaml     what the course is: titles, competence aims, modules and their items in order
    pages/*.md      one page each
    assignments/*.md
    media/*         pictures

``read_course`` gives the whole course or a list of problems, never half of it. Nothing here knows
the database; ``load.py`` takes what is returned.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

import yaml

from dask_platform.features.courses import pictures
from dask_platform.features.courses.course_content import (
    Aim,
    CourseContent,
    ItemContent,
    ModuleContent,
)
from dask_platform.features.courses.folder import Folder
from dask_platform.features.courses.rendering import (
    item_path,
    media_path,
    portable,
    render_page,
)
from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.yaml_reader import Problem, YamlReader
from dask_platform.security.markdown import render_markdown

LANGUAGES: Final = ("nb", "nn", "en")
GRADINGS: Final = ("grade", "passfail")
FILE_TYPES: Final = ("pdf", "image", "text", "office")
FILES_MOST: Final = 10
MEGABYTES_MOST: Final = 200
SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
CODE: Final = re.compile(r"[A-ZÆØÅ]{2,4}[0-9]{1,6}(?:-[0-9]{1,3})?")

_SHORT, _TITLE, _LONG = 80, 200, 4000
_NO_ID = UUID(int=0)

_COURSE = {"slug": True, "language": True, "title": True, "summary": True, "curriculum": True,
           "aims": True, "modules": True}  # fmt: skip
_CURRICULUM = {"code": True, "title": True}
_AIM = {"code": True, "curriculum": True, "text": True, "as_of": True, "verified": False}
_MODULE = {"slug": True, "title": True, "items": True}
_PAGE = {"page": True, "slug": True, "title": True, "aims": False}
_ASSIGNMENT = {"assignment": True, "slug": True, "title": True, "aims": False, "grading": True,
               "text": False, "files": False}  # fmt: skip
_FILES = {"most": True, "megabytes": False, "types": False}


def course_folders(path: Path) -> list[Path]:
    """The course folders that ``path`` means: itself, or those inside it, in the order of names."""
    if (path / "course.yaml").exists():
        return [path]
    return sorted(
        found for found in path.iterdir() if found.is_dir() and not found.name.startswith(".")
    )


def read_courses(path: Path) -> tuple[list[CourseContent] | None, list[Problem]]:
    """The course in ``path``, or all those inside it, and what is wrong with them.

    With any real problem there are no courses at all.
    """
    read = [read_course(folder) for folder in course_folders(path)]
    problems = [problem for _, found in read for problem in found]
    if not read:
        problems.append(Problem(str(path), 1, "There is no course here."))
    if any(not problem.warning for problem in problems):
        return None, problems
    return [course for course, _ in read if course is not None], problems


def read_course(path: Path) -> tuple[CourseContent | None, list[Problem]]:
    """The course in ``path``, and what is wrong with it. With any real problem the course is None.

    Problems name files as ``<folder>/<file>`` and come in the order of files and lines.
    """
    folder = Folder(path)
    reader = _CourseReader(folder)
    course = reader.read()
    problems = sorted({*folder.problems, *reader.problems})
    return (None if any(not one.warning for one in problems) else course), problems


class _CourseReader:
    """One reading of one folder."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.yaml = YamlReader(folder.shown("course.yaml"))
        self.pages: list[Problem] = []
        self.files: dict[str, str] = {}  # file → slug of the item that is written in it

    @property
    def problems(self) -> list[Problem]:
        return [*self.yaml.problems, *self.pages]

    def read(self) -> CourseContent | None:
        data = self.folder.read("course.yaml")
        root = self.yaml.root(data) if data is not None else None
        top = self.yaml.mapping(root, _COURSE) if root is not None else None
        if data is None:
            self.yaml.refuse(1, "There is no course.yaml in this folder.")
        if top is None:
            return None
        slug = self._slug(top.get("slug"))
        if slug is not None and slug != self.folder.name:
            self.yaml.refuse(top["slug"], f"The slug must be the folder's: {self.folder.name}.")
        language = self.yaml.choice(top.get("language"), LANGUAGES)
        title = self.yaml.text(top.get("title"), most=_TITLE)
        summary = self.yaml.text(top.get("summary"), most=_LONG)
        curricula = self._curricula(top.get("curriculum"))
        aims = self._aims(top.get("aims"), curricula)
        media = self._media()
        modules = self._modules(top.get("modules"), {aim.code for aim in aims})
        modules = self._with_pages(modules, media)
        self.folder.warn_of_unused()
        if None in (slug, language, title, summary):
            return None
        return CourseContent(
            slug or "", language or "", title or "", summary or "", tuple(aims), modules, media
        )

    # course.yaml ------------------------------------------------------------------------------

    def _slug(self, node: yaml.Node | None) -> str | None:
        value = self.yaml.text(node, most=_SHORT)
        if value is not None and node is not None and not SLUG.fullmatch(value):
            self.yaml.refuse(node, "A slug has small letters a–z, digits and single hyphens.")
            return None
        return value

    def _code(self, node: yaml.Node | None, known: set[str] | None = None) -> str | None:
        value = self.yaml.text(node, most=20)
        if value is None or node is None:
            return None
        if not CODE.fullmatch(value):
            self.yaml.refuse(node, f"{value!r} is not a code such as NOR01-06 or KM1234.")
            return None
        if known is not None and value not in known:
            self.yaml.refuse(node, f"The code {value} is not listed in this course.")
            return None
        return value

    def _curricula(self, node: yaml.Node | None) -> set[str]:
        nodes = [node] if isinstance(node, yaml.MappingNode) else self.yaml.sequence(node)
        found: set[str] = set()
        for one in nodes:
            fields = self.yaml.mapping(one, _CURRICULUM) or {}
            code = self._code(fields.get("code"))
            self.yaml.text(fields.get("title"), most=_TITLE)
            if code:
                found.add(code)
        return found

    def _aims(self, node: yaml.Node | None, curricula: set[str]) -> list[Aim]:
        found: list[Aim] = []
        for one in self.yaml.sequence(node):
            fields = self.yaml.mapping(one, _AIM) or {}
            code = self._code(fields.get("code"))
            curriculum = self._code(fields.get("curriculum"), curricula)
            text = self.yaml.text(fields.get("text"), most=_LONG)
            as_of = self.yaml.day(fields.get("as_of"))
            verified = self.yaml.flag(fields.get("verified")) is True
            if code is not None and any(code == aim.code for aim in found):
                self.yaml.refuse(fields["code"], f"The aim {code} stands twice.")
            elif code and curriculum and text and as_of:
                found.append(Aim(code, curriculum, text, as_of, verified))
        return found

    def _modules(self, node: yaml.Node | None, aims: set[str]) -> tuple[ModuleContent, ...]:
        found: list[ModuleContent] = []
        slugs: set[str] = set()
        item_slugs: set[str] = set()
        for one in self.yaml.sequence(node):
            fields = self.yaml.mapping(one, _MODULE) or {}
            slug = self._unique(fields.get("slug"), slugs)
            title = self.yaml.text(fields.get("title"), most=_TITLE)
            items = [
                item
                for entry in self.yaml.sequence(fields.get("items"))
                if (item := self._item(entry, aims, item_slugs)) is not None
            ]
            if slug and title:
                found.append(ModuleContent(slug, title, tuple(items)))
        if node is not None and not self.files and not self.yaml.problems:
            self.yaml.refuse(node, "The course has no page.")
        return tuple(found)

    def _unique(self, node: yaml.Node | None, taken: set[str]) -> str | None:
        slug = self._slug(node)
        if slug is None or node is None:
            return None
        if slug in taken:
            self.yaml.refuse(node, f"The slug {slug} is used twice.")
            return None
        taken.add(slug)
        return slug

    def _item(self, node: yaml.Node, aims: set[str], taken: set[str]) -> ItemContent | None:
        keys = {key.value for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()
        kind = "assignment" if "assignment" in keys else "page"
        fields = self.yaml.mapping(node, _ASSIGNMENT if kind == "assignment" else _PAGE)
        if fields is None:
            return None
        slug = self._unique(fields.get("slug"), taken)
        title = self.yaml.text(fields.get("title"), most=_TITLE)
        codes = [self._code(code, aims) for code in self.yaml.sequence(fields.get("aims"))]
        file = self._page_file(fields.get(kind), f"{kind}s")
        item = ItemContent(file or "", slug or "", title or "", tuple(filter(None, codes)))
        if kind == "assignment":
            item = self._assignment(item, node, fields)
        if file is None or slug is None:
            return None
        self.files[file] = slug
        return item

    def _page_file(self, node: yaml.Node | None, place: str) -> str | None:
        written = self.yaml.text(node, most=_TITLE)
        if written is None or node is None:
            return None
        if not re.fullmatch(rf"{place}/[A-Za-z0-9_.-]+\.md", written):
            self.yaml.refuse(node, f"Here must be a file {place}/….md in this course.")
        elif written in self.files:
            self.yaml.refuse(node, f"The file {written} is used twice.")
        elif not self.folder.has(written):
            self.yaml.refuse(node, f"There is no file {written}.")
        else:
            return written
        return None

    def _assignment(
        self, item: ItemContent, node: yaml.Node, fields: dict[str, yaml.Node]
    ) -> ItemContent:
        files = fields.get("files")
        asked = self.yaml.mapping(files, _FILES) if files is not None else None
        asked = asked or {}
        text_wanted = self.yaml.flag(fields.get("text"))
        megabytes = self.yaml.whole(asked.get("megabytes"), 1, MEGABYTES_MOST)
        listed = self.yaml.sequence(asked.get("types"))
        types = [self.yaml.choice(one, FILE_TYPES) for one in listed]
        most = self.yaml.whole(asked.get("most"), 0, FILES_MOST) or 0
        if most and not types and files is not None:
            self.yaml.refuse(files, f"Say which types of file: {', '.join(FILE_TYPES)}.")
        if text_wanted is False and not most:
            self.yaml.refuse(node, "The assignment asks for nothing: neither text nor files.")
        return replace(
            item,
            grading=self.yaml.choice(fields.get("grading"), GRADINGS),
            text_wanted=text_wanted is not False,
            files_most=most,
            file_bytes_most=(megabytes or 20) * 1024 * 1024,
            file_types=tuple(filter(None, types)),
        )

    # Pages and pictures -----------------------------------------------------------------------

    def _media(self) -> dict[str, pictures.Picture]:
        found: dict[str, pictures.Picture] = {}
        for file in self.folder.files_in("media"):
            name = posixpath.basename(file)
            try:
                found[name] = _picture(name, self.folder.read(file) or b"")
            except pictures.BadDrawing as error:
                for problem in error.problems:
                    self._wrong(
                        file, problem.line, f"The drawing cannot be used: {problem.english}"
                    )
            except Invalid as error:
                self._wrong(file, 1, str(error))
        return found

    def _with_pages(
        self, modules: tuple[ModuleContent, ...], media: dict[str, pictures.Picture]
    ) -> tuple[ModuleContent, ...]:
        return tuple(
            replace(module, items=tuple(self._with_page(item, media) for item in module.items))
            for module in modules
        )

    def _with_page(self, item: ItemContent, media: dict[str, pictures.Picture]) -> ItemContent:
        data = self.folder.read(item.file) or b""
        try:
            source = data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            self._wrong(item.file, data.count(b"\n", 0, error.start) + 1, "Save the file as UTF-8.")
            return item
        if "\x00" in source:
            line = source.count("\n", 0, source.index("\x00")) + 1
            self._wrong(item.file, line, "The file holds a NUL character.")
            return item
        if not source.strip():
            self._wrong(item.file, 1, "The page is empty.")
            return item
        return replace(item, source=self._rendered(item.file, source, media))

    def _rendered(self, file: str, source: str, media: dict[str, pictures.Picture]) -> str:
        """Note what is wrong with the page; give back its text with slugs in place of files."""
        targets: dict[str, str] = {}

        def resolver(target: Callable[[str], str | None]) -> Callable[[str], str | None]:
            def resolve(written: str) -> str | None:
                at = posixpath.normpath(posixpath.join(posixpath.dirname(file), written))
                return target(at)

            return lambda written: note(written, resolve(written))

        def note(written: str, found: str | None) -> str | None:
            if found is not None:
                targets[written] = posixpath.basename(found)
            return found

        def page(at: str) -> str | None:
            return item_path(self.files[at]) if at in self.files else None

        def picture(at: str) -> str | None:
            name = posixpath.basename(at)
            if at != f"media/{name}" or name not in media:
                return None
            self.folder.use(at)
            return media_path(_NO_ID, name)

        try:
            rendered = render_markdown(
                source, resolve_link=resolver(page), resolve_image=resolver(picture)
            )
            for problem in rendered.problems:
                self._wrong(file, problem.line, problem.english)
            if rendered.problems:
                return source
            kept = portable(source, targets)
            ids = dict.fromkeys(media, _NO_ID)
            again = render_page(kept, slugs=set(self.files.values()), media=ids)
        except Invalid as error:
            self._wrong(file, 1, str(error))
            return source
        if again.html != rendered.html:
            line = again.problems[0].line if again.problems else 1
            self._wrong(file, line, "Write links and pictures as [text](file) and ![text](file).")
        return kept

    def _wrong(self, file: str, line: int, message: str) -> None:
        self.pages.append(Problem(self.folder.shown(file), line, message))


def _picture(name: str, data: bytes) -> pictures.Picture:
    if not pictures.NAME.fullmatch(name):
        raise Invalid("A picture's name has small letters a–z, digits, hyphens and full stops.")
    picture = pictures.check_picture(data)
    if name.rpartition(".")[2] not in pictures.EXTENSIONS[picture.mime]:
        raise Invalid("The name's ending does not fit what the picture is.")
    return picture
