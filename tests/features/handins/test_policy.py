"""The policy, and that its two faces agree: what may be listed is what may be opened."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from dask_platform.features.handins.models import Attempt, HandinFile
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import permits, rows
from tests.features.handins.desk import Desk, pdf
from tests.world import PEOPLE

OF_ATTEMPTS = (Permission.ATTEMPT_READ, Permission.ATTEMPT_WRITE, Permission.MARKING_WRITE)


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Attempts in every state at both units, and files in every state."""
    for name, in_class in (("anna", "class nord"), ("bo", "class nord"), ("cem", "class sor")):
        desk.add(pdf(name), name=name, in_class=in_class)
        desk.handed_in(f"{name} skjema", name=name, item="skjema", in_class=in_class)
    desk.add(pdf("1"), name="bo")
    desk.change("UPDATE handin_file SET scan_state = 'infected' WHERE person_id = :p",
                p=desk.world.id("anna"))  # fmt: skip
    desk.change("UPDATE handin_file SET scan_state = 'refused' WHERE person_id = :p",
                p=desk.world.id("cem"))  # fmt: skip
    desk.change("UPDATE attempt SET state = 'returned' WHERE text = 'bo skjema'")
    return desk


def owned(desk: Desk, person: str) -> set[UUID]:
    found = desk.rows("SELECT id FROM attempt WHERE person_id = :p", p=desk.world.id(person))
    return {row["id"] for row in found}


@pytest.mark.parametrize("name", PEOPLE)
def test_lists_agree_with_permits(full: Desk, name: str) -> None:
    actor = full.actor(name)
    with full.world.owner() as uow:
        # The owner sees every row, so that the policy stands alone, without the second wall.
        uow.execute(
            text("SELECT set_config('dask.actor', :id, true)"), {"id": str(full.world.id(name))}
        )
        for model, permissions in (
            (Attempt, OF_ATTEMPTS),
            (HandinFile, (Permission.QUARANTINE_READ,)),
        ):
            everything = list(uow.scalars(select(model)))
            for permission in permissions:
                listed = set(uow.scalars(select(model.id).where(rows(actor, permission, model))))
                opened = {one.id for one in everything if permits(actor, permission, one)}
                assert listed == opened, (name, permission)


@pytest.mark.parametrize("name", PEOPLE)
def test_the_two_walls_agree_on_reading(full: Desk, name: str) -> None:
    """Row security alone, with no condition of ours, shows what the policy lists and no more."""
    actor = full.actor(name)
    with full.world.uow(name) as uow:
        behind_the_wall = set(uow.scalars(select(Attempt.id)))
        listed = set(
            uow.scalars(select(Attempt.id).where(rows(actor, Permission.ATTEMPT_READ, Attempt)))
        )
    assert behind_the_wall == listed


def test_who_reads_what_in_words(full: Desk) -> None:
    expected = {
        "anna": owned(full, "anna"),
        "bo": owned(full, "bo"),
        "cem": owned(full, "cem"),
        "tora": {
            row["id"] for row in full.rows(
                "SELECT id FROM attempt WHERE state <> 'draft' AND class_id = :c",
                c=full.world.id("class nord"),
            )
        },
        "siri": {
            row["id"] for row in full.rows(
                "SELECT id FROM attempt WHERE state <> 'draft' AND class_id = :c",
                c=full.world.id("class sor"),
            )
        },
    }  # fmt: skip
    for name in PEOPLE:
        actor = full.actor(name)
        with full.world.uow(name) as uow:
            found = set(
                uow.scalars(select(Attempt.id).where(rows(actor, Permission.ATTEMPT_READ, Attempt)))
            )
        assert found == expected.get(name, set()), name


def test_a_moved_student_is_gone_from_every_list(full: Desk) -> None:
    full.change(
        "UPDATE placement SET ends_at = now() - interval '1 second' WHERE person_id = :p",
        p=full.world.id("anna"),
    )
    for name, permission, model in (
        ("tora", Permission.ATTEMPT_READ, Attempt),
        ("tora", Permission.MARKING_WRITE, Attempt),
        ("sigrid", Permission.QUARANTINE_READ, HandinFile),
    ):
        actor = full.actor(name)
        with full.world.uow(name) as uow:
            found = uow.scalars(select(model).where(rows(actor, permission, model)))
            assert full.world.id("anna") not in {one.person_id for one in found}


def test_file_rows_behind_the_wall(full: Desk) -> None:
    """Raw reads of rows: own; clean and handed in to the teacher; stopped to security."""
    full.change("UPDATE handin_file SET scan_state = 'clean' WHERE person_id = :p",
                p=full.world.id("bo"))  # fmt: skip
    attempt_id = full.row(
        "SELECT id FROM attempt WHERE state = 'draft' AND person_id = :p", p=full.world.id("bo")
    )["id"]
    full.hand_in(attempt_id, name="bo")
    seen = {}
    for name in PEOPLE:
        with full.world.uow(name) as uow:
            seen[name] = {
                (row.person_id, row.scan_state)
                for row in uow.execute(text("SELECT person_id, scan_state FROM handin_file"))
            }
    anna, bo, cem = (full.world.id(name) for name in ("anna", "bo", "cem"))
    assert {name: found for name, found in seen.items() if found} == {
        "anna": {(anna, "infected")},
        "bo": {(bo, "clean")},
        "cem": {(cem, "refused")},
        "tora": {(bo, "clean")},
        "sigrid": {(anna, "infected")},
        "stein": {(anna, "infected")},
        "sverre": {(cem, "refused")},
    }


def test_downloads_for_everybody_and_every_state(full: Desk) -> None:
    """The student: own unless stopped. The teacher of the class: clean, handed in. Nobody else."""
    file = full.row(
        "SELECT f.id, f.attempt_id FROM handin_file f WHERE person_id = :p LIMIT 1",
        p=full.world.id("bo"),
    )
    url = f"/attempts/{file['attempt_id']}/files/{file['id']}"
    shown = {}
    for state in ("pending", "clean", "infected", "refused"):
        full.change("UPDATE handin_file SET scan_state = :s WHERE id = :id", s=state, id=file["id"])
        for handed_in in (False, True):
            full.change(
                "UPDATE attempt SET state = 'draft', handed_in_at = NULL WHERE id = :id AND :draft"
                " AND state = 'draft'",
                id=file["attempt_id"], draft=not handed_in,
            )  # fmt: skip
            if (
                handed_in
                and full.attempt(file["attempt_id"])["state"] == "draft"
                and state == "clean"
            ):
                full.hand_in(file["attempt_id"], name="bo", now=full.now + timedelta(seconds=1))
            in_state = full.attempt(file["attempt_id"])["state"]
            shown[state, in_state] = {
                name for name in PEOPLE if full.world.client(name).get(url).status_code == 200
            }
    assert shown == {
        ("pending", "draft"): {"bo"},
        ("clean", "draft"): {"bo"},
        ("clean", "handed_in"): {"bo", "tora"},
        ("infected", "handed_in"): set(),
        ("refused", "handed_in"): set(),
    }
    downloads = full.world.audit("file.downloaded")
    assert {event["actor_name"] for event in downloads} == {"tora"}
    assert downloads[0]["subject_id"] == full.world.id("bo")


def test_a_download_has_a_name_of_ours(full: Desk) -> None:
    full.change("UPDATE handin_file SET name = 'hemmelig navn.pdf', scan_state = 'clean'")
    file = full.row(
        "SELECT * FROM handin_file WHERE person_id = :p LIMIT 1", p=full.world.id("cem")
    )
    url = f"/attempts/{file['attempt_id']}/files/{file['id']}"
    answer = full.world.client("cem").get(url)
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="innlevering-utkast-1.pdf"'
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    answer.close()
