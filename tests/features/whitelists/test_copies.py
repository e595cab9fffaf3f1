"""Copies of sites: added, looked at, named by a rule, removed; and what is refused."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from dask_platform.features.whitelists import copies as on_disk
from dask_platform.features.whitelists.cli import whitelist
from dask_platform.features.whitelists.diff import Way, changes
from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.exports import export
from dask_platform.features.whitelists.jobs import sweep_copies_now
from dask_platform.features.whitelists.rules import FrozenCopy
from dask_platform.features.whitelists.service import copies
from dask_platform.features.whitelists.service.copies import COPIES
from dask_platform.features.whitelists.words import as_yaml
from dask_platform.kernel import errors
from tests.copies import PNG, File, captured, make_warc, make_zim, page
from tests.features.whitelists.build import rule
from tests.features.whitelists.office import Office, good
from tests.world import World

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
FILES = (
    page("Start", "Verktøy", '<p>Om <a href="Hammer">hammer</a></p><img src="h.png" alt="H">'),
    page("Hammer", "Hammer", "<script>alert(1)</script><p>Slår spiker.</p>"),
    File("h.png", PNG, "image/png"),
)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


@pytest.fixture
def zim(tmp_path: Path) -> Path:
    return make_zim(tmp_path / "v.zim", FILES, main="Start")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add(world: World, path: Path, who: str = "sigrid") -> Any:
    return world.client(who).post_form(
        "/whitelists/copies/add", {"file": (io.BytesIO(path.read_bytes()), path.name)}
    )


def frozen(world: World, path: Path, **said: Any) -> Any:
    copy = {"sha256": sha256(path), "kind": path.suffix[1:]}
    return good(
        world,
        **{
            "id": "verktoy", "host": "verktoy.no", "profile": "frozen", "copy": copy,
            "examples": {"pass": ["https://verktoy.no/Start"],
                         "refuse": ["https://verktoy.no:8443/"]},
            **said,
        },
    )  # fmt: skip


# -- adding and looking ---------------------------------------------------------------------------


def test_an_officer_adds_a_copy_and_sees_what_it_holds(world: World, zim: Path) -> None:
    answer = add(world, zim)
    assert answer.status_code == 303, answer.text
    assert answer.location == f"/whitelists/copies/{sha256(zim)}"
    shown = world.client("stein").get(answer.location).text
    for said in ("Verktøy", "Hammer", sha256(zim), "Sigrid (sigrid)", "ZIM"):
        assert said in shown
    assert "Verktøy" in world.client("sverre").get("/whitelists/copies").text
    stored = world.platform.files.stat(COPIES + sha256(zim))
    assert stored.sha256 == sha256(zim)
    last = [one for one in world.audit() if one["kind"] == "copy.added"]
    assert [one["object_id"] for one in last] == [sha256(zim)]


def test_its_pages_are_looked_at_as_text_and_pictures(world: World, zim: Path) -> None:
    add(world, zim)
    client = world.client("stein")
    start = f"/whitelists/copies/{sha256(zim)}/look"
    shown = client.get(start).text
    assert "look?address=https://copy.example/Hammer" in shown
    picture = f"/whitelists/copies/{sha256(zim)}/picture?address=https://copy.example/h.png"
    assert picture.split("?")[1] in shown
    found = client.get(picture)
    assert (found.data, found.mimetype) == (PNG, "image/png")
    assert "sandbox" in found.headers["Content-Security-Policy"]
    hammer = client.get(f"{start}?address=https://copy.example/Hammer").text
    assert "Slår spiker" in hammer
    assert "alert(1)" not in hammer


@pytest.mark.parametrize(
    "address",
    ["https://copy.example/nei", "javascript:alert(1)", "/etc/passwd", "https://h.no/%2e"],
)
def test_what_the_copy_does_not_have_is_not_there(world: World, zim: Path, address: str) -> None:
    add(world, zim)
    client = world.client("sigrid")
    for view in ("look", "picture"):
        answer = client.get(
            f"/whitelists/copies/{sha256(zim)}/{view}", query_string={"address": address}
        )
        assert answer.status_code == 404


def test_a_page_is_not_handed_out_as_a_picture(world: World, zim: Path) -> None:
    add(world, zim)
    answer = world.client("sigrid").get(
        f"/whitelists/copies/{sha256(zim)}/picture?address=https://copy.example/Hammer"
    )
    assert answer.status_code == 404


def test_a_captured_copy_says_its_hosts(world: World, tmp_path: Path) -> None:
    made = make_warc(
        tmp_path / "w.warc",
        [captured("https://verktoy.no/Start", page("", "Verktøy", "<p>Om sag</p>").body)],
    )
    add(world, made)
    shown = world.client("sigrid").get(f"/whitelists/copies/{sha256(made)}").text
    assert "verktoy.no" in shown
    assert "Om sag" in world.client("sigrid").get(f"/whitelists/copies/{sha256(made)}/look").text


@pytest.mark.parametrize("who", ["anna", "tora", "odd", "olga"])
def test_nobody_else_knows_of_copies(world: World, zim: Path, who: str) -> None:
    add(world, zim)
    client = world.client(who)
    for path in ("", "/add", f"/{sha256(zim)}", f"/{sha256(zim)}/look"):
        assert client.get(f"/whitelists/copies{path}").status_code == 404
    assert add(world, zim, who).status_code == 404


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tom", b""), ("tekst", b"hei"), ("zim", b"ZIM\x04" + b"\xff" * 4000),
        ("warc", b"WARC/1.1\r\nContent-Length: 9999999999\r\n\r\nx"),
        ("gzip", b"\x1f\x8b" + b"x" * 99),
    ],
)  # fmt: skip
def test_a_file_that_is_no_copy_is_refused(
    world: World, tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    answer = add(world, path)
    assert answer.status_code == 400
    assert list(world.platform.files.keys(COPIES)) == []
    assert "Traceback" not in answer.text


def test_a_copy_that_is_here_already_is_said_to_be(world: World, zim: Path) -> None:
    add(world, zim)
    assert add(world, zim, "sverre").status_code == 409


def test_a_virus_inside_a_packed_copy_is_found(world: World, tmp_path: Path) -> None:
    infected = (*FILES, File("hefte.txt", EICAR + b" ord og ord" * 99, "text/plain"))
    path = make_zim(tmp_path / "syk.zim", infected, main="Start")
    assert EICAR not in path.read_bytes(), "packed, it cannot be seen from outside"
    answer = add(world, path)
    assert answer.status_code == 400
    assert "hefte.txt" in answer.text
    assert list(world.platform.files.keys(COPIES)) == []


# -- rules ----------------------------------------------------------------------------------------


def test_two_officers_approve_exactly_these_bytes(
    office: Office, world: World, zim: Path, tmp_path: Path
) -> None:
    add(world, zim)
    proposal = office.propose("sigrid", frozen(world, zim))
    look = f'href="/whitelists/copies/{sha256(zim)}"'
    assert look in world.client("sverre").get(f"/whitelists/proposals/{proposal}").text
    office.approve("sverre", proposal)
    assert look not in world.client("sverre").get(f"/whitelists/proposals/{proposal}").text
    assert office.decide("anna", "https://verktoy.no/Start").allowed
    line = world.client("sigrid").get(f"/whitelists/copies/{sha256(zim)}").text
    assert "/whitelists/rules/verktoy" in line
    shown = world.client("sigrid").get("/whitelists/rules/verktoy").text
    assert f"/whitelists/copies/{sha256(zim)}" in shown


def test_a_rule_cannot_name_a_copy_that_nobody_has_looked_at(
    office: Office, world: World, zim: Path
) -> None:
    with pytest.raises(errors.Invalid, match="no such copy"):
        office.propose("sigrid", frozen(world, zim))
    add(world, zim)
    wrong = frozen(world, zim, copy={"sha256": sha256(zim), "kind": "warc"})
    with pytest.raises(errors.Invalid, match="another kind"):
        office.propose("sigrid", wrong)


def test_the_form_offers_the_copies_and_begins_with_one(world: World, zim: Path) -> None:
    add(world, zim)
    client = world.client("sigrid")
    shown = client.get(f"/whitelists/new?copy={sha256(zim)}").text
    assert f'<option selected value="zim-{sha256(zim)}">' in shown
    until = (world.clock.now() + timedelta(days=90)).date().isoformat()
    said = {
        "rule_id": "verktoy", "place": "", "title_nb": "Verktøy", "title_nn": "Verktøy",
        "title_en": "",
        "description_en": "", "description_nb": "Om verktøy.",
        "description_nn": "Om verktøy.", "effect": "allow",
        "host": "verktoy.no", "paths": "", "profile": "frozen",
        "frozen_copy": f"zim-{sha256(zim)}", "owner": "Kontoret", "expires": until,
        "passing": "https://verktoy.no/Start", "refusing": "https://verktoy.no:8443/",
        "reason": "Til snekkerfaget.",
    }  # fmt: skip
    sent = client.post_form("/whitelists/new", said)
    assert sent.status_code == 303, sent.text
    assert sha256(zim) in client.get(sent.location).text
    refused = client.post_form("/whitelists/new", {**said, "rule_id": "v2", "profile": "reader"})
    assert refused.status_code == 400


def test_a_copy_that_a_rule_names_stays(office: Office, world: World, zim: Path) -> None:
    add(world, zim)
    proposal = office.propose("sigrid", frozen(world, zim))
    path = f"/whitelists/copies/{sha256(zim)}/remove"
    assert world.client("stein").post_form(path).status_code == 409, "a proposal names it"
    office.approve("sverre", proposal)
    assert world.client("stein").post_form(path).status_code == 409, "a rule in force names it"
    office.load(frozen(world, zim, copy=None))
    assert world.client("stein").post_form(path).status_code == 303
    assert sha256(zim) not in world.client("stein").get("/whitelists/copies").text
    assert [one["kind"] for one in world.audit()][-1] == "copy.removed"


def test_only_a_frozen_rule_names_a_copy() -> None:
    copy = {"sha256": "ab" * 32, "kind": "zim"}
    assert rule(profile="frozen", copy=copy).frozen_copy == FrozenCopy(**copy)
    assert rule(profile="frozen").frozen_copy is None, "the national rules have none of their own"
    for wrong in (
        {"copy": copy},
        {"profile": "frozen", "copy": {**copy, "sha256": "AB" * 32}},
        {"profile": "frozen", "copy": {**copy, "kind": "tar"}},
        {"profile": "frozen", "copy": {**copy, "url": "https://x.no"}},
    ):
        with pytest.raises(ValueError, match="validation error"):
            rule(**wrong)


def test_the_difference_says_that_another_copy_is_shown() -> None:
    one = rule(profile="frozen", copy={"sha256": "ab" * 32, "kind": "zim"})
    other = rule(profile="frozen", copy={"sha256": "cd" * 32, "kind": "zim"})
    none = rule(profile="frozen")
    assert [(said.way, said.english) for said in changes([one], [other])] == [
        (Way.ALTERS, f"Another copy is shown: {'cd' * 32}.")
    ]
    assert [said.way for said in changes([none], [one])] == [Way.OPENS]
    assert [said.way for said in changes([one], [none])] == [Way.CLOSES]
    assert f"sha256: {'ab' * 32}" in as_yaml(one)


@pytest.mark.parametrize("target", ["chromium", "seb", "squid"])
def test_no_export_opens_the_site_behind_a_copy(world: World, target: str) -> None:
    said = rule(profile="frozen", paths=[], only=["/"], copy={"sha256": "ab" * 32, "kind": "zim"})
    made = export(target, [said], Asked(at=world.clock.now()), tls_inspection=True)
    assert [one.rule for one in made.refused] == ["leksikon"]
    assert made.rules == ()


def test_the_map_for_our_own_nginx_has_it(world: World) -> None:
    said = rule(profile="frozen", copy={"sha256": "ab" * 32, "kind": "zim"})
    made = export("nginx", [said], Asked(at=world.clock.now()), domain="ressurs.example")
    assert made.rules == ("leksikon",)


# -- on the disk ----------------------------------------------------------------------------------


def test_a_copy_is_fetched_once_and_only_as_itself(world: World, zim: Path) -> None:
    add(world, zim)
    named = FrozenCopy(sha256=sha256(zim), kind="zim")
    first = on_disk.opened(world.platform, named)
    assert on_disk.opened(world.platform, named) is first
    path = world.platform.settings.home / "copies" / sha256(zim)
    assert sha256(path) == sha256(zim)
    left = sorted(one.name for one in path.parent.iterdir() if not one.name.endswith(".lock"))
    assert left == [sha256(zim)], "nothing half-made stays"
    with pytest.raises(errors.FileMissing):
        on_disk.opened(world.platform, FrozenCopy(sha256="0" * 64, kind="zim"))


def test_what_was_removed_is_swept_a_day_later(
    world: World, zim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world, zim)
    on_disk.opened(world.platform, FrozenCopy(sha256=sha256(zim), kind="zim"))
    with world.owner() as uow:
        uow.execute(text("DELETE FROM site_copy"))
    with world.worker() as platform:
        assert sweep_copies_now(platform) == 0, "it may be on its way in"
        assert world.platform.files.stat(COPIES + sha256(zim))
        world.clock.move(timedelta(days=2))
        monkeypatch.setattr(on_disk.time, "time", lambda: world.clock.now().timestamp())
        assert sweep_copies_now(platform) >= 2, "in the store and on this machine"
    assert list(world.platform.files.keys(COPIES)) == []


# -- the database's own wall ----------------------------------------------------------------------


@pytest.fixture
def named(office: Office, world: World, zim: Path) -> str:
    add(world, zim)
    office.load(frozen(world, zim))
    return sha256(zim)


def test_the_database_shows_copies_to_security_alone(world: World, named: str) -> None:
    for who, rows in (("sigrid", 1), ("sverre", 1), ("anna", 0), ("tora", 0), ("olga", 0)):
        with world.uow(who) as uow:
            assert uow.scalar(text("SELECT count(*) FROM site_copy")) == rows, who
    with world.platform.database.work() as uow:
        assert uow.scalar(text("SELECT count(*) FROM site_copy")) == 0


def test_the_database_lets_nobody_remove_what_a_rule_names(world: World, named: str) -> None:
    with world.uow("sigrid") as uow:
        assert uow.execute(text("DELETE FROM site_copy")).rowcount == 0


def test_the_database_signs_and_never_changes_a_copy(world: World, named: str) -> None:
    insert = text(
        "INSERT INTO site_copy (sha256, storage_key, kind, size, title, facts, added_by,"
        " added_name, added_at)"
        " VALUES (:sha256, :key, 'zim', 1, 'T', '{}', :who, 'En annen', now())"
    )

    def row(digit: str, who: str) -> dict[str, object]:
        return {"sha256": digit * 64, "key": COPIES + digit * 64, "who": world.id(who)}

    with world.uow("sigrid") as uow:
        uow.execute(insert, row("1", "stein"))
        said = uow.execute(
            text("SELECT added_by, added_name FROM site_copy WHERE sha256 = :one"),
            {"one": "1" * 64},
        ).one()
        assert tuple(said) == (world.id("sigrid"), "Sigrid (sigrid)")
    with pytest.raises(ProgrammingError, match="row-level security"), world.uow("anna") as uow:
        uow.execute(insert, row("2", "anna"))
    with pytest.raises(ProgrammingError, match="permission denied"), world.uow("sigrid") as uow:
        uow.execute(text("UPDATE site_copy SET title = 'x'"))


# -- the command line -----------------------------------------------------------------------------


def test_the_operator_adds_a_large_copy_at_the_command_line(world: World, zim: Path) -> None:
    owner = world._platform("dask_owner")

    class Context:
        platform = owner

        def owner_database(self) -> Any:
            return owner.database

    runner = CliRunner()
    checked = runner.invoke(whitelist, ["copy", "check", str(zim)], obj=Context())
    assert checked.exit_code == 0, checked.output
    assert checked.output.startswith(f"zim\t{sha256(zim)}")
    added = runner.invoke(whitelist, ["copy", "add", str(zim)], obj=Context())
    assert added.output.strip() == sha256(zim)
    listed = runner.invoke(whitelist, ["copy", "list"], obj=Context())
    assert listed.output == f"zim\t{sha256(zim)}\t{zim.stat().st_size}\tVerktøy\n"
    again = runner.invoke(whitelist, ["copy", "add", str(zim)], obj=Context())
    assert isinstance(again.exception, errors.Conflict)
    assert "Verktøy" in world.client("sigrid").get("/whitelists/copies").text


def test_a_copy_is_looked_through_in_the_disk_space_there_is(world: World) -> None:
    with pytest.raises(errors.Invalid, match="room"):
        copies.room_for(world.platform, 1 << 60)
