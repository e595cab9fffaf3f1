"""Handing in: final, once, in time or late or not at all; and trying again after a return."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from dask_platform.features.handins import service
from dask_platform.kernel.clock import from_oslo
from dask_platform.kernel.errors import Closed, Conflict, Invalid, NotVisible
from tests.features.handins.desk import Desk, pdf, seen


def last_step(desk: Desk, attempt_id: UUID) -> dict[str, str]:
    return {"attempt": str(attempt_id), "shown": desk.shown(attempt_id)}


def returned(desk: Desk, attempt_id: UUID) -> None:
    desk.change("UPDATE attempt SET state = 'returned' WHERE id = :id", id=attempt_id)


def test_the_way_of_a_student_from_form_to_receipt(desk: Desk) -> None:
    client = desk.world.client("anna")
    answer = desk.post_draft(client, "Kjære skole", (pdf(), "brev.pdf"), next="hand-in")
    assert answer.location == desk.url("/hand-in")
    page = client.get(answer.location)
    assert "Kjære skole" in page.text
    assert "brev.pdf" in page.text
    fields = dict(re.findall(r'name="(attempt|shown)" type="hidden" value="([^"]+)"', page.text))
    done = client.post_form(desk.url("/hand-in"), fields)
    assert done.status_code == 303
    receipt = client.get(done.location)
    row = desk.row("SELECT * FROM attempt")
    file = desk.row("SELECT * FROM handin_file")
    assert row["text_sha256"] == hashlib.sha256("Kjære skole".encode()).hexdigest()
    for proof in (row["receipt"], row["text_sha256"], file["sha256"], "brev.pdf"):
        assert proof in receipt.text
    assert (row["state"], row["file_count"], row["handed_in_at"]) == ("handed_in", 1, desk.now)
    (event,) = desk.world.audit("attempt.handed_in")
    assert event["details"]["receipt"] == row["receipt"]
    assert event["details"]["files"] == [file["sha256"]]


def test_a_replay_gives_the_same_receipt(desk: Desk) -> None:
    attempt_id = desk.save()
    fields = last_step(desk, attempt_id)
    client = desk.world.client("anna")
    answers = [client.post_form(desk.url("/hand-in"), fields) for _ in range(3)]
    assert {answer.location for answer in answers} == {f"/attempts/{attempt_id}/receipt"}
    assert len(desk.world.audit("attempt.handed_in")) == 1


def test_eight_at_once_make_one_receipt(desk: Desk) -> None:
    attempt_id = desk.save()
    fields = last_step(desk, attempt_id)
    token = desk.world.session("anna")

    def post(_number: int) -> tuple[int, str | None]:
        client = desk.world.anonymous()
        client.set_cookie("dask", token)
        answer = client.post_form(desk.url("/hand-in"), fields)
        return answer.status_code, answer.location

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(post, range(8)))
    assert answers == {(303, f"/attempts/{attempt_id}/receipt")}
    assert len(desk.rows("SELECT * FROM attempt")) == 1
    assert len(desk.world.audit("attempt.handed_in")) == 1


def test_eight_first_saves_at_once_make_one_draft(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: desk.save("samme"), range(8)))
    assert len(ids) == 1
    assert len(desk.rows("SELECT * FROM attempt")) == 1


def test_a_draft_changed_since_it_was_shown_is_not_handed_in(desk: Desk) -> None:
    attempt_id = desk.save("en")
    shown = desk.shown(attempt_id)
    desk.add()
    with pytest.raises(Conflict):
        desk.hand_in(attempt_id, shown=shown)
    answer = desk.world.client("anna").post_form(
        desk.url("/hand-in"), {"attempt": str(attempt_id), "shown": shown}
    )
    assert answer.status_code == 409
    assert "brev.pdf" in answer.text
    assert desk.attempt(attempt_id)["state"] == "draft"


def test_nothing_is_not_handed_in(desk: Desk) -> None:
    attempt_id = desk.save("  \n ")
    with pytest.raises(Invalid):
        desk.hand_in(attempt_id)
    desk.add()
    desk.change("UPDATE handin_file SET scan_state = 'infected'")
    with pytest.raises(Invalid):
        desk.hand_in(attempt_id)
    desk.change("UPDATE handin_file SET scan_state = 'pending'")
    assert desk.hand_in(attempt_id).state == "handed_in"


def test_a_file_being_checked_does_not_hold_the_time_up(desk: Desk) -> None:
    desk.add()
    attempt_id = desk.save("tekst", version=1)
    done = desk.hand_in(attempt_id)
    assert (done.handed_in_at, done.late) == (desk.now, False)
    desk.scan(desk.row("SELECT id FROM handin_file")["id"])
    row = desk.attempt(attempt_id)
    assert (row["handed_in_at"], row["scan_state"]) == (desk.now, "clean")


DUE = datetime(2030, 5, 1, 10, 0, tzinfo=UTC)
CUTOFF = DUE + timedelta(hours=2)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("now", "late"),
    [
        (DUE - SECOND, False),
        (DUE, False),
        (DUE + SECOND, True),
        (CUTOFF, True),
        (CUTOFF + SECOND, None),
    ],
)
def test_in_time_late_or_closed(desk: Desk, now: datetime, late: bool | None) -> None:
    desk.deadline(DUE, CUTOFF)
    attempt_id = desk.save("tekst")
    if late is None:
        with pytest.raises(Closed):
            desk.hand_in(attempt_id, now=now)
        assert desk.attempt(attempt_id)["state"] == "draft"
        assert desk.attempt(attempt_id)["text"] == "tekst"
    else:
        assert desk.hand_in(attempt_id, now=now).late is late


@pytest.mark.parametrize(
    ("wall", "last_moment"),
    [
        # Autumn: 02.30 comes twice, the deadline is the later of the two (01.30 UTC).
        (datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        # Spring: 02.30 does not come; the later reading is 03.30 summer time (01.30 UTC).
        (datetime(2027, 3, 28, 2, 30), datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),
    ],
)
def test_deadlines_on_the_nights_the_clock_changes(
    desk: Desk, wall: datetime, last_moment: datetime
) -> None:
    due = from_oslo(wall)
    assert due == last_moment
    desk.deadline(due, due + timedelta(hours=1))
    attempt_id = desk.save("tekst")
    assert desk.hand_in(attempt_id, now=last_moment).late is False
    second = desk.save("tekst", name="bo")
    assert desk.hand_in(second, name="bo", now=last_moment + SECOND).late is True


def test_the_same_night_closed(desk: Desk) -> None:
    cutoff = from_oslo(datetime(2026, 10, 25, 2, 30))
    desk.deadline(None, cutoff)
    attempt_id = desk.save("tekst")
    with pytest.raises(Closed):
        desk.hand_in(attempt_id, now=cutoff + SECOND)
    assert desk.hand_in(attempt_id, now=cutoff - timedelta(minutes=59)).state == "handed_in"


def test_the_page_after_the_cutoff_says_what_to_do_and_keeps_the_text(desk: Desk) -> None:
    attempt_id = desk.save("nesten ferdig")
    desk.deadline(None, desk.now - SECOND)
    client = desk.world.client("anna")
    page = client.get(desk.url())
    assert "nesten ferdig</textarea>" in page.text
    assert 'value="hand-in"' not in page.text
    answer = client.post_form(desk.url("/hand-in"), last_step(desk, attempt_id))
    assert answer.status_code == 409
    assert "nesten ferdig" in answer.text
    assert "Hand in now" not in answer.text
    assert desk.attempt(attempt_id)["state"] == "draft"


def test_without_a_draft_after_the_cutoff_there_is_no_form(desk: Desk) -> None:
    desk.deadline(None, desk.now - SECOND)
    page = desk.world.client("anna").get(desk.url())
    assert page.status_code == 200
    assert "<textarea" not in page.text


@pytest.mark.parametrize("name", ["bo", "cem", "dag", "tora", "even", "siri", "sigrid", "olga"])
def test_nobody_hands_in_for_another(desk: Desk, name: str) -> None:
    attempt_id = desk.save()
    answer = desk.world.client(name).post_form(desk.url("/hand-in"), last_step(desk, attempt_id))
    assert answer.status_code == 404
    assert desk.attempt(attempt_id)["state"] == "draft"


def test_made_up_and_foreign_ids_look_alike(desk: Desk) -> None:
    mine = desk.save("anna")
    other = desk.save("bo", name="bo")
    client = desk.world.client("anna")
    answers = [
        client.post_form(desk.url("/hand-in"), {"attempt": wanted, "shown": desk.shown(mine)})
        for wanted in (str(other), str(uuid4()), "ikke en id")
    ]
    assert {answer.status_code for answer in answers} == {404}
    # But for the request's number the pages read the same.
    assert len({re.sub(r"[0-9a-f]{32}", "", seen(answer)) for answer in answers}) == 1


def test_a_student_who_has_moved_cannot_hand_in_but_still_reads(desk: Desk) -> None:
    attempt_id = desk.save("mitt")
    desk.change(
        "UPDATE placement SET ends_at = now() WHERE person_id = :id", id=desk.world.id("anna")
    )
    desk.change(
        "INSERT INTO placement (id, person_id, unit_id, starts_at)"
        " VALUES (gen_random_uuid(), :person, :unit, now())",
        person=desk.world.id("anna"), unit=desk.world.id("sor"),
    )  # fmt: skip
    client = desk.world.client("anna")
    answer = client.post_form(desk.url("/hand-in"), last_step(desk, attempt_id))
    assert answer.status_code == 404
    page = client.get(f"/attempts/{attempt_id}")
    assert page.status_code == 200
    assert "mitt" in page.text


def test_a_new_attempt_after_the_return_begins_with_the_text(desk: Desk) -> None:
    first = desk.handed_in("første forsøk")
    client = desk.world.client("anna")
    assert client.post_form(desk.url("/again")).status_code == 409
    returned(desk, first)
    for _ in range(2):
        assert client.post_form(desk.url("/again")).status_code == 303
    second = desk.row("SELECT * FROM attempt WHERE state = 'draft'")
    assert (second["number"], second["text"]) == (2, "første forsøk")
    page = client.get(desk.url())
    assert "første forsøk</textarea>" in page.text
    assert page.text.count("første forsøk") == 2  # the draft, and the old attempt, still readable
    assert desk.hand_in(second["id"]).number == 2


def test_no_new_attempt_after_the_cutoff(desk: Desk) -> None:
    returned(desk, desk.handed_in())
    desk.deadline(None, desk.now - SECOND)
    answer = desk.world.client("anna").post_form(desk.url("/again"))
    assert answer.status_code == 409
    assert len(desk.rows("SELECT * FROM attempt")) == 1


def test_saving_alone_begins_no_new_attempt_after_a_return(desk: Desk) -> None:
    returned(desk, desk.handed_in())
    with pytest.raises(Closed):
        desk.save("ny tekst")


def test_a_receipt_is_for_the_student_and_the_teacher_of_the_class(desk: Desk) -> None:
    attempt_id = desk.handed_in()
    url = f"/attempts/{attempt_id}/receipt"
    found = {
        name: desk.world.client(name).get(url).status_code
        for name in ("anna", "bo", "cem", "tora", "even", "siri", "odd", "sigrid", "olga")
    }
    assert {name for name, status in found.items() if status == 200} == {"anna", "tora"}
    assert set(found.values()) == {200, 404}
    assert [event["actor_name"] for event in desk.world.audit("attempt.read")] == ["tora"]


def test_a_draft_has_no_receipt(desk: Desk) -> None:
    attempt_id = desk.save()
    assert desk.world.client("anna").get(f"/attempts/{attempt_id}/receipt").status_code == 404


def test_an_unknown_assignment_is_not_there(desk: Desk) -> None:
    client = desk.world.client("anna")
    nowhere = f"/classes/{desk.world.id('class nord')}/assignments/{uuid4()}"
    assert client.get(nowhere).status_code == 404
    assert client.get(desk.url(item="les")).status_code == 404
    assert client.get(desk.url(in_class="class sor")).status_code == 404


def test_the_verbs_refuse_an_assignment_of_a_class_not_attended(desk: Desk) -> None:
    with desk.acting("tora") as (uow, actor, task), pytest.raises(NotVisible):
        service.save(uow, actor, task, text="lærerens", version=0, now=desk.now)
