"""Saving a draft: nothing that was written is lost, nothing is overwritten unseen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dask_platform.features.handins import service
from dask_platform.kernel.errors import Closed, Conflict, NotVisible, TooLarge
from tests.features.handins.desk import Desk, seen


def test_a_first_save_makes_the_draft_and_a_second_changes_it(desk: Desk) -> None:
    first = desk.save("en")
    assert desk.save("to", version=desk.attempt(first)["version"]) == first
    row = desk.attempt(first)
    assert (row["text"], row["state"], row["number"]) == ("to", "draft", 1)
    kinds = [event["kind"] for event in desk.world.audit()]
    assert kinds == ["attempt.saved", "attempt.saved"]


def test_saving_the_same_text_again_changes_and_records_nothing(desk: Desk) -> None:
    attempt_id = desk.save("samme")
    before = desk.attempt(attempt_id)
    desk.save("samme", version=0)
    assert desk.attempt(attempt_id) == before
    assert len(desk.world.audit()) == 1


def test_a_stale_window_is_refused_and_overwrites_nothing(desk: Desk) -> None:
    attempt_id = desk.save("fra vindu én")
    with pytest.raises(Conflict):
        desk.save("fra vindu to", version=0)
    assert desk.attempt(attempt_id)["text"] == "fra vindu én"


def test_adding_a_file_does_not_make_the_text_in_another_window_old(desk: Desk) -> None:
    attempt_id = desk.save("en")
    version = desk.attempt(attempt_id)["version"]
    file_id = desk.add()
    desk.scan(file_id)
    assert desk.save("to", version=version) == attempt_id


def test_after_the_cutoff_the_text_is_still_kept(desk: Desk) -> None:
    desk.deadline(desk.now - timedelta(days=2), desk.now - timedelta(days=1))
    assert desk.attempt(desk.save("for sent"))["text"] == "for sent"


def test_what_is_handed_in_cannot_be_saved_over(desk: Desk) -> None:
    attempt_id = desk.handed_in("levert")
    with pytest.raises(Closed):
        desk.save("angrer", version=desk.attempt(attempt_id)["version"])
    assert desk.attempt(attempt_id)["text"] == "levert"


def test_a_text_over_the_limit_is_refused_with_the_limit(desk: Desk) -> None:
    with pytest.raises(TooLarge, match=str(service.TEXT_MOST)):
        desk.save("æ" * (service.TEXT_MOST + 1))


def test_an_assignment_without_text_keeps_none(desk: Desk) -> None:
    desk.change("UPDATE course_item SET text_wanted = false WHERE slug = 'brev'")
    assert desk.attempt(desk.save("uønsket"))["text"] == ""


@pytest.mark.parametrize("name", ["dag", "cem", "tora", "sigrid", "olga"])
def test_nobody_outside_the_class_saves(desk: Desk, name: str) -> None:
    with pytest.raises(NotVisible):
        desk.save(name=name)
    assert desk.rows("SELECT * FROM attempt") == []


def test_the_page_keeps_the_typed_text_and_shows_the_stored_one(desk: Desk) -> None:
    client = desk.world.client("anna")
    desk.post_draft(client, "den første")
    answer = desk.post_draft(client, "den andre")
    assert answer.status_code == 409
    assert "den første" in answer.text
    assert "den andre</textarea>" in answer.text
    assert "changed in another window" in seen(answer) or "et annet vindu" in seen(answer)
    version = desk.row("SELECT version FROM attempt")["version"]
    assert f'name="version" type="hidden" value="{version}"' in answer.text
    assert desk.post_draft(client, "den andre", version=str(version)).status_code == 303
    assert desk.row("SELECT text FROM attempt")["text"] == "den andre"


def test_a_replay_of_the_form_after_handing_in_shows_what_was_typed(desk: Desk) -> None:
    desk.handed_in("levert")
    answer = desk.post_draft(desk.world.client("anna"), "skrev mer")
    assert answer.status_code == 409
    assert "skrev mer" in answer.text
    assert desk.row("SELECT text FROM attempt")["text"] == "levert"


def test_form_without_version_is_refused_with_the_text(desk: Desk) -> None:
    answer = desk.post_draft(desk.world.client("anna"), "skrevet", version="ikke et tall")
    assert answer.status_code == 400
    assert "skrevet</textarea>" in answer.text
    assert desk.rows("SELECT * FROM attempt") == []


def test_new_lines_in_every_style_are_one(desk: Desk) -> None:
    assert desk.attempt(desk.save("a\r\nb\rc\u2028d"))["text"] == "a\nb\nc\nd"


def test_markup_in_a_text_is_shown_as_text(desk: Desk) -> None:
    desk.save("<script>alert(1)</script>")
    page = desk.world.client("anna").get(desk.url())
    assert "<script>alert(1)" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def test_the_student_page_takes_few_statements(desk: Desk) -> None:
    desk.save("en")
    client = desk.world.client("anna")
    from dask_platform.web import metrics

    counts = []
    desk.world.app.after_request(lambda answer: counts.append(metrics.sql_statements()) or answer)
    assert client.get(desk.url()).status_code == 200
    assert counts[0] <= 6, f"{counts[0]} statements; join or load together what the page shows"
