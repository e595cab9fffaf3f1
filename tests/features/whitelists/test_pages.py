"""The pages, through the web, as the people who use them."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.jobs import remind_now
from dask_platform.features.whitelists.words import as_yaml
from dask_platform.web import metrics
from tests.features.whitelists.office import LEKSIKON, Office, elsewhere, good
from tests.world import World


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def typed(world: World, **said: str) -> dict[str, str]:
    """The form of a new rule as somebody fills it in."""
    until = (world.clock.now() + timedelta(days=90)).date().isoformat()
    return {
        "rule_id": "leksikon", "place": "", "title_nb": "Leksikon", "title_nn": "Leksikon",
        "title_en": "", "description_nb": "Oppslag.", "description_nn": "Oppslag.",
        "description_en": "", "effect": "allow", "host": "leksikon.no", "paths": "/katt\r\n/hund",
        "only": "", "closed": "/katt/prat", "profile": "reader", "owner": "Opplæringskontoret",
        "expires": until, "passing": LEKSIKON, "refusing": "https://leksikon.no/katt/prat",
        "reason": "Norsk, vår.", **said,
    }  # fmt: skip


def page(office: Office, who: str, path: str) -> str:
    answer = office.world.client(who).get(path)
    assert answer.status_code == 200, path
    return answer.get_data(as_text=True)


def waiting(office: Office) -> UUID:
    with office.world.owner() as uow:
        found = uow.execute(
            text("SELECT id FROM whitelist_proposal WHERE state = 'waiting'")
        ).scalar_one()
    return UUID(str(found))


def test_from_the_form_to_an_open_site(office: Office) -> None:
    world = office.world
    sent = world.client("sigrid").post_form("/whitelists/new", typed(world))
    assert sent.status_code == 303
    shown = page(office, "sverre", sent.location)
    assert "Sigrid (sigrid)" in shown
    assert "/katt/prat" in shown
    assert "leksikon.no/katt, /hund" in shown, "what opens, in words"
    approved = world.client("sverre").post_form(f"{sent.location}/approve")
    assert approved.status_code == 303
    assert office.decide("anna").allowed
    assert "Leksikon" in page(office, "anna", "/sites")
    assert "Leksikon" in page(office, "sigrid", "/whitelists")
    history = page(office, "sigrid", "/whitelists/rules/leksikon")
    assert "Sverre (sverre)" in history
    assert "Norsk, vår." in history


def test_own_proposals_have_no_button_and_no_way(office: Office) -> None:
    proposal = office.propose("sigrid", good(office.world))
    shown = page(office, "sigrid", f"/whitelists/proposals/{proposal}")
    assert f"/whitelists/proposals/{proposal}/approve" not in shown
    assert f"/whitelists/proposals/{proposal}/withdraw" in shown
    answer = office.world.client("sigrid").post_form(f"/whitelists/proposals/{proposal}/approve")
    assert answer.status_code == 403
    same_unit = page(office, "stein", f"/whitelists/proposals/{proposal}")
    assert f"/whitelists/proposals/{proposal}/approve" not in same_unit


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"host": "LEKSIKON.no:80"}, "på vanlig måte"),
        ({"host": "no"}, "på vanlig måte"),
        ({"paths": "/katt\r\nhund"}, "begynner med /"),
        ({"refusing": LEKSIKON}, "skulle være stengt"),
        ({"passing": "https://leksikon.no/hest"}, "skulle være åpen"),
        ({"rule_id": "Stor Bokstav"}, "rule_id-error"),
        ({"expires": "2099-01-01"}, "To år fram"),
        ({"reason": " "}, "reason-error"),
        ({"place": "ingen"}, "place-error"),
    ],
)
def test_a_wrong_form_says_so_and_loses_nothing(
    office: Office, wrong: dict[str, str], told: str
) -> None:
    sent = typed(office.world, title_nb="En uvanlig tittel", **wrong)
    answer = office.world.client("sigrid").post_form("/whitelists/new", sent)
    shown = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert told in shown
    assert "En uvanlig tittel" in shown
    assert "/katt/prat" in shown
    with office.world.owner() as uow:
        assert uow.execute(text("SELECT count(*) FROM whitelist_proposal")).scalar() == 0


def test_a_search_without_a_hit_says_so_once(office: Office) -> None:
    office.load(good(office.world))
    shown = page(office, "sigrid", "/whitelists?q=finnesikke")
    assert shown.count("Ingen regel passer med «finnesikke»") == 1
    assert 'id="allow"' not in shown
    found = page(office, "sigrid", "/whitelists?q=leksi")
    assert 'id="allow"' in found
    assert 'id="deny"' not in found, "a list without a hit is left out"


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (["mon", "tue", "wed", "thu", "fri"], "mandag–fredag fra 08.00 til 15.00"),
        (["sat", "sun"], "lørdag, søndag fra"),
        (["fri", "mon", "tue", "wed", "sun"], "mandag–onsdag, fredag, søndag fra"),
    ],
)
def test_hours_name_a_row_of_days_by_its_ends(office: Office, days: list[str], said: str) -> None:
    office.load(good(office.world, hours=[{"days": days, "from": "08:00", "to": "15:00"}]))
    assert said in page(office, "sigrid", "/whitelists/rules/leksikon")


def test_a_change_keeps_what_the_form_has_no_field_for(office: Office) -> None:
    world = office.world
    hours = [{"days": ["mon"], "from": "08:00", "to": "15:00"}]
    query = [{"name": "side", "type": "integer", "length": 3}]
    office.load(good(world, hours=hours, query=query, description={
        "nb": "Gammel.", "nn": "Gammal.", "en": "Old."}))  # fmt: skip
    client = world.client("sigrid")
    form = client.get("/whitelists/rules/leksikon/change").get_data(as_text=True)
    based_on = re.search(r'name="based_on" type="hidden" value="(\d+)"', form)
    assert based_on is not None
    sent = client.post_form(
        "/whitelists/rules/leksikon/change",
        typed(world, based_on=based_on[1], paths="/", closed="", supervised="y",
              refusing="https://leksikon.no:8443/", rule_id="annet"),
    )  # fmt: skip
    assert sent.status_code == 303, sent.get_data(as_text=True)
    with world.owner() as uow:
        row = uow.execute(text("SELECT * FROM whitelist_proposal")).one()
    assert row.rule_id == "leksikon"
    assert row.action == "change"
    assert row.body["supervised"] is True
    assert row.body["hours"][0]["from"] == "08:00"
    assert row.body["query"][0]["name"] == "side"
    late = client.post_form("/whitelists/rules/leksikon/change", typed(world, based_on="1"))
    assert late.status_code == 409, "a proposal waits already"


def test_a_rule_as_a_file(office: Office) -> None:
    world = office.world
    client = world.client("sigrid")
    whole = as_yaml(good(world, paths=["/katt"], examples={
        "pass": [LEKSIKON], "refuse": ["https://leksikon.no/hest"]}))  # fmt: skip
    said = {"place": str(world.id("nord")), "reason": "Norsk."}
    bad = client.post_form(
        "/whitelists/file", {**said, "text": whole.replace("paths:", "ukjent: 1\npaths:")}
    )
    assert bad.status_code == 400
    shown = bad.get_data(as_text=True)
    assert "ukjent" in shown
    line = whole.replace("paths:", "ukjent: 1\npaths:").splitlines().index("ukjent: 1") + 1
    assert f"Linje {line}:" in shown
    assert "https://leksikon.no/hest" in shown, "the text is kept"
    sent = client.post_form(
        "/whitelists/file",
        {**said, "text": "", "file": (io.BytesIO(whole.encode()), "leksikon.yaml")},
        content_type="multipart/form-data",
    )
    assert sent.status_code == 303
    office.approve("stein", waiting(office))
    assert office.decide("anna").allowed
    assert office.decide("cem").reason is Reason.UNIT


@pytest.mark.parametrize("junk", ["", "\x00", "- a\n- b", "a: &x [*x]", "{" * 300, "id: 1"])
def test_a_file_that_is_no_rule(office: Office, junk: str) -> None:
    answer = office.world.client("sigrid").post_form(
        "/whitelists/file", {"place": "", "reason": "Norsk.", "text": junk}
    )
    assert answer.status_code == 400


def test_a_rule_goes_by_two(office: Office) -> None:
    world = office.world
    office.load(good(world))
    sent = world.client("sigrid").post_form(
        "/whitelists/rules/leksikon/remove", {"reason": "Ikke i bruk.", "based_on": "1"}
    )
    assert sent.status_code == 303
    assert office.decide("anna").allowed
    world.client("sverre").post_form(f"{sent.location}/approve")
    assert not office.decide("anna").allowed
    assert "Leksikon" not in page(office, "anna", "/sites")
    page(office, "sigrid", "/whitelists/rules/leksikon")


def test_stopping_and_reopening(office: Office) -> None:
    world = office.world
    office.load(good(world))
    sigrid, stein = world.client("sigrid"), world.client("stein")
    for kind, said in {
        "rule": {"rule-target": "leksikon", "rule-where": "everywhere"},
        "student": {"student-target": str(world.id("bo"))},
        "room": {"room-target": str(world.id("room"))},
        "unit": {"unit-target": str(world.id("nord"))},
    }.items():
        empty = sigrid.post_form(f"/whitelists/stops/{kind}", said)
        assert empty.status_code == 400, kind
        sent = sigrid.post_form(f"/whitelists/stops/{kind}", {**said, f"{kind}-reason": "Chat."})
        assert sent.status_code == 303, kind
    assert office.decide("cem").reason is Reason.STOPPED
    shown = page(office, "stein", "/whitelists/stops")
    assert "Klasserom 1" in shown
    assert "Bo" in shown
    with world.owner() as uow:
        stops = list(uow.execute(text("SELECT id FROM whitelist_stop")).scalars())
    for stop in stops:
        at = f"/whitelists/stops/{stop}"
        assert sigrid.post_form(f"{at}/reopen", {"reason": ""}).status_code == 400
        assert sigrid.post_form(f"{at}/reopen", {"reason": "Rettet."}).status_code == 303
        assert sigrid.post_form(f"{at}/agree").status_code == 403
        assert stein.post_form(f"{at}/agree").status_code == 303
    assert office.decide("bo").allowed
    page(office, "stein", "/whitelists/stops")


@pytest.mark.parametrize("target", ["cem", "ikke en id", ""])
def test_a_target_that_was_not_offered(office: Office, target: str) -> None:
    world = office.world
    said = str(world.ids.get(target, target))
    answer = world.client("sigrid").post_form(
        "/whitelists/stops/student", {"student-target": said, "student-reason": "x"}
    )
    assert answer.status_code == 400


def test_a_students_wish_and_its_answer(office: Office) -> None:
    world = office.world
    anna = world.client("anna")
    wrong = anna.post_form("/sites/wishes/new", {"address": "katt", "reason": "Fordi."})
    assert wrong.status_code == 400
    assert "Fordi." in wrong.get_data(as_text=True)
    sent = anna.post_form(
        "/sites/wishes/new", {"address": "leksikon.no/<b>", "reason": "Hemmelig hilsen"}
    )
    assert sent.status_code == 303
    assert "leksikon.no/&lt;b&gt;" in page(office, "anna", "/sites/wishes")
    for other in ("bo", "dag", "cem"):
        assert "Hemmelig" not in page(office, other, "/sites/wishes")
    assert "Hemmelig" in page(office, "tora", "/sites/wishes")
    assert "Hemmelig" not in page(office, "even", "/sites/wishes")
    assert "leksikon.no" in page(office, "sigrid", "/whitelists/wishes")
    read = world.audit("site_request.read")
    assert {event["subject_id"] for event in read} == {world.id("anna")}
    with world.owner() as uow:
        wish = uow.execute(text("SELECT id FROM site_request")).scalar_one()
    # The proposal begins with the address alone: proposals are read at every unit.
    form = page(office, "sigrid", f"/whitelists/new?request={wish}")
    assert "leksikon.no" in form
    assert "Hemmelig" not in form
    sigrid = world.client("sigrid")
    at = f"/whitelists/wishes/{wish}/refuse"
    assert sigrid.post_form(at, {"reason": ""}).status_code == 400
    assert sigrid.post_form(at, {"reason": "Siden har chat."}).status_code == 303
    shown = page(office, "anna", "/sites/wishes")
    assert "Siden har chat." in shown
    assert "Sigrid" in shown


def test_a_teachers_wish_becomes_a_rule(office: Office) -> None:
    world = office.world
    sent = world.client("tora").post_form("/sites/wishes/new", {
        "address": LEKSIKON, "reason": "Til prosjektet.", "class_id": str(world.id("class nord")),
        "wanted_until": (world.clock.now() + timedelta(days=60)).date().isoformat(),
    })  # fmt: skip
    assert sent.status_code == 303
    with world.owner() as uow:
        wish = uow.execute(text("SELECT id FROM site_request")).scalar_one()
    assert "Norsk nord" in page(office, "sigrid", f"/whitelists/wishes/{wish}")
    proposed = world.client("sigrid").post_form(
        f"/whitelists/new?request={wish}",
        typed(world, request_id=str(wish), place=str(world.id("nord"))),
    )
    assert proposed.status_code == 303
    world.client("stein").post_form(f"{proposed.location}/approve")
    assert office.decide("anna").allowed
    assert "Stein" in page(office, "tora", "/sites/wishes")


def test_the_list_of_sites_is_of_those_meant_for_the_reader(office: Office) -> None:
    world = office.world
    office.load(
        good(world, title={"nb": "For alle", "nn": "For alle"}),
        elsewhere(world, "hoy", title={"nb": "For høy", "nn": "For høg"},
                  scope={"security_levels": ["high"]}),
        elsewhere(world, "kurs", title={"nb": "For kurs", "nn": "For kurs"},
                  scope={"courses": ["norsk"]}),
        elsewhere(world, "stengt", title={"nb": "Ikke nå", "nn": "Ikkje no"}, supervised=True),
    )  # fmt: skip
    anna, cem, dag = (page(office, who, "/sites") for who in ("anna", "cem", "dag"))
    for title, here in {"For alle": (1, 1, 1), "For høy": (1, 0, 1), "For kurs": (1, 1, 0),
                        "Ikke nå": (1, 1, 1)}.items():  # fmt: skip
        shown = tuple(int(f">{title}<" in one) for one in (anna, cem, dag))
        assert shown == here, title
    office.stop("sigrid", "stop_student", world.id("anna"))
    assert "Stoppet" in page(office, "anna", "/sites")
    assert "Stoppet" not in page(office, "dag", "/sites")
    for who in ("tora", "odd"):
        assert "For kurs" in page(office, who, "/sites")


def test_names_of_officers_and_reasons_do_not_reach_students(office: Office) -> None:
    world = office.world
    proposal = office.propose("sigrid", good(world, reason="Intern grunn"))
    office.approve("sverre", proposal)
    shown = page(office, "anna", "/sites")
    for inside in ("Sigrid", "Sverre", "Intern grunn", "Trengs i norsk"):
        assert inside not in shown
    with world.connect("dask_web") as connection:
        connection.execute("SELECT set_config('dask.actor', %s, true)", [str(world.id("anna"))])
        for table in ("whitelist_version", "whitelist_proposal", "whitelist_stop"):
            assert not connection.execute(f"SELECT FROM {table}").rowcount


def test_what_runs_out_is_shown_and_noted(office: Office) -> None:
    world = office.world
    today = world.clock.now().date()
    for days, name in ((30, "bok"), (8, "kart"), (-1, "hav"), (90, "sol")):
        until = (today + timedelta(days=days)).isoformat()
        office.load(elsewhere(world, name, expires=until, title={"nb": name, "nn": name}))
    for path in ("/whitelists", "/"):
        shown = page(office, "sigrid", path)
        assert "går ut" in shown, path
    with world.worker() as platform:
        assert remind_now(platform) == 2
    noted = world.audit("whitelist.expiring")
    assert {(event["object_id"], event["details"]["days"]) for event in noted} == {
        ("bok", 30), ("hav", -1),
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/whitelists", "/whitelists/new", "/whitelists/file", "/whitelists/stops",
     "/whitelists/wishes", "/whitelists/rules/leksikon"],
)  # fmt: skip
@pytest.mark.parametrize("who", ["anna", "tora", "odd", "olga"])
def test_security_pages_are_not_there_for_others(office: Office, who: str, path: str) -> None:
    office.load(good(office.world))
    assert office.world.client(who).get(path).status_code == 404


def test_few_statements(office: Office) -> None:
    world = office.world
    office.load(good(world), elsewhere(world, "kart"))
    for n in range(4):
        office.wish("anna", f"https://side{n}.no/")
        office.load(elsewhere(world, f"side{n}"))
    clients = {who: world.client(who) for who in ("anna", "tora", "sigrid")}
    counts: list[int] = []
    world.app.after_request(lambda answer: counts.append(metrics.sql_statements()) or answer)
    for who, path, most in (
        ("anna", "/sites", 4),
        ("anna", "/sites/wishes", 6),
        ("sigrid", "/whitelists", 10),
    ):
        clients[who].get(path)
        assert counts[-1] <= most, f"{path}: {counts[-1]} statements; load together what it shows"
