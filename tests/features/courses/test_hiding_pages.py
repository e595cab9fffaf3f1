"""Before a page is hidden, the teacher sees which pages have links to it."""

from __future__ import annotations

import pytest

from tests.features.courses.author import Author

LINKED = "har lenke"


@pytest.fixture
def linked(author: Author) -> Author:
    """Høvel is published; Sag links to it in a published page, Bor does not, Fil is taken out."""
    author.act("publish")
    author.new("Sag", "Les [om høvelen](hovel).\n", published="y")
    author.new("Bor", "Om hovel, uten lenke.\n")
    author.new("Fil", "Les [om høvelen](hovel).\n")
    author.act("withdraw", "fil")
    return author


@pytest.mark.parametrize(("act", "column"), [("hide", "published"), ("withdraw", "removed")])
def test_the_pages_that_link_are_listed_before_anything_is_done(
    linked: Author, act: str, column: str
) -> None:
    before = linked.stored()
    asked = linked.client.get(f"{linked.url}/items/{linked.page}/{act}").text
    lonely = linked.client.get(f"{linked.url}/items/{linked.item('sag')}/{act}").text

    assert linked.stored() == before, "to look changes nothing"
    assert f"/items/{linked.item('sag')}/edit" in asked
    assert str(linked.item("bor")) not in asked
    assert str(linked.item("fil")) not in asked
    assert "Ingen andre sider har lenke hit." in lonely
    assert linked.act(act).status_code == 303
    assert linked.stored()[column] != before[column]


def test_the_editor_asks_too_and_keeps_what_was_typed(linked: Author) -> None:
    version = linked.stored()["version"]

    asked = linked.save(source="Ny tekst.\n", version=version)

    assert asked.status_code == 200
    assert "Ny tekst." in asked.text
    assert f"/items/{linked.item('sag')}/edit" in asked.text
    assert linked.stored()["published"]
    confirmed = linked.save(source="Ny tekst.\n", version=version, do="hide")
    assert confirmed.status_code == 303
    assert not linked.stored()["published"]
    assert linked.stored()["body_source"] == "Ny tekst.\n"


def test_the_editor_asks_nothing_where_nothing_links(author: Author) -> None:
    author.act("publish")

    assert author.save(version=author.stored()["version"]).status_code == 303
    assert not author.stored()["published"]


def test_a_slug_that_begins_another_is_not_taken_for_it(author: Author) -> None:
    author.new("Høvel", "En til.\n")
    author.new("Sag", "Les [den andre](hovel-2).\n")

    asked = author.client.get(f"{author.url}/items/{author.page}/hide").text

    assert "Ingen andre sider har lenke hit." in asked


def test_nobody_else_sees_what_links(linked: Author) -> None:
    for name in ("siri", "anna", "odd"):
        client = linked.world.client(name)
        assert client.get(f"{linked.url}/items/{linked.page}/hide").status_code == 404
    assert linked.client.get(f"{linked.url}/items/{linked.page}/publish").status_code == 404
