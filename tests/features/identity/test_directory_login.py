"""Log-in and ``people sync`` from end to end: the web, the settings, the command line and real
OpenLDAP servers. What each server answer means is tested in ``tests/adapters``."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from sqlalchemy import text

from dask_platform.adapters.directory import state
from dask_platform.adapters.directory.ldap import SILENT
from dask_platform.entry.wiring import build_directory
from tests.entry.test_cli import run, urls
from tests.features.identity.conftest import MakeWorld, log_in, token_of
from tests.features.identity.test_directory import message, roles
from tests.features.identity.test_second_factor import code, set_up
from tests.services.client import Services
from tests.services.slapd import SERVICE_DN, Slapd, SlapdServer, Tree
from tests.world import World

SECRET = "katalogens egne passord"
TWINS = "the same on both"
GROUPS = {
    "teachers": ("teacher", "nord"),
    "workshop": ("workshop", "sor"),
    "students": ("student", "nord"),
    "students-sor": ("student", "sor"),
}
PEOPLE = {"kari": "teachers", "ola": "teachers", "per": "teachers", "elev": "students"}


class County:
    """A branch with people and groups, the same on each of ``servers``, and settings for it."""

    def __init__(self, servers: list[SlapdServer], folder: Path) -> None:
        self.servers = servers
        name = uuid.uuid4().hex
        self.trees = [Tree(server, name) for server in servers]
        self.tree = self.trees[0]
        for username in PEOPLE:
            # Twins agree on who a person is, as replication would have it.
            key = str(uuid.uuid4())
            for tree in self.trees:
                tree.person(username, SECRET, username.capitalize(), entryUUID=key)
        for group in GROUPS:
            members = [name for name, theirs in PEOPLE.items() if theirs == group]
            for tree in self.trees:
                tree.group(group, map(tree.person_dn, members))
        self._mapping = folder / "mapping.yaml"
        mapped = {
            self.tree.group_dn(group): [{"role": role, "unit": unit}]
            for group, (role, unit) in GROUPS.items()
        }
        self._mapping.write_text(yaml.safe_dump({"groups": mapped}), encoding="utf-8")
        self._authorities = folder / "authorities.pem"
        self._authorities.write_bytes(b"".join(Path(s.ca_file).read_bytes() for s in servers))

    def settings(self) -> dict[str, Any]:
        return {
            "directory": "ldap",
            "ldap_servers": " ".join(server.tls_url for server in self.servers),
            "ldap_ca_file": self._authorities,
            "ldap_bind_dn": SERVICE_DN,
            "ldap_bind_password": self.servers[0].password,
            "ldap_base_dn": self.tree.base_dn,
            "ldap_mapping_file": self._mapping,
            "ldap_refusal_seconds": 0,
            "ldap_timeout_seconds": 2,
        }

    def world(self, make_world: MakeWorld, **settings: Any) -> World:
        """A school whose directory is what its settings make of this."""
        made = make_world(**self.settings(), **settings)
        made.platform.directory = build_directory(made.settings)
        return made

    def sync(self, school: World, *words: str) -> tuple[int, str, str]:
        """``dask-platform people sync``: exit code, what it says, what it says on standard error"""
        given = {f"DASK_{name.upper()}": str(value) for name, value in self.settings().items()}
        done = run("people", "sync", *words, home=school.settings.home, **given, **urls(school))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def close(self) -> None:
        for tree in self.trees:
            tree.close()


@pytest.fixture
def county(services: Services, tmp_path: Path) -> Iterator[County]:
    made = County([SlapdServer(**services.shared(Slapd))], tmp_path)
    yield made
    made.close()


@pytest.fixture
def twins(services: Services, tmp_path: Path) -> Iterator[County]:
    """On two servers of its own, which may be killed."""
    with (
        services.private(Slapd, password=TWINS) as first,
        services.private(Slapd, password=TWINS) as second,
    ):
        made = County([SlapdServer(**first), SlapdServer(**second)], tmp_path)
        yield made
        made.close()


# -- log-in -----------------------------------------------------------------------------------


def test_a_student_logs_in_and_is_placed(county: County, make_world: MakeWorld) -> None:
    school = county.world(make_world)
    client = school.anonymous()
    answer = log_in(client, "ELEV", SECRET, next="/account")
    assert (answer.status_code, answer.location) == (303, "/account")
    page = client.get("/account")
    assert page.status_code == 200
    assert "Elev" in page.text
    assert "Nord fengsel" in page.text
    kinds = [event["kind"] for event in school.audit()]
    assert kinds == ["person.created", "person.placed", "login.succeeded"]
    assert school.audit("login.succeeded")[0]["actor_id"] == school.audit()[0]["subject_id"]
    # From outside the rooms the same password is of no use.
    assert log_in(school.anonymous(), "elev", SECRET, address="10.9.9.9").status_code == 403


def test_staff_confirm_with_a_second_factor(county: County, make_world: MakeWorld) -> None:
    school = county.world(make_world, second_factor_required=True)
    first = school.anonymous()
    assert log_in(first, "kari", SECRET).status_code == 303
    assert first.get("/account", follow_redirects=True).request.path == "/account/second-factor"
    secret, _codes = set_up(school, first)
    assert first.get("/account").status_code == 200

    second = school.anonymous()
    assert log_in(second, "kari", SECRET, next="/account").status_code == 303
    half = token_of(second)
    assert second.get("/account").location.startswith("/login/second-factor")
    wrong = second.post_form("/login/second-factor", {"code": "000000"})
    assert wrong.status_code == 400
    right = {"code": code(school, secret), "next": "/account"}
    assert second.post_form("/login/second-factor", right).location == "/account"
    assert token_of(second) != half
    assert "Kari" in second.get("/account").text
    assert roles(school, "kari") == {("teacher", "nord")}


def test_a_wrong_password_is_tried_once_and_tells_nothing(
    county: County, make_world: MakeWorld
) -> None:
    school = county.world(make_world)
    wrong = log_in(school.anonymous(), "kari", "feil")
    unknown = log_in(school.anonymous(), "finnes-ikke", "feil")
    assert wrong.status_code == unknown.status_code == 401
    assert message(wrong.text) == message(unknown.text)
    assert [event["details"]["reason"] for event in school.audit()] == ["password"] * 2
    assert len(county.tree.read(county.tree.person_dn("kari"), "pwdFailureTime")) == 1
    with school.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM person WHERE username = 'kari'")) == 0


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("userAccountControl", "514", state.DISABLED),
        ("msDS-User-Account-Control-Computed", "16", state.LOCKED),
        ("pwdAccountLockedTime", "000001010000Z", state.LOCKED),
        ("pwdReset", "TRUE", state.MUST_CHANGE),
    ],
)
def test_a_refused_account_hears_a_neutral_sentence_and_the_log_the_reason(
    county: County, make_world: MakeWorld, attribute: str, value: str, reason: str
) -> None:
    school = county.world(make_world)
    log_in(school.anonymous(), "kari", SECRET)
    county.tree.set(county.tree.person_dn("kari"), attribute, value)
    with structlog.testing.capture_logs() as lines:
        refused = log_in(school.anonymous(), "kari", SECRET)
    assert refused.status_code == 401
    unknown = log_in(school.anonymous(), "finnes-ikke", SECRET)
    assert message(refused.text) == message(unknown.text)
    event = school.audit("login.failed")[0]
    assert event["details"]["reason"] == reason
    with school.owner() as uow:
        kari = uow.scalar(text("SELECT id FROM person WHERE username = 'kari'"))
    assert event["subject_id"] == kari
    (line,) = [line for line in lines if line["event"] == "login_failed"]
    assert line["reason"] == reason
    assert "kari" not in str(line).lower()
    assert SECRET not in str(lines)


def test_wrong_passwords_on_the_page_lock_the_account(
    county: County, make_world: MakeWorld
) -> None:
    school = county.world(make_world)
    for _ in range(3):
        wrong = log_in(school.anonymous(), "kari", "feil")
    locked = log_in(school.anonymous(), "kari", SECRET)
    assert message(locked.text) == message(wrong.text)
    reasons = [event["details"]["reason"] for event in school.audit("login.failed")]
    assert reasons == ["password"] * 3 + [state.LOCKED]
    county.tree.set(county.tree.person_dn("kari"), "pwdAccountLockedTime")
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 303


def test_names_groups_and_units_are_read_anew_at_each_log_in(
    county: County, make_world: MakeWorld
) -> None:
    school, tree = county.world(make_world), county.tree
    log_in(school.anonymous(), "kari", SECRET)
    kari = tree.person_dn("kari")
    tree.set(kari, "cn", "Kari Nytt-Navn")
    tree.join(tree.group_dn("workshop"), kari)
    tree.leave(tree.group_dn("teachers"), kari)
    tree.rename(kari, "uid=kari.ny")
    client = school.anonymous()
    assert log_in(client, "kari", SECRET).status_code == 401
    assert log_in(client, "kari.ny", SECRET).status_code == 303
    assert "Kari Nytt-Navn" in client.get("/account").text
    assert roles(school, "kari.ny") == {("workshop", "sor")}
    assert roles(school, "kari") == set()

    log_in(school.anonymous(), "elev", SECRET)
    tree.join(tree.group_dn("students-sor"), tree.person_dn("elev"))
    tree.leave(tree.group_dn("students"), tree.person_dn("elev"))
    student = school.anonymous()
    assert log_in(student, "elev", SECRET).status_code == 303
    assert "Sør fengsel" in student.get("/account").text


def test_log_ins_go_on_when_the_first_of_two_servers_is_killed(
    twins: County, make_world: MakeWorld
) -> None:
    """Two browsers log in without a pause; the death comes where it comes."""
    school = twins.world(make_world)
    wrong: list[str] = []
    done = [0, 0]  # before and after the death
    dead, enough = threading.Event(), threading.Event()

    def keep_logging_in(username: str) -> None:
        try:
            while not enough.is_set():
                client = school.anonymous()
                status = log_in(client, username, SECRET).status_code
                if status != 303 or client.get("/account").status_code != 200:
                    wrong.append(f"{username}: {status}")
                    return
                done[dead.is_set()] += 1
        except Exception as failure:
            wrong.append(repr(failure))

    threads = [threading.Thread(target=keep_logging_in, args=(name,)) for name in ("kari", "ola")]
    for thread in threads:
        thread.start()
    try:
        _wait_until(lambda: done[0] >= 4 or bool(wrong))
        os.kill(twins.servers[0].pid, signal.SIGKILL)
        dead.set()
        _wait_until(lambda: done[1] >= 8 or bool(wrong))
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert log_in(school.anonymous(), "kari", "feil").status_code == 401
    status, said, _ = twins.sync(school)
    assert (status, said.split(",")[0]) == (0, f"{len(PEOPLE)} in the directory")

    os.kill(twins.servers[1].pid, signal.SIGKILL)
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 503
    assert log_in(school.anonymous(), "olga").status_code == 303
    before = len(school.audit())
    status, said, why = twins.sync(school, "--force")
    assert (status, said) == (1, "")
    assert why.splitlines()[-1].startswith(f"dask-platform: {SILENT}")
    assert len(school.audit()) == before


def _wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {seconds:.0f} seconds"
        time.sleep(0.02)


# -- people sync ------------------------------------------------------------------------------


def test_sync_makes_everybody_before_they_log_in(county: County, make_world: MakeWorld) -> None:
    school = county.world(make_world)
    made = f"{len(PEOPLE)} in the directory, {len(PEOPLE)} new, 0 deactivated, 0 refused"
    assert county.sync(school) == (0, f"{made}, 0 sessions ended\n", "")
    assert roles(school, "kari") == {("teacher", "nord")}
    before = len(school.audit())
    status, said, _ = county.sync(school)
    assert (status, said.split(", ")[1]) == (0, "0 new")
    assert len(school.audit()) == before


@pytest.mark.parametrize(
    ("username", "how"), [("kari", "deleted"), ("elev", "disabled"), ("elev", "in no group")]
)
def test_who_is_gone_is_deactivated_and_out_at_the_next_request(
    county: County, make_world: MakeWorld, username: str, how: str
) -> None:
    school, tree = county.world(make_world), county.tree
    browsers = {name: school.anonymous() for name in PEOPLE}
    for name, browser in browsers.items():
        assert log_in(browser, name, SECRET).status_code == 303
    gone = tree.person_dn(username)
    if how == "deleted":
        tree.remove(gone)
    elif how == "disabled":
        tree.set(gone, "userAccountControl", "514")
    else:
        tree.leave(tree.group_dn(PEOPLE[username]), gone)
    # Until the sync has run, nothing has changed for a session that is there.
    assert browsers[username].get("/account").status_code == 200

    status, said, why = county.sync(school)
    assert (status, why) == (0, "")
    assert said == (
        f"{len(PEOPLE) - 1} in the directory, 0 new, 1 deactivated, 0 refused, 1 sessions ended\n"
    )
    for name, browser in browsers.items():
        page = browser.get("/account")
        if name != username:
            assert page.status_code == 200, name
            continue
        assert (page.status_code, page.location) == (303, "/login?next=/account")
        assert "Kontoen din" in browser.get(page.location).text
    assert log_in(school.anonymous(), username, SECRET).status_code == 401
    (event,) = school.audit("person.deactivated")
    assert event["actor_name"] == "people sync"
    assert roles(school, username) == set()


def test_who_is_locked_by_wrong_passwords_is_not_gone_and_who_is_locked_by_hand_is(
    county: County, make_world: MakeWorld
) -> None:
    """A student who types nonsense under a teacher's name must not close the teacher's account."""
    school, tree = county.world(make_world), county.tree
    browsers = {name: school.anonymous() for name in ("kari", "ola")}
    for name, browser in browsers.items():
        assert log_in(browser, name, SECRET).status_code == 303
    for _ in range(3):
        log_in(school.anonymous(), "kari", "feil")
    assert tree.read(tree.person_dn("kari"), "pwdAccountLockedTime")
    tree.set(tree.person_dn("ola"), "pwdAccountLockedTime", "000001010000Z")
    status, said, _ = county.sync(school)
    assert (status, said.split(", ")[2]) == (0, "1 deactivated")
    assert browsers["kari"].get("/account").status_code == 200
    assert browsers["ola"].get("/account").status_code == 303
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 401
    tree.set(tree.person_dn("kari"), "pwdAccountLockedTime")
    assert log_in(school.anonymous(), "kari", SECRET).status_code == 303


def test_sync_in_front_of_an_empty_directory_changes_nothing_unless_forced(
    county: County, make_world: MakeWorld
) -> None:
    school = county.world(make_world)
    client = school.anonymous()
    log_in(client, "kari", SECRET)
    for name in PEOPLE:
        county.tree.remove(county.tree.person_dn(name))
    status, said, why = county.sync(school)
    assert (status, said) == (1, "")
    assert "--force" in why
    assert client.get("/account").status_code == 200
    status, said, _ = county.sync(school, "--force")
    assert status == 0
    assert "1 deactivated" in said
    assert client.get("/account").status_code == 303


def test_sync_stops_at_a_mapped_group_that_is_not_there(
    county: County, make_world: MakeWorld
) -> None:
    school = county.world(make_world)
    client = school.anonymous()
    log_in(client, "kari", SECRET)
    county.tree.rename(county.tree.group_dn("teachers"), "cn=laerere")
    status, said, why = county.sync(school, "--force")
    assert (status, said) == (1, "")
    assert "teachers" in why
    assert client.get("/account").status_code == 200
