"""Pictures that a teacher adds to a course: their words, their names, what is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.features.courses.author import Author, png
from tests.features.courses.courses_on_disk import SVG


def test_a_picture_is_added_with_words_and_without_what_it_tells(author: Author) -> None:
    shown = author.send_picture(png(b"cell 14, from Anna"), "../Min [Hemmelige] Fil.PNG")

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
    author.send_picture(png(), "a.png")
    again = author.send_picture(png(b"other words"), "b.png")
    other = author.send_picture(SVG, "a.svg")

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
    answer = author.send_picture(data, words=words)

    assert answer.status_code == status
    assert "Typed text" in answer.text, "what was typed is kept"
    assert author.one("SELECT count(*) FROM course_media") == 0


def test_a_picture_that_is_too_large_is_refused(author: Author) -> None:
    answer = author.send_picture(png() + b"\0" * (5 * 1024 * 1024))

    assert answer.status_code == 413
    assert "Typed text" in answer.text
    answer.request.environ["wsgi.input"].close()  # the test client's own temporary file


def test_what_is_wrong_with_a_drawing_is_said_in_the_teachers_language(author: Author) -> None:
    bad = SVG.replace(b"<rect", b"\n<script>1</script>\n<image/><rect")

    answer = author.send_picture(bad, "a.svg")

    assert answer.status_code == 400
    assert "Tegningen kan ikke brukes." in answer.text
    assert "Linje 2: Elementet &lt;script&gt; er ikke tillatt. Ta det bort." in answer.text
    assert "Linje 3: Elementet &lt;image&gt; er ikke tillatt. Ta det bort." in answer.text
    assert "<script>" not in answer.text.split("<main")[1]
