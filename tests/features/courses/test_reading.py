"""Reading a course in a class: who sees what, what is noted, how much it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from dask_platform.features.courses import queries
from dask_platform.features.courses.load import load_content
from dask_platform.kernel.errors import NotVisible
from dask_platform.web import sessions
from tests.features.courses.courses_on_disk import SVG, write_course
from tests.world import World


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Every SQL statement that the web processes send meanwhile."""
    sent: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = world.platform.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def page(world: World, slug: str = "les", unit: str = "nord") -> str:
    return f"/classes/{world.id(f'class {unit}')}/items/{slug}"


def readings(world: World) -> set[tuple[str, str]]:
    """(user name, slug) of everything that has been read."""
    with world.owner() as uow:
        found = uow.execute(
            text(
                "SELECT p.username, i.slug FROM reading r JOIN person p ON p.id = r.person_id"
                " JOIN course_item i ON i.id = r.item_id"
            )
        )
        return {(row.username, row.slug) for row in found}


@pytest.fixture
def loaded(school: World, folder: Path) -> World:
    """The school, where the class at nord follows the course on disk."""
    write_course(folder)
    with school.owner() as uow:
        load_content(uow, school.platform.files, folder, now=school.clock.now())
    with school.owner() as uow:
        uow.execute(
            text("UPDATE course_class SET course_id = (SELECT id FROM course WHERE slug = 'sveis')"
                 " WHERE id = :id"),
            {"id": school.id("class nord")},
        )  # fmt: skip
    return school


def test_a_student_reads_and_it_is_noted_once(school: World) -> None:
    anna = school.client("anna")
    first = school.clock.now()

    assert anna.get(page(school)).status_code == 200
    with statements(school) as sent:
        answer = anna.get(page(school))

    assert "Om les." in answer.text
    assert readings(school) == {("anna", "les")}
    assert not any("INSERT" in statement for statement in sent)
    with school.owner() as uow:
        assert uow.scalar(text("SELECT first_at FROM reading")) == first


def test_a_page_costs_few_statements(loaded: World) -> None:
    anna = loaded.client("anna")

    with statements(loaded) as first:
        answer = anna.get(page(loaded, "lysbue"))
    with statements(loaded) as second:
        anna.get(page(loaded, "lysbue"))

    assert "Competence aims" in answer.text or "Kompetansemål" in answer.text
    assert len(first) <= 6, first
    assert len(second) <= 5, second


def test_two_openings_at_once_leave_one_row(school: World) -> None:
    barrier = Barrier(4)
    token = school.session("anna")
    statuses: list[int] = []

    def read() -> None:
        client = school.anonymous()
        client.set_cookie("dask", token)
        barrier.wait()
        statuses.append(client.get(page(school)).status_code)

    threads = [Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 4
    assert readings(school) == {("anna", "les")}


@pytest.mark.parametrize(
    ("who", "slug", "status"),
    [
        ("anna", "les", 200),
        ("anna", "kladd", 404),
        ("anna", "brev", 303),
        ("anna", "nothing", 404),
        ("cem", "les", 404),
        ("dag", "les", 404),
        ("tora", "les", 200),
        ("tora", "kladd", 200),
        ("even", "les", 404),
        ("siri", "les", 404),
        ("odd", "les", 404),
        ("sigrid", "les", 404),
        ("olga", "les", 404),
    ],
)
def test_who_opens_which_page(school: World, who: str, slug: str, status: int) -> None:
    answer = school.client(who).get(page(school, slug))

    assert answer.status_code == status
    assert readings(school) == ({("anna", "les")} if (who, slug) == ("anna", "les") else set())


def test_nobody_reads_without_logging_in(school: World) -> None:
    for url in ("/classes", f"/classes/{school.id('class nord')}", page(school)):
        answer = school.anonymous().get(url)
        assert (answer.status_code, answer.location.split("?")[0]) == (303, "/login")


def test_a_withdrawn_page_is_gone_and_no_link_leads_to_it(loaded: World) -> None:
    anna = loaded.client("anna")
    link = f'href="/classes/{loaded.id("class nord")}/items/utstyr"'
    before = anna.get(page(loaded, "lysbue")).text.count(link)
    with loaded.owner() as uow:
        uow.execute(text("UPDATE course_item SET removed = true WHERE slug = 'utstyr'"))

    after = anna.get(page(loaded, "lysbue")).text

    assert before >= 2  # in the text and in the table of contents
    assert link not in after
    assert "Se utstyret og" in after
    assert anna.get(page(loaded, "utstyr")).status_code == 404


def test_drafts_are_nowhere_to_be_seen_by_students(school: World) -> None:
    anna, tora = school.client("anna"), school.client("tora")

    for url in (f"/classes/{school.id('class nord')}", page(school)):
        assert "kladd" not in anna.get(url).text.lower()
        assert "kladd" in tora.get(url).text.lower()


def test_row_security_hides_drafts_and_other_courses_whatever_the_query(loaded: World) -> None:
    with loaded.uow("anna") as uow:
        assert uow.scalars(text("SELECT slug FROM course")).all() == ["sveis"]
        assert "kladd" not in uow.scalars(text("SELECT slug FROM course_item")).all()
    with loaded.uow("cem") as uow:
        assert uow.scalars(text("SELECT slug FROM course")).all() == ["norsk"]
        assert uow.scalars(text("SELECT name FROM course_class")).all() == ["Norsk sør"]
        assert uow.scalars(text("SELECT person_id FROM enrolment")).all() == [loaded.id("cem")]
        assert uow.scalars(text("SELECT name FROM course_media")).all() == []
    with loaded.uow(None) as uow:
        for table in ("course", "course_item", "course_class", "enrolment", "reading"):
            assert uow.execute(text(f"SELECT * FROM {table}")).all() == []


def test_a_student_meets_no_other_student(school: World) -> None:
    """bo is in the same class and leaves no trace, whatever bo does or is called."""
    anna = school.client("anna")
    urls = ("/classes", f"/classes/{school.id('class nord')}", page(school))
    anna.get(page(school))  # so that the page is read already

    def shown() -> list[str]:
        return [re.sub(r'name="csrf_token" value="[^"]*"', "", anna.get(url).text) for url in urls]

    before = shown()
    school.client("bo").get(page(school))
    with school.owner() as uow:
        uow.execute(text("UPDATE person SET display_name = 'Zyxwvu' WHERE username = 'bo'"))
    after = shown()

    assert after == before
    assert "Zyxwvu" not in "".join(after)
    assert str(school.id("bo")) not in "".join(after)
    assert "Tora" in after[1]


def test_pictures_are_seen_by_those_who_see_the_course(loaded: World) -> None:
    with loaded.owner() as uow:
        media_id = uow.scalar(text("SELECT id FROM course_media"))
    url = f"/media/{media_id}/firkant.svg"

    answer = loaded.client("anna").get(url)

    assert answer.data == SVG
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert answer.headers["Cache-Control"].startswith("private")
    assert loaded.client("tora").get(url).status_code == 200
    assert loaded.client("cem").get(url).status_code == 404
    assert loaded.client("dag").get(url).status_code == 404
    assert loaded.client("anna").get(f"/media/{media_id}/other.svg").status_code == 404
    assert loaded.client("anna").get(f"/media/{UUID(int=0)}/firkant.svg").status_code == 404


def test_a_picture_known_already_is_not_sent_again(loaded: World) -> None:
    with loaded.owner() as uow:
        media_id = uow.scalar(text("SELECT id FROM course_media"))
    url = f"/media/{media_id}/firkant.svg"
    anna = loaded.client("anna")
    etag = anna.get(url).headers["ETag"]

    again = anna.get(url, headers={"If-None-Match": etag})
    stranger = loaded.client("cem").get(url, headers={"If-None-Match": etag})

    assert (again.status_code, again.data) == (304, b"")
    assert stranger.status_code == 404


def test_the_contents_and_the_pager_follow_the_course(loaded: World) -> None:
    shown = loaded.client("anna").get(page(loaded, "utstyr")).text

    first, last = f'rel="prev" href="{page(loaded, "lysbue")}"', "/items/logg"
    assert first in shown
    assert f'rel="next" href="/classes/{loaded.id("class nord")}{last}"' in shown


def test_a_class_shows_deadlines_in_words(school: World) -> None:
    with school.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO class_deadline (class_id, item_id, due_at, cutoff_at) VALUES"
                " (:class, :item, '2126-12-04 11:00+00', '2126-12-11 11:00+00')"
            ),
            {"class": school.id("class nord"), "item": school.id("brev")},
        )

    shown = school.client("anna").get(f"/classes/{school.id('class nord')}").text

    for day in ("4. desember 2126", "11. desember 2126"):
        assert day in shown
        assert "12.00" in shown.split(day)[1][:20], "noon in Norway, in words"


def test_what_the_hand_ins_ask_for(school: World) -> None:
    with school.uow("anna") as uow:
        anna = sessions.resume(uow, school.session("anna"), school.clock.now(), None)
        assert anna is not None
        found = queries.class_assignment(uow, anna, school.id("class nord"), school.id("brev"))
        listed = queries.class_assignments(uow, anna, school.id("class nord"))
        mine = queries.my_assignments(uow, anna)
        with pytest.raises(NotVisible):
            queries.class_assignment(uow, anna, school.id("class sor"), school.id("brev"))
        with pytest.raises(NotVisible):
            queries.class_assignment(uow, anna, school.id("class nord"), school.id("les"))
        with pytest.raises(NotVisible):
            queries.class_for_teacher(uow, anna, school.id("class nord"))
        assert queries.class_students(uow, anna, school.id("class nord")) == []
        assert queries.readings(uow, anna, school.id("class nord")) == {}
    assert found.body_html == "<p>Om brev.</p>"
    assert (found.grading, found.files_most) == ("grade", 2)
    assert [one.slug for one in listed] == ["brev", "skjema"]
    assert {one.body_html for one in listed} == {""}
    assert [one.item_id for one in mine] == [one.item_id for one in listed]


def test_a_withdrawn_assignment_is_found_only_by_who_asks_for_it(school: World) -> None:
    with school.owner() as uow:
        uow.execute(text("UPDATE course_item SET removed = true WHERE slug = 'brev'"))
    nord, brev = school.id("class nord"), school.id("brev")

    with school.uow("anna") as uow:
        anna = sessions.resume(uow, school.session("anna"), school.clock.now(), None)
        assert anna is not None
        with pytest.raises(NotVisible):
            queries.class_assignment(uow, anna, nord, brev)
        assert queries.class_assignment(uow, anna, nord, brev, withdrawn=True).removed


def test_a_transfer_closes_the_class_at_once(school: World) -> None:
    anna = school.client("anna")
    assert anna.get(page(school)).status_code == 200
    with school.owner() as uow:
        uow.execute(
            text("UPDATE placement SET ends_at = now() WHERE person_id = :id"),
            {"id": school.id("anna")},
        )
        uow.execute(
            text("INSERT INTO placement (id, person_id, unit_id, starts_at) VALUES"
                 " (gen_random_uuid(), :person, :unit, now())"),
            {"person": school.id("anna"), "unit": school.id("sor")},
        )  # fmt: skip

    assert anna.get(page(school)).status_code in (303, 404)
    with school.uow("tora") as uow:
        tora = sessions.resume(uow, school.session("tora"), school.clock.now(), None)
        assert tora is not None
        names = {one.username for one in queries.class_students(uow, tora, school.id("class nord"))}
    assert names == {"bo"}
