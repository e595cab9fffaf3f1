"""Passing something to another student, or reaching their work: anna is watched, bo tries."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from tests.features.handins.desk import Desk, pdf
from tests.world import Client, World

MARK = "ZQXMARKZQX"  # what anna plants everywhere; nobody else's page may hold it
UUID_IN_PAGE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
BO_PAGES = ("/", "/classes", "/account", "/login", "/people", "/log", "/rooms", "/quarantine",
            "/courses", "/nowhere")  # fmt: skip


def root(world: World, item: str = "brev", in_class: str = "class nord") -> str:
    return f"/classes/{world.id(in_class)}/assignments/{world.id(item)}"


def pages_of_bo(world: World) -> list[str]:
    inside = f"/classes/{world.id('class nord')}"
    return [*BO_PAGES, inside, f"{inside}/items/les", f"{inside}/people", f"{inside}/work",
            f"{inside}/readings", root(world), f"{root(world)}/hand-in"]  # fmt: skip


def look(client: Client, pages: list[str]) -> dict[str, str]:
    """Each page as its reader sees it, without what is new in every answer."""
    found = {}
    for page in pages:
        answer = client.get(page)
        plain = re.sub(r'name="csrf_token"[^>]*>', "", answer.text)
        plain = plain.replace(answer.headers["X-Request-Id"], "")
        found[page] = f"{answer.status_code} {plain}"
    return found


def plant(world: World, desk: Desk) -> UUID:
    """Everything of anna's that she can put words into; the id of her handed-in attempt."""
    client = world.client("anna")
    client.post_form("/language", {"locale": "en"})
    client.get(f"/classes/{world.id('class nord')}/items/les")
    client.get(f"/{MARK}?{MARK}={MARK}", headers={"Referer": f"http://localhost/{MARK}"})
    client.post_form("/login", {"username": MARK, "password": MARK})
    client = world.client("anna")
    desk.scan(desk.add(pdf(MARK), f"{MARK}.pdf"))
    attempt = desk.save(MARK)
    desk.hand_in(attempt)
    client.post_form(f"{root(world, 'skjema')}/save", {"text": MARK, "version": "0"})
    return attempt


def test_nothing_that_one_student_does_changes_a_page_of_another(world: World) -> None:
    """No word, no name, no count, no number, no date, no order: not one letter is different."""
    bo, pages = world.client("bo"), pages_of_bo(world)
    look(bo, pages)  # opening a page marks it as read, once
    before = look(bo, pages)
    attempt = plant(world, Desk(world))
    after = look(bo, pages)
    for page in pages:
        assert after[page] == before[page], f"{page} tells bo what anna did"
        assert MARK not in after[page]
        assert str(attempt) not in after[page]


def test_a_student_sees_no_id_of_another_person(world: World) -> None:
    plant(world, Desk(world))
    others = {str(world.id(name)) for name in ("anna", "dag", "cem", "even", "olga")}
    for page, shown in look(world.client("bo"), pages_of_bo(world)).items():
        assert not others & set(UUID_IN_PAGE.findall(shown)), page
        assert "Anna" not in shown, page


@pytest.mark.parametrize("name", ["bo", "cem", "dag"])
def test_every_id_of_anothers_work_is_nobodys(world: World, name: str) -> None:
    """Reading and writing, with ids that are right: the same answer as for ids that are not."""
    desk = Desk(world)
    file_id = desk.add(pdf("a"))
    desk.scan(file_id)
    attempt = desk.save("hemmelig")
    with world.owner() as uow:
        before = uow.execute(text("SELECT * FROM attempt")).mappings().all()
    client = world.client(name)

    def tries(attempt_id: object, file: object) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            ("GET", f"/attempts/{attempt_id}", {}),
            ("GET", f"/attempts/{attempt_id}/receipt", {}),
            ("GET", f"/attempts/{attempt_id}/files/{file}", {}),
            ("POST", f"/attempts/{attempt_id}/marking", {"grade": "6", "version": "0"}),
            ("POST", f"/attempts/{attempt_id}/return", {"grade": "6", "version": "0"}),
            ("POST", f"{root(world)}/files/{file}/remove", {}),
            ("POST", f"{root(world)}/hand-in", {"attempt": str(attempt_id), "shown": "1"}),
        ]

    for real, nobodys in zip(tries(attempt, file_id), tries(uuid4(), uuid4()), strict=True):
        statuses = []
        for method, url, data in (real, nobodys):
            answer = client.get(url) if method == "GET" else client.post_form(url, data)
            statuses.append(answer.status_code)
            assert "hemmelig" not in answer.text
        assert statuses == [404, 404], f"{name}: {real[1]} {statuses}"
    with world.owner() as uow:
        assert uow.execute(text("SELECT * FROM attempt")).mappings().all() == before


def test_a_class_elsewhere_is_closed_in_every_way(world: World) -> None:
    other = f"/classes/{world.id('class sor')}"
    client = world.client("anna")
    for path in ("", "/items/les", "/people", "/work", "/readings", "/deadlines"):
        assert client.get(other + path).status_code == 404, path
    for path in ("/save", "/files", "/again", "/hand-in"):
        url = root(world, in_class="class sor") + path
        assert client.post_form(url, {"version": "0", "text": "x"}).status_code == 404, path
    with world.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM attempt")) == 0


def test_own_draft_in_one_class_is_not_handed_in_through_another_page(world: World) -> None:
    """The id of an own attempt, on the page of another assignment: an attempt is where it is."""
    desk = Desk(world)
    attempt = desk.save("til brev")
    answer = world.client("anna").post_form(
        f"{root(world, 'skjema')}/hand-in",
        {"attempt": str(attempt), "shown": desk.shown(attempt)},
    )
    assert answer.status_code == 404
    with world.owner() as uow:
        assert uow.scalar(text("SELECT state FROM attempt")) == "draft"


def test_what_is_handed_in_stays_whatever_is_sent_again(world: World) -> None:
    desk = Desk(world)
    file_id = desk.add(pdf("a"))
    desk.scan(file_id)
    attempt = desk.save("svaret")
    old = {"attempt": str(attempt), "shown": desk.shown(attempt)}
    client = world.client("anna")
    first = client.post_form(f"{root(world)}/hand-in", old)
    assert first.status_code == 303
    with world.owner() as uow:
        before = uow.execute(text("SELECT * FROM attempt")).mappings().all()
    again = client.post_form(f"{root(world)}/hand-in", old)
    assert again.location == first.location
    for path, data in (
        ("/save", {"text": "et annet svar", "version": "1"}),
        ("/files", {"text": "et annet svar", "version": "1"}),
        (f"/files/{file_id}/remove", {}),
        ("/again", {}),
    ):
        assert client.post_form(root(world) + path, data).status_code in (400, 404, 409), path
    with world.owner() as uow:
        assert uow.execute(text("SELECT * FROM attempt")).mappings().all() == before
        assert uow.scalar(text("SELECT count(*) FROM handin_file")) == 1


def test_who_left_the_class_writes_nothing_more(world: World) -> None:
    desk = Desk(world)
    desk.save("før")
    client = world.client("anna")
    with world.owner() as uow:
        uow.execute(
            text("UPDATE enrolment SET ended_at = now() WHERE person_id = :who"),
            {"who": world.id("anna")},
        )
    answer = client.post_form(f"{root(world)}/save", {"text": "etter", "version": "1"})
    assert answer.status_code == 404
    with world.owner() as uow:
        assert uow.scalar(text("SELECT text FROM attempt")) == "før"


def test_the_next_person_at_the_pc_meets_nothing_but_the_language(world: World) -> None:
    """Message shown to nobody yet, form token, session: gone with the log-in of the next."""
    client = world.client("anna")
    client.post_form("/language", {"locale": "en"})
    client.post_form(f"{root(world)}/save", {"text": MARK, "version": "0"})
    with client.session_transaction() as session:
        token = session.get("csrf_token")
        assert "_flashes" in session
    left = client.post_form("/logout")
    assert left.status_code == 303
    with client.session_transaction() as session:
        assert set(session) <= {"locale", "_flashes"}
        assert session.get("csrf_token") != token
        assert "utkast" not in str(session.get("_flashes")).lower()
        assert "draft" not in str(session.get("_flashes")).lower()
    assert MARK not in client.get("/login").text


def test_staff_who_were_students_pc_before_leave_no_rights(world: World) -> None:
    """A cookie of a session that ended opens nothing, also with a fresh form token."""
    client = world.client("tora")
    token = client.get_cookie("dask")
    assert token is not None
    client.post_form("/logout")
    client.set_cookie("dask", token.value)
    assert client.get("/people").status_code == 303
    assert client.post_form(f"/students/{world.id('anna')}/end-session").status_code == 401
