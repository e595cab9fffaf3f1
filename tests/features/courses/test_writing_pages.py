"""Writing pages and assignments: drafts, previews, order, and two teachers at once."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from tests.features.courses.author import Author


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
