"""Writing courses in the browser: drafts, previews, pictures, order, and two teachers at once."""

from __future__ import annotations

import io
import zlib
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from werkzeug.test import TestResponse

from dask_platform.features.courses.load import load_content
from tests.features.courses.conftest import CONTENT
from tests.features.courses.courses_on_disk import SVG
from tests.world import Client, World


def png(comment: bytes = b"") -> bytes:
    """One black dot, with a text chunk that tells more than it shows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0")
    told = chunk(b"tEXt", b"Comment\0" + comment) if comment else b""
    body = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + told + body + chunk(b"IEND", b"")


def form(client: Client, url: str, data: dict[str, Any]) -> TestResponse:
    return client.post_form(url, data, content_type="multipart/form-data")


class Author:
    """A teacher with a course of the school, one module and one page in it."""

    def __init__(self, world: World, name: str = "tora") -> None:
        self.world = world
        self.client = world.client(name)
        made = self.client.post_form(
            "/courses/new",
            {
                "title": "Sløyd i praksis",
                "summary": "Om tre.",
                "language": "nb",
                "school_id": world.id("school nord"),
            },
        )
        self.url = made.location
        self.course_id = UUID(self.url.rsplit("/", 1)[1])
        self.client.post_form(f"{self.url}/modules", {"title": "Verktøy"})
        self.module = self.one("SELECT id FROM course_module WHERE course_id = :course")
        self.new("Høvel", "Om høvelen.\n")
        self.page = self.item("hovel")

    def one(self, sql: str, **values: Any) -> Any:
        with self.world.owner() as uow:
            return uow.scalar(text(sql), {"course": self.course_id, **values})

    def item(self, slug: str) -> UUID:
        return UUID(
            str(
                self.one(
                    "SELECT id FROM course_item WHERE course_id = :course AND slug = :slug",
                    slug=slug,
                )
            )
        )

    def stored(self, slug: str = "hovel") -> dict[str, Any]:
        with self.world.owner() as uow:
            row = uow.execute(
                text("SELECT * FROM course_item WHERE course_id = :course AND slug = :slug"),
                {"course": self.course_id, "slug": slug},
            ).mappings()
            return dict(row.one())

    def new(self, title: str, source: str, kind: str = "page", **more: Any) -> TestResponse:
        data = {"title": title, "source": source, "module_id": self.module, "do": "save", **more}
        return form(self.client, f"{self.url}/modules/{self.module}/new/{kind}", data)

    def save(self, client: Client | None = None, **more: Any) -> TestResponse:
        data = {
            "title": "Høvel",
            "source": "Om høvelen.\n",
            "module_id": self.module,
            "version": 1,
            "do": "save",
            **more,
        }
        return form(client or self.client, self.edit_url, data)

    @property
    def edit_url(self) -> str:
        return f"{self.url}/items/{self.page}/edit"

    def act(self, act: str, slug: str = "hovel") -> TestResponse:
        return self.client.post_form(f"{self.url}/items/{self.item(slug)}/{act}")


@pytest.fixture
def author(school: World) -> Author:
    return Author(school)


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


def test_a_draft_may_have_mistakes_but_is_not_published_with_them(author: Author) -> None:
    source = "Se [vg](https://vg.no/).\n\n<script>alert(1)</script>\n"

    draft = author.save(source=source)
    refused = author.save(source=source, published="y", version=2)
    by_button = author.act("publish")

    assert draft.status_code == 303
    assert refused.status_code == 400
    assert "https://vg.no/" in refused.text
    assert "&lt;script&gt;" in refused.text
    assert by_button.location == author.edit_url
    page = author.stored()
    assert not page["published"]
    assert "href" not in page["body_html"]
    assert "<script" not in page["body_html"]


def test_the_preview_keeps_nothing_and_shows_everything(author: Author) -> None:
    before = author.stored()

    shown = author.save(source="## Ny\n\n[høvel](hovel) [ut](//a.no)\n", do="preview")

    assert shown.status_code == 200
    assert "<h2>Ny</h2>" in shown.text
    assert f'href="{author.url}/items/hovel"' in shown.text
    assert "//a.no" in shown.text
    assert author.stored() == before


def test_the_second_of_two_teachers_is_refused_and_loses_nothing(author: Author) -> None:
    world = author.world
    even = world.client("even")
    author.save(source="Toras tekst.\n")

    late = author.save(even, source="Evens tekst.\n")

    assert late.status_code == 409
    assert "Evens tekst." in late.text
    assert "Toras tekst." in late.text
    assert author.stored()["body_source"] == "Toras tekst.\n"
    version = late.text.split('name="version"')[1].split('value="')[1].split('"')[0]
    assert author.save(even, source="Begges.\n", version=version).status_code == 303
    assert author.stored()["body_source"] == "Begges.\n"


def test_of_two_saves_in_the_same_moment_one_wins(author: Author) -> None:
    clients = [author.world.client("even"), author.world.client("tora")]
    barrier = Barrier(2)
    statuses: list[int] = []

    def save(number: int) -> None:
        barrier.wait()
        answer = author.save(clients[number], source=f"Tekst {number}.\n")
        statuses.append(answer.status_code)

    threads = [Thread(target=save, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [303, 409]
    assert author.stored()["version"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": "***"},
        {"source": ""},
        {"source": "x" * 200_001},
        {"source": "a\x00b"},
        {"module_id": "00000000-0000-0000-0000-000000000000"},
        {"module_id": "x"},
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_changed(
    author: Author, wrong: dict[str, str]
) -> None:
    before = author.stored()
    answer = author.save(**wrong)

    assert answer.status_code in (400, 413)
    assert author.stored() == before


@pytest.mark.parametrize("version", ["", "x", "-1", "99999999999999999999", "2"])
def test_a_version_that_is_not_the_present_one_is_a_conflict(author: Author, version: str) -> None:
    assert author.save(version=version, source="Ny.\n").status_code == 409
    assert author.stored()["body_source"] == "Om høvelen.\n"


def test_an_assignment_says_what_it_takes(author: Author) -> None:
    asked = {
        "grading": "passfail", "text_wanted": "y", "files_most": 2, "megabytes": 7,
        "file_types": ["pdf", "image"],
    }  # fmt: skip
    good = author.new("Lag en krakk", "Lag den.\n", "assignment", **asked)
    nothing = author.new(
        "Ingenting", "x\n", "assignment", grading="grade", files_most=0, megabytes=1
    )
    no_types = author.new(
        "Filer", "x\n", "assignment", grading="grade", text_wanted="y", files_most=1, megabytes=1
    )
    odd = author.new("Rar", "x\n", "assignment", **{**asked, "grading": "stars"})
    many = author.new("Mange", "x\n", "assignment", **{**asked, "files_most": 99})

    assert good.status_code == 303
    assert [one.status_code for one in (nothing, no_types, odd, many)] == [400] * 4
    kept = author.stored("lag-en-krakk")
    assert (kept["grading"], kept["files_most"], kept["file_bytes_most"]) == (
        "passfail", 2, 7 * 1024 * 1024,
    )  # fmt: skip
    assert kept["file_types"] == ["pdf", "image"]


def test_pages_move_up_and_down_without_disturbing_who_writes(author: Author) -> None:
    author.new("Sag", "Om saga.\n")
    author.new("Bor", "Om bor.\n")

    def order() -> list[str]:
        with author.world.owner() as uow:
            return list(
                uow.scalars(
                    text("SELECT slug FROM course_item WHERE course_id = :id ORDER BY position"),
                    {"id": author.course_id},
                )
            )

    assert order() == ["hovel", "sag", "bor"]
    assert author.act("up", "bor").status_code == 303
    assert order() == ["hovel", "bor", "sag"]
    author.act("up", "hovel")
    author.act("down", "sag")
    assert order() == ["hovel", "bor", "sag"]
    author.act("down")
    assert order() == ["bor", "hovel", "sag"]
    assert author.save(source="Ny.\n").status_code == 303


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


def test_a_page_is_withdrawn_and_brought_back_as_a_draft(author: Author) -> None:
    author.act("publish")
    assert author.stored()["published"]
    author.act("withdraw")

    assert author.stored()["removed"]
    assert author.client.get(f"{author.url}/items/hovel").status_code == 404
    assert author.client.get(author.edit_url).status_code == 404
    author.act("restore")
    assert not author.stored()["removed"]
    assert not author.stored()["published"]


def send_picture(
    author: Author, data: bytes, name: str = "IMG.png", words: str = "En prikk"
) -> Any:
    return author.save(
        do="picture", picture=(io.BytesIO(data), name), picture_text=words, source="Typed text\n"
    )


def test_a_picture_is_added_with_words_and_without_what_it_tells(author: Author) -> None:
    shown = send_picture(author, png(b"cell 14, from Anna"), "../Min [Hemmelige] Fil.PNG")

    assert shown.status_code == 200
    assert "Typed text" in shown.text
    assert "![En prikk](min-hemmelige-fil.png)" in shown.text
    with author.world.owner() as uow:
        media = dict(uow.execute(text("SELECT * FROM course_media")).mappings().one())
    kept = b"".join(author.world.platform.files.open(media["storage_key"]))
    assert kept == png()
    assert media["mime"] == "image/png"
    saved = author.save(source="![En prikk](min-hemmelige-fil.png)\n", published="y")
    assert saved.status_code == 303
    url = f"/media/{media['id']}/min-hemmelige-fil.png"
    assert url in author.stored()["body_html"]
    assert author.client.get(url).data == png()


def test_the_same_picture_is_kept_once_and_another_gets_another_name(author: Author) -> None:
    send_picture(author, png(), "a.png")
    again = send_picture(author, png(b"other words"), "b.png")
    other = send_picture(author, SVG, "a.svg")

    assert "(a.png)" in again.text
    assert "(a-2.svg)" in other.text
    assert author.one("SELECT count(*) FROM course_media") == 2


@pytest.mark.parametrize(
    ("data", "words", "status"),
    [
        (png(), "", 400),
        (png(), "   ", 400),
        (b"MZ not a picture", "x", 400),
        (b"<html><script>alert(1)</script></html>", "x", 400),
        (SVG.replace(b"<rect", b"<script>1</script><rect"), "x", 400),
        (png()[:-20], "x", 400),
        (b"", "x", 400),
    ],
)
def test_what_is_no_picture_or_has_no_words_is_refused(
    author: Author, data: bytes, words: str, status: int
) -> None:
    answer = send_picture(author, data, words=words)

    assert answer.status_code == status
    assert "Typed text" in answer.text, "what was typed is kept"
    assert author.one("SELECT count(*) FROM course_media") == 0


def test_a_picture_that_is_too_large_is_refused(author: Author) -> None:
    answer = send_picture(author, png() + b"\0" * (5 * 1024 * 1024))

    assert answer.status_code == 413
    assert "Typed text" in answer.text
    answer.request.environ["wsgi.input"].close()  # the test client's own temporary file


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
