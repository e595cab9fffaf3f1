"""Recording a site: what is shown, what is written down, and what is not."""

from __future__ import annotations

import json
from datetime import timedelta

from sqlalchemy import text

from dask_platform.adapters.upstream import Page
from dask_platform.features.recorder import noting
from tests.features.broker.conftest import html
from tests.features.recorder.conftest import CDN, HERE, SITE, Office, addresses

VIA = "/_dask/via/cdn-example-com"


def test_a_site_that_no_rule_opens_is_shown_with_its_script(office: Office) -> None:
    office.record()
    page = office.get("/")
    assert page.status_code == 200
    found = addresses(page.text)
    assert "/bilder/a.png" in found
    assert f"{VIA}/b.png" in found
    assert f"{VIA}/js/app.js" in found
    assert f"{VIA}/css/stil.css" in found
    assert "/sok" not in page.text
    assert "/skriv" not in page.text, "a form keeps its fields and leads nowhere"
    assert "Du tar opp skipsmuseum.no" in page.text
    policy = page.headers["Content-Security-Policy"]
    for part in ("form-action 'none'", "connect-src 'self'", "report-uri /_dask/wanted"):
        assert part in policy
    assert "frame-src" not in policy, "the default is none"


def test_everything_needed_is_written_down_without_what_it_held(office: Office) -> None:
    office.record()
    office.get("/")
    office.get("/samling/skip?id=12")
    office.get("/bilder/a.png", dest="image")
    for path in ("/b.png", "/css/stil.css", "/css/tapet.png", "/js/app.js"):
        office.get(f"{VIA}{path}", dest="script" if path.endswith("js") else "image")
    seen = office.seen()
    assert seen["page skipsmuseum.no/"]["title"] == "Side"
    assert seen["page skipsmuseum.no/"]["times"] == 1
    assert seen["page skipsmuseum.no/samling/skip"]["query"] == [["id", "integer", 2]]
    assert seen["picture skipsmuseum.no/bilder/a.png"]["size"] == 108
    assert seen["picture cdn.example.com/b.png"]["mime"] == "image/png"
    assert seen["script cdn.example.com/js/app.js"]["status"] == 200
    assert seen["link skipsmuseum.no/logg-inn"]["note"] == "login"
    assert seen["link skipsmuseum.no/diskusjon/skip"]["note"] == "talk"
    assert seen["form skipsmuseum.no/skriv"]["note"] == "POST"
    assert seen["form skipsmuseum.no/sok"]["note"] == "GET"
    assert "12" not in json.dumps([one["query"] for one in seen.values()])


def test_a_style_sheet_of_another_host_finds_its_pictures(office: Office) -> None:
    office.record()
    assert f"{VIA}/css/tapet.png" in office.get(f"{VIA}/css/stil.css", dest="style").text


def test_parameters_are_told_by_their_shape_alone(office: Office) -> None:
    office.record()
    office.get("/sok?q=hei+du")
    assert office.seen()["page skipsmuseum.no/sok"]["query"] == [["q", "text", 6]]
    office.upstream.pages[f"{SITE}/sok?q=7"] = html("<h1>Sju</h1>")
    office.get("/sok?q=7")
    again = office.seen()["page skipsmuseum.no/sok"]
    assert again["query"] == [["q", "text", 6]]
    assert again["times"] == 2


def test_what_is_not_there_or_never_shown_is_told(office: Office) -> None:
    office.upstream.pages[f"{SITE}/spill.swf"] = Page(
        b"x", headers={"content-type": "application/x-shockwave-flash"}
    )
    office.record()
    assert office.get("/borte.png", dest="image").status_code == 404
    assert office.get("/spill.swf", dest="embed").status_code == 404
    seen = office.seen()
    assert seen["picture skipsmuseum.no/borte.png"]["status"] == 404
    assert seen["file skipsmuseum.no/spill.swf"]["status"] == 403
    assert "Ikke der" in office.school.get(office.here).text


def test_what_script_wanted_and_could_not_reach_is_told(office: Office) -> None:
    office.record()

    def report(blocked: object, directive: str = "script-src-elem") -> int:
        said = {"csp-report": {"effective-directive": directive, "blocked-uri": blocked}}
        return office.away.post(
            "/_dask/wanted", data=json.dumps(said), content_type="application/csp-report",
            base_url=HERE,
        ).status_code  # fmt: skip

    assert report("https://api.example.com/data?token=hemmelig") == 204
    for nonsense in ("inline", "http://a.no/", "https://127.0.0.1/", "data", 7, None, "x" * 20_000):
        assert report(nonsense) == 204
    assert report("https://api.example.com/x", "trusted-types") == 204
    seen = office.seen()
    assert list(seen) == ["script api.example.com/data"]
    assert seen["script api.example.com/data"]["wanted"] is True
    assert "hemmelig" not in str(seen)
    assert "api.example.com" in office.school.get(office.here).text


def test_a_report_is_a_recordings_alone(office: Office) -> None:
    student = office.outside.visitor("anna")
    here = "http://leksikon-no.ressurs.localhost:8000"
    assert student.post("/_dask/wanted", data="{}", base_url=here).status_code == 404
    assert office.broker.test_client().post("/_dask/wanted", base_url=HERE).status_code == 401


def test_a_page_that_plays_with_addresses_fills_no_disk(office: Office) -> None:
    assert noting.SEEN_MOST <= 5000
    office.record()
    office.get("/")
    with office.world.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO recording_seen SELECT gen_random_uuid(), recording_id, host,"
                " '/x' || n, kind, query, mime, status, size, text, title, times, wanted, note,"
                " first_at FROM recording_seen, generate_series(1, :most) n WHERE path = '/'"
            ),
            {"most": noting.SEEN_MOST},
        )
    office.get("/samling/vogn")
    assert "page skipsmuseum.no/samling/vogn" not in office.seen()


def test_another_host_of_the_same_recording_has_a_way_of_its_own(office: Office) -> None:
    office.record()
    away = next(one for one in addresses(office.get("/").text) if "annet" in one)
    assert away.startswith("/_dask/go?to=")
    there = office.get(away)
    assert there.status_code == 303
    assert there.location.startswith("http://annet-no.ressurs.localhost:8000/_dask/enter?")
    assert office.follow(there.location).status_code == 303
    assert "<h1>Annet</h1>" in office.get("/side", "http://annet-no.ressurs.localhost:8000").text
    assert "page annet.no/side" in office.seen()


def test_cookies_are_the_recordings_and_gone_at_its_end(office: Office) -> None:
    office.upstream.pages[f"{SITE}/"] = html("<h1>M</h1>")
    office.upstream.pages[f"{SITE}/satt"] = Page(
        b"<h1>S</h1>", headers={"content-type": "text/html"}, set_cookies=("a=1; Path=/",)
    )
    office.record()
    office.get("/satt")
    office.get("/")
    assert office.upstream.requests[-1].cookie == "a=1"
    assert "a=1" not in str(office.away.get_cookie("a"))
    with office.world.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM site_cookie")) == 0
    office.school.post_form(f"{office.here}/end")
    with office.world.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM recording_cookie")) == 0
    office.record()
    office.get("/")
    assert office.upstream.requests[-1].cookie is None


def test_every_request_stands_in_the_log(office: Office) -> None:
    office.record()
    office.get("/samling/skip?id=12")
    office.get("/sok?q=hei+du")
    one, other = office.outside.visits()
    assert (one["reason"], one["rule_id"], one["allowed"]) == ("recording", None, True)
    assert one["person_id"] == office.world.id("sigrid")
    assert one["unit_id"] == office.world.id("nord")
    assert (one["typed"], other["typed"]) == (False, True)


def test_the_page_of_the_recording_tells_what_was_needed(office: Office) -> None:
    office.record()
    assert "Ingenting ennå" in office.school.get(office.here).text
    office.get("/")
    office.get(f"{VIA}/b.png", dest="image")
    page = office.school.get(office.here).text
    assert "De trengte 2 verter" in page
    assert "cdn.example.com" in page
    assert "Funnet, ikke åpnet" in page


def test_a_recording_lasts_half_an_hour(office: Office) -> None:
    office.record()
    assert office.get("/").status_code == 200
    office.world.clock.move(timedelta(minutes=29))
    assert office.get("/").status_code == 200
    office.world.clock.move(timedelta(minutes=2))
    before = len(office.upstream.requests)
    assert office.get("/").status_code == 401
    assert len(office.upstream.requests) == before


def test_a_new_recording_ends_the_one_before(office: Office) -> None:
    office.record()
    first = office.id
    office.start("https://annet.no/side")
    assert office.id != first
    assert office.get("/").status_code == 401


def test_start_end_and_what_is_drafted_stand_in_the_audit_log(office: Office) -> None:
    office.record()
    office.school.post_form(f"{office.here}/end")
    office.school.post_form(f"{office.here}/end")
    office.school.post_form(f"{office.here}/throw")
    kinds = [one["kind"] for one in office.world.audit() if one["kind"].startswith("recording")]
    assert kinds == ["recording.started", "recording.ended", "recording.thrown_away"]
    assert office.school.get(office.here).status_code == 404


def test_a_page_whose_text_script_makes_is_told(office: Office) -> None:
    office.upstream.pages[f"{SITE}/kort"] = html("<p>Kort.</p>")
    office.upstream.pages[f"{SITE}/app"] = html(f"<div id=a></div><script src={CDN}/js/app.js>")
    office.record()
    office.get("/kort")
    assert "nesten tomme uten skript" not in office.school.get(office.here).text
    office.get("/app")
    assert "nesten tomme uten skript" in office.school.get(office.here).text


def test_an_address_is_taken_as_people_write_it(office: Office) -> None:
    for typed in ("skipsmuseum.no", "  Museum.no/samling/vogn ", "http://skipsmuseum.no/x#del"):
        assert office.start(typed).status_code == 303, typed
    for typed in (
        "",
        "museum",
        "https://127.0.0.1/",
        "https://a:b@skipsmuseum.no/",
        "https://skipsmuseum.no:1/",
    ):
        assert office.start(typed).status_code == 400, typed
    assert office.start(f"{SITE}/", reason=" ").status_code == 400
    assert CDN not in str(office.upstream.requests)
