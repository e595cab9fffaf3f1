"""People of the county's directory: read anew at log-in, and all at once by ``people sync``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text

from dask_platform.adapters.directory.memory import MemoryDirectory, MemoryPerson
from dask_platform.features.identity.service.directory import SyncCounts, sync_people
from dask_platform.kernel.errors import NotAllowed
from tests.features.identity.conftest import hasher_of, log_in
from tests.world import World

SECRET = "katalogens passord"


def person(username: str, *grants: tuple[str, str], **more: Any) -> MemoryPerson:
    return MemoryPerson(
        username, SECRET, more.pop("name", f"{username.capitalize()} Katalog"),
        grants=frozenset(grants), key=more.pop("key", f"key-{username}"), **more,
    )  # fmt: skip


@pytest.fixture
def county(school: World) -> MemoryDirectory:
    """The school with a directory: a teacher, an operator at two units, and a student."""
    directory = MemoryDirectory(
        person("kari", ("teacher", "nord")),
        person("drift", ("operator", "nord"), ("operator", "sor")),
        person("elev", ("student", "nord")),
        person("uten"),
    )
    school.platform.directory = directory
    return directory


def rows(school: World, sql: str, **params: Any) -> list[tuple[Any, ...]]:
    with school.owner() as uow:
        return [tuple(row) for row in uow.execute(text(sql), params)]


def roles(school: World, username: str) -> set[tuple[str, str]]:
    found = rows(
        school,
        "SELECT r.role, u.slug FROM staff_role r JOIN unit u ON u.id = r.unit_id"
        " JOIN person p ON p.id = r.person_id WHERE p.username = :n AND r.ends_at IS NULL",
        n=username,
    )
    return {(row[0], row[1]) for row in found}


def test_first_log_in_makes_the_person_with_the_roles_of_the_groups(
    school: World, county: MemoryDirectory
) -> None:
    client = school.anonymous()
    assert log_in(client, "Drift", SECRET).status_code == 303
    assert "Drift Katalog" in client.get("/account").text
    assert roles(school, "drift") == {("operator", "nord"), ("operator", "sor")}
    kinds = [event["kind"] for event in school.audit()]
    assert kinds.count("person.created") == 1
    assert kinds.count("role.granted") == 2


def test_second_log_in_writes_nothing_new(school: World, county: MemoryDirectory) -> None:
    log_in(school.anonymous(), "kari", SECRET)
    before = len(school.audit())
    log_in(school.anonymous(), "kari", SECRET)
    assert [event["kind"] for event in school.audit()[before:]] == ["login.succeeded"]


def test_name_and_roles_are_read_anew_at_each_log_in(
    school: World, county: MemoryDirectory
) -> None:
    log_in(school.anonymous(), "kari", SECRET)
    county.change(
        "kari",
        username="kari.ny",
        display_name="Kari Ny",
        grants=frozenset({("workshop", "nord"), ("teacher", "sor")}),
    )
    client = school.anonymous()
    assert log_in(client, "kari.ny", SECRET).status_code == 303
    assert "Kari Ny" in client.get("/account").text
    assert roles(school, "kari.ny") == {("workshop", "nord"), ("teacher", "sor")}
    assert rows(school, "SELECT count(*) FROM person WHERE directory_key = 'key-kari'") == [(1,)]


def test_role_given_by_hand_stays(school: World, county: MemoryDirectory) -> None:
    log_in(school.anonymous(), "kari", SECRET)
    with school.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO staff_role (id, person_id, unit_id, role, source, starts_at)"
                " SELECT gen_random_uuid(), p.id, :u, 'workshop', 'local', now() FROM person p"
                " WHERE p.username = 'kari'"
            ),
            {"u": school.id("sor")},
        )
    county.change("kari", grants=frozenset())
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 303
    assert roles(school, "kari") == {("workshop", "sor")}


def test_student_of_the_directory_is_placed_and_moved(
    school: World, county: MemoryDirectory
) -> None:
    first = school.anonymous()
    assert log_in(first, "elev", SECRET).status_code == 303
    assert "Nord fengsel" in first.get("/account").text
    county.change("elev", grants=frozenset({("student", "sor")}))
    second = school.anonymous()
    assert log_in(second, "elev", SECRET).status_code == 303
    assert "Sør fengsel" in second.get("/account").text
    assert first.get("/account").status_code == 303
    places = rows(school, "SELECT l.ends_at IS NULL FROM placement l JOIN person p ON p.id ="
                  " l.person_id WHERE p.username = 'elev' ORDER BY l.starts_at")  # fmt: skip
    assert places == [(False,), (True,)]


def test_student_of_the_directory_needs_the_room_too(
    school: World, county: MemoryDirectory
) -> None:
    assert log_in(school.anonymous(), "elev", SECRET, address="10.9.9.9").status_code == 403


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"disabled": True}, "disabled"),
        ({"locked": True}, "locked"),
        ({"grants": frozenset({("student", "nord"), ("teacher", "nord")})}, "kind_changed"),
        ({"grants": frozenset({("student", "nord")})}, "kind_changed"),
        ({"username": "olga"}, "password"),
    ],
)
def test_refusals_look_alike_to_the_person_and_differ_in_the_log(
    school: World, county: MemoryDirectory, change: dict[str, Any], reason: str
) -> None:
    log_in(school.anonymous(), "kari", SECRET)
    county.change("kari", **change)
    name = change.get("username", "kari")
    answer = log_in(school.anonymous(), name, SECRET)
    assert answer.status_code == 401
    wrong = log_in(school.anonymous(), "nobody", "feil")
    assert message(answer.text) == message(wrong.text)
    assert reason in school.audit("login.failed")[0]["details"]["reason"]


def message(page: str) -> str:
    return page.split('role="alert"')[1].split("</div>")[0]


def test_person_without_any_role_is_refused(school: World, county: MemoryDirectory) -> None:
    assert log_in(school.anonymous(), "uten", SECRET).status_code == 401
    assert rows(school, "SELECT 1 FROM person WHERE username = 'uten'") == []
    assert school.audit("login.failed")[0]["details"]["reason"] == "no_role"


def test_local_account_never_gives_way_to_the_directory(
    school: World, county: MemoryDirectory
) -> None:
    county.put(person("olga", ("security", "sor")))
    assert log_in(school.anonymous(), "olga", SECRET).status_code == 401
    assert log_in(school.anonymous(), "olga").status_code == 303
    with school.owner() as uow:
        counts = sync_people(uow, county.people(), school.clock.now())
    assert counts.refused == (("olga", "name_taken"),)
    assert roles(school, "olga") == {("operator", "nord")}


def test_closed_account_stays_closed_whatever_the_directory_says(
    school: World, county: MemoryDirectory
) -> None:
    log_in(school.anonymous(), "kari", SECRET)
    with school.owner() as uow:
        uow.execute(text("UPDATE person SET active = false WHERE username = 'kari'"))
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 401


def test_account_made_anew_under_an_old_name_is_somebody_else(
    school: World, county: MemoryDirectory
) -> None:
    log_in(school.anonymous(), "kari", SECRET)
    county.remove("kari")
    county.put(person("kari", ("teacher", "sor"), key="key-another"))
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 401
    with school.owner() as uow:
        sync_people(uow, county.people(), school.clock.now(), force=True)
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 303
    assert roles(school, "kari") == {("teacher", "sor")}
    found = rows(school, "SELECT username, active FROM person WHERE directory_key = 'key-kari'")
    assert found[0][0].startswith("kari~")
    assert found[0][1] is False


def test_with_the_directory_down_local_accounts_still_work(
    school: World, county: MemoryDirectory
) -> None:
    county.down = True
    assert log_in(school.anonymous(), "olga").status_code == 303
    for name in ("kari", "nobody", "olga"):
        assert log_in(school.anonymous(), name, "feil").status_code == 503


def test_local_directory_and_unknown_names_cost_one_hash_each(
    school: World, county: MemoryDirectory
) -> None:
    hasher = hasher_of(school)
    log_in(school.anonymous(), "kari", SECRET)
    for name in ("olga", "kari", "nobody"):
        before = hasher.verified
        assert log_in(school.anonymous(), name, "feil").status_code == 401
        assert hasher.verified == before + 1


# -- people sync ------------------------------------------------------------------------------


def sync(school: World, county: MemoryDirectory, *, force: bool = False) -> SyncCounts:
    with school.owner() as uow:
        return sync_people(uow, list(county.people()), school.clock.now(), force=force)


def test_sync_makes_everybody_and_a_second_one_changes_nothing(
    school: World, county: MemoryDirectory
) -> None:
    counts = sync(school, county)
    assert (counts.present, counts.created, counts.deactivated, counts.refused) == (3, 3, 0, ())
    before = len(school.audit())
    counts = sync(school, county)
    assert (counts.created, counts.deactivated) == (0, 0)
    assert len(school.audit()) == before


@pytest.mark.parametrize("how", ["removed", "disabled", "ungrouped"])
def test_who_is_gone_is_deactivated_and_out_at_once(
    school: World, county: MemoryDirectory, how: str
) -> None:
    sync(school, county)
    client = school.anonymous()
    log_in(client, "kari", SECRET)
    if how == "removed":
        county.remove("kari")
    elif how == "disabled":
        county.change("kari", disabled=True)
    else:
        county.change("kari", grants=frozenset())
    counts = sync(school, county)
    assert (counts.deactivated, counts.sessions_ended) == (1, 1)
    assert client.get("/account").status_code == 303
    assert roles(school, "kari") == set()
    (event,) = school.audit("person.deactivated")
    assert event["actor_name"] == "people sync"
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 401


def test_sync_ends_roles_that_are_gone_and_keeps_the_person(
    school: World, county: MemoryDirectory
) -> None:
    sync(school, county)
    county.change("drift", grants=frozenset({("operator", "sor")}))
    assert sync(school, county).deactivated == 0
    assert roles(school, "drift") == {("operator", "sor")}
    assert len(school.audit("role.ended")) == 1


def test_sync_refuses_to_close_more_than_half_unless_forced(
    school: World, county: MemoryDirectory
) -> None:
    sync(school, county)
    for name in ("kari", "elev"):
        county.remove(name)
    with pytest.raises(NotAllowed):
        sync(school, county)
    assert rows(school, "SELECT count(*) FROM person WHERE NOT active") == [(0,)]
    assert sync(school, county, force=True).deactivated == 2


def test_sync_never_touches_local_accounts(school: World, county: MemoryDirectory) -> None:
    before = rows(school, "SELECT * FROM person ORDER BY username")
    sync(school, county)
    sync(school, MemoryDirectory(), force=True)
    after = rows(school, "SELECT * FROM person WHERE directory_key IS NULL ORDER BY username")
    assert after == before


# -- the function behind it, called by hand ------------------------------------------------------

CALL = "SELECT dask_directory_person(%s, %s, %s, %s::jsonb, NULL, NULL)"


def call(school: World, key: str, username: str, *grants: tuple[str, str], actor: str = "") -> Any:
    listed = json.dumps([{"role": role, "unit": unit} for role, unit in grants])
    with school.connect("dask_web") as connection:
        connection.execute("SELECT set_config('dask.actor', %s, true)", (actor,))
        row = connection.execute(CALL, (key, username, username, listed)).fetchone()
    return row[0]


def test_function_is_closed_to_who_is_logged_in(school: World) -> None:
    with pytest.raises(InsufficientPrivilege):
        call(school, "k", "ny", ("operator", "nord"), actor=str(school.id("anna")))


def test_function_cannot_reach_a_local_account_by_name_or_key(school: World) -> None:
    assert call(school, "k", "olga", ("security", "nord"))["refused"] == "name_taken"
    assert call(school, "k", "anna", ("teacher", "nord"))["refused"] == "name_taken"
    assert roles(school, "olga") == {("operator", "nord")}


def test_function_ignores_units_that_are_not_there(school: World) -> None:
    made = call(school, "k", "ny", ("teacher", "finnes-ikke"), ("teacher", "nord"))
    assert "person" in made
    assert roles(school, "ny") == {("teacher", "nord")}


def test_function_logs_what_it_does_by_itself(school: World) -> None:
    call(school, "k", "ny", ("operator", "nord"))
    assert [event["kind"] for event in school.audit()] == ["person.created", "role.granted"]
    assert {event["actor_name"] for event in school.audit()} == {"directory"}


def test_web_role_cannot_write_the_directorys_log_itself(school: World) -> None:
    with school.connect("dask_web") as connection, pytest.raises(InsufficientPrivilege):
        connection.execute("SELECT dask_log('x', NULL, NULL, '{}', NULL, NULL)")


def test_session_end_is_told_only_to_who_has_the_token(school: World) -> None:
    import hashlib

    token = school.session("anna")
    school.session("anna")
    digest = hashlib.sha256(token.encode()).digest()
    with school.connect("dask_web") as connection:
        ask = "SELECT dask_session_end(%s, now())"
        assert connection.execute(ask, (digest,)).fetchone() == ("test",)
        assert connection.execute(ask, (b"x" * 32,)).fetchone() == (None,)
