"""The end of a class: no more work, and everything in it can still be read."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from dask_platform.kernel.ids import new_code
from tests.world import World


def place(world: World, rest: str = "") -> str:
    return f"/classes/{world.id('class nord')}{rest}"


def end(world: World, name: str = "tora") -> int:
    return world.client(name).post_form(place(world, "/end")).status_code


def ended_at(world: World) -> object:
    with world.owner() as uow:
        return uow.scalar(
            text("SELECT ended_at FROM course_class WHERE id = :id"),
            {"id": world.id("class nord")},
        )


def handed_in(world: World, name: str = "anna", item: str = "brev") -> UUID:
    """A piece of work that waits to be marked; its id."""
    made, now = uuid4(), world.clock.now()
    with world.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO attempt (id, class_id, item_id, person_id, number, state, text,"
                " receipt, started_at, saved_at, handed_in_at, late, file_count, scan_state,"
                " version) VALUES (:id, :class, :item, :person, 1, 'handed_in', 'Svaret mitt.',"
                " :receipt, :now, :now, :now, false, 0, 'clean', 1)"
            ),
            {"id": made, "class": world.id("class nord"), "item": world.id(item),
             "person": world.id(name), "receipt": new_code(), "now": now},
        )  # fmt: skip
    return made


def test_the_page_before_says_what_it_means_and_names_what_is_not_marked(school: World) -> None:
    handed_in(school)
    handed_in(school, "bo")
    handed_in(school, "bo", "skjema")

    page = school.client("tora").get(place(school, "/end"))

    assert "Brev</span>: 2 innleveringer" in page.text
    assert "Skjema</span>: 1 innlevering" in page.text
    assert "Ingen kan levere mer." in page.text
    assert "Bo" not in page.text.split("<main")[1], "no list of students where none is noted"
    assert ended_at(school) is None, "to look ends nothing"


def test_a_class_where_all_is_marked_says_so(school: World) -> None:
    assert "Alt som er levert, er vurdert" in school.client("tora").get(place(school, "/end")).text


def test_ending_is_noted_once_and_keeps_its_time(school: World) -> None:
    assert end(school) == 303
    first = ended_at(school)
    school.clock.move(timedelta(hours=1))

    assert end(school) == 303

    assert ended_at(school) == first
    (noted,) = school.audit("class.ended")
    assert noted["object_id"] == str(school.id("class nord"))
    assert noted["actor_name"] == "tora"
    assert noted["unit_id"] == school.id("nord")
    assert school.client("tora").get(place(school, "/end")).location == place(school)


def test_students_read_on_and_hand_in_no_more(school: World) -> None:
    work = handed_in(school)
    anna = school.client("anna")
    skjema = place(school, f"/assignments/{school.id('skjema')}")
    draft = {"text": "Et utkast.", "version": 0}
    anna.post_form(f"{skjema}/save", draft, content_type="multipart/form-data")
    last_step = anna.get(f"{skjema}/hand-in").text
    form = {name: field(last_step, name) for name in ("attempt", "shown")}
    end(school)
    school.clock.move(timedelta(seconds=1))

    assert "Klassen er avsluttet" in anna.get(place(school)).text
    assert anna.get(place(school, "/items/les")).status_code == 200
    own = anna.get(f"/attempts/{work}")
    assert own.status_code == 200
    assert "Svaret mitt." in own.text
    assert "Et utkast." in anna.get(skjema).text
    assert anna.post_form(f"{skjema}/hand-in", form).status_code == 409
    school.client("tora").post_form(place(school, "/reopen"))
    assert anna.post_form(f"{skjema}/hand-in", form).status_code == 303


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    return page.split(f'name="{name}"')[1].split('value="')[1].split('"')[0]


def test_an_earlier_cut_off_stays_and_a_later_one_becomes_the_end(school: World) -> None:
    now = school.clock.now()
    tora = school.client("tora")
    with school.owner() as uow:
        for item, cutoff in (("brev", now - timedelta(days=9)), ("skjema", now + timedelta(9))):
            uow.execute(
                text("INSERT INTO class_deadline (class_id, item_id, cutoff_at)"
                     " VALUES (:class, :item, :cutoff)"),
                {"class": school.id("class nord"), "item": school.id(item), "cutoff": cutoff},
            )  # fmt: skip
    anna = school.client("anna")
    open_before = anna.get(place(school, f"/assignments/{school.id('skjema')}")).text
    end(school)
    school.clock.move(timedelta(minutes=1))

    closed = anna.get(place(school, f"/assignments/{school.id('skjema')}")).text
    tora.post_form(place(school, "/reopen"))
    again = anna.get(place(school, f"/assignments/{school.id('skjema')}")).text

    assert "<textarea" in open_before
    assert "<textarea" not in closed
    assert "<textarea" in again, "its deadline is what it was"


def test_the_teacher_marks_what_is_left_and_it_waits_on_the_front_page(school: World) -> None:
    work = handed_in(school)
    end(school)
    tora = school.client("tora")

    front = tora.get("/").text
    assert place(school, "/work") in front, "what is not marked still waits"
    assert f'"card__link" href="{place(school)}"' not in front
    assert tora.get(f"/attempts/{work}").status_code == 200
    assert tora.get(place(school, "/work")).status_code == 200


def test_a_class_that_has_ended_stands_apart_in_the_lists(school: World) -> None:
    end(school)

    for name in ("anna", "tora"):
        client = school.client(name)
        listed = client.get("/classes").text
        assert "Avsluttede klasser" in listed
        assert place(school) in listed.split("Avsluttede klasser")[1]
    assert place(school) not in school.client("anna").get("/").text.split("<main")[1]


def test_nobody_is_added_and_no_deadline_is_set(school: World) -> None:
    end(school)
    tora = school.client("tora")
    brev = school.id("brev")

    answers = [
        tora.post_form(place(school, "/people"), {"person_id": school.id("dag")}),
        tora.post_form(place(school, "/people/list"), {"names": "dag"}),
        tora.post_form(place(school, f"/deadlines/{brev}"), {"due_at": "2030-01-01T12:00"}),
    ]

    assert [one.status_code for one in answers] == [409] * 3
    with school.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM class_deadline")) == 0
        assert uow.scalar(text("SELECT count(*) FROM enrolment WHERE class_id = :id"),
                          {"id": school.id("class nord")}) == 2  # fmt: skip
    assert "Put in the class" not in tora.get(place(school, "/people")).text
    assert tora.get(place(school, "/deadlines")).status_code == 200


def test_a_class_is_opened_again(school: World) -> None:
    end(school)
    tora = school.client("tora")

    assert tora.post_form(place(school, "/reopen")).status_code == 303
    assert tora.post_form(place(school, "/reopen")).status_code == 303

    assert ended_at(school) is None
    assert len(school.audit("class.reopened")) == 1
    enrolled = tora.post_form(place(school, "/people"), {"person_id": school.id("dag")})
    assert enrolled.status_code == 303


@pytest.mark.parametrize("name", ["anna", "even", "siri", "odd", "sigrid", "olga"])
def test_only_a_teacher_of_the_class_ends_it(school: World, name: str) -> None:
    client = school.client(name)

    for address in ("/end", "/reopen"):
        assert client.post_form(place(school, address)).status_code == 404
    assert client.get(place(school, "/end")).status_code == 404
    assert ended_at(school) is None


@pytest.mark.parametrize("name", ["anna", "even", "siri", "odd"])
def test_the_database_ends_no_class_for_an_outsider(school: World, name: str) -> None:
    change = text("UPDATE course_class SET ended_at = now() WHERE id = :id RETURNING id")
    with school.uow(name) as uow:
        try:
            assert uow.execute(change, {"id": school.id("class nord")}).all() == []
        except ProgrammingError as error:
            assert "row-level security" in str(error)
    assert ended_at(school) is None
