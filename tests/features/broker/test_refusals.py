"""What is refused: said in plain words, fetched from nowhere, and written down."""

from __future__ import annotations

from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dask_platform.features.broker.refusals import Refusal, in_short, refusal_page
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.service import stops
from tests.features.broker.conftest import HERE, SITE, Outside, title
from tests.features.whitelists.build import rule

ASK = "/sites/wishes/new?address="


@pytest.fixture
def client(outside: Outside) -> FlaskClient:
    return outside.visitor("anna")


def ask_link(page: str) -> str | None:
    """The address that «ask for this page» asks for."""
    found = [part.partition('"')[0] for part in page.split('href="')[1:]]
    links = [urlsplit(unescape(one)) for one in found if ASK in unescape(one)]
    assert len(links) <= 1
    return parse_qs(links[0].query)["address"][0] if links else None


def refuses(
    outside: Outside, answer: TestResponse, reason: str, status: int = 403, visits: int = 1
) -> dict[str, Any]:
    """It is one of our pages, nothing went out, and the last line of the log says why."""
    assert answer.status_code == status, answer.text
    assert title(answer.text)
    assert "Tilbake til skolen" in answer.text
    assert not outside.upstream.requests
    found = outside.visits()
    assert len(found) == visits
    visit = found[-1]
    assert (visit["allowed"], visit["reason"], visit["status"]) == (False, reason, status)
    return visit


# -- each reason, in words ----------------------------------------------------------------------

OTHER_UNIT = {"scope": {"units": ["sor"]}}
SAID: dict[Reason, tuple[dict[str, Any], str, str, bool]] = {
    Reason.UNIT: (OTHER_UNIT, "/norge", "ikke åpent der du er", True),
    Reason.LEVEL: (
        {"scope": {"security_levels": ["low"]}}, "/norge", "ikke åpent der du er", True,
    ),
    Reason.COURSE: ({"scope": {"courses": ["kokk"]}}, "/norge", "et annet kurs", True),
    Reason.EXPIRED: ({"expires": "2025-01-01"}, "/norge", "en dag som er forbi", True),
    Reason.PATH: ({"paths": ["/dyr"]}, "/norge", "men ikke denne siden", True),
    Reason.CLOSED_PATH: ({"closed": ["/norge"]}, "/norge", "holdes stengt", True),
    Reason.QUERY: ({}, "/norge?q=hei", "noe som skolen ikke sender videre", True),
    Reason.HOURS: (
        {"hours": [{"days": ["mon"], "from": "00:00", "to": "00:01"}]}, "/norge",
        "åpent på andre tider", False,
    ),
    Reason.SUPERVISED: ({"supervised": True}, "/norge", "Spør læreren din", False),
    Reason.SITTING: (
        {"scope": {"sittings": ["norsk-2026"]}}, "/norge", "bare hjelpemidlene til", False,
    ),
    Reason.ENCODING: ({}, "/a%2fb", "Adressen kan ikke brukes", False),
    Reason.BAD_URL: ({}, "/" + "x" * 2500, "Adressen kan ikke brukes", False),
}  # fmt: skip


@pytest.mark.parametrize("reason", SAID)
def test_each_reason_is_said(outside: Outside, client: FlaskClient, reason: Reason) -> None:
    said, path, words, can_ask = SAID[reason]
    if reason is Reason.HOURS and outside.world.clock.now().weekday() == 0:
        said = {"hours": [{"days": ["tue"], "from": "00:00", "to": "00:01"}]}
    outside.open(rule(**said))
    answer = outside.get(client, path)
    visit = refuses(outside, answer, str(reason))
    assert words in answer.text
    assert ask_link(answer.text) == (f"{SITE}{path}" if can_ask else None)
    assert visit["url"] == f"{SITE}{path}"[:2000]
    assert visit["person_id"] == outside.world.id("anna")
    assert visit["unit_id"] == outside.world.id("nord")


def test_who_reads_the_log_is_told_in_short(outside: Outside, client: FlaskClient) -> None:
    outside.open(rule(closed=["/norge"]))
    outside.get(client, "/norge")
    outside.visits()  # the line is written
    page = outside.world.client("sigrid").get("/visits").text
    assert page.count("denne delen av nettstedet holdes stengt") == 2, "in the week, and its line"
    with outside.world.app.test_request_context():
        said = {reason: in_short(reason) for reason in (*Reason, "form", "uncopied", "upstream")}
    assert len(set(said.values())) == len(said), "no two reasons read the same"


def test_a_site_that_is_not_listed_any_more(outside: Outside, client: FlaskClient) -> None:
    outside.sql(
        "INSERT INTO whitelist_version (rule_id, body, proposed_name, approved_name, reason, at)"
        " VALUES ('leksikon', NULL, 'En', 'To', 'Test', now())"
    )
    answer = outside.get(client, "/norge")
    refuses(outside, answer, "not_listed")
    assert "har ikke åpnet dette nettstedet" in answer.text
    assert ask_link(answer.text) == f"{SITE}/norge"


def test_the_school_takes_the_wish(outside: Outside) -> None:
    school = outside.school("anna")
    client = outside.visitor(school)
    outside.open(rule(paths=["/dyr"]))
    page = outside.get(client, "/norge").text
    link = next(part for part in unescape(page).split('href="')[1:] if ASK in part)
    place = urlsplit(link.partition('"')[0])
    form = school.get(f"{place.path}?{place.query}")
    assert form.status_code == 200
    assert f'value="{SITE}/norge"' in form.text


def test_what_is_kept_closed_and_what_is_stopped(outside: Outside, client: FlaskClient) -> None:
    with outside.world.uow("sigrid") as uow:
        stops.stop_unit(
            uow, outside.world.actor("sigrid"), outside.world.id("nord"), "Nå.",
            outside.world.clock.now(),
        )  # fmt: skip
    answer = outside.get(client, "/norge")
    refuses(outside, answer, "stopped")
    assert "har stoppet dette nettstedet" in answer.text
    closes = {"refuse": [f"{SITE}/"]}
    outside.open(rule(id="stengt", effect="deny", paths=["/"], examples=closes))
    answer = outside.get(client, "/norge")
    refuses(outside, answer, "denied", visits=2)
    assert "holder denne siden stengt" in answer.text
    assert ask_link(answer.text) is None


def test_a_frozen_rule_fetches_nothing(outside: Outside, client: FlaskClient) -> None:
    outside.open(rule(profile="frozen"))
    answer = outside.get(client, "/norge")
    refuses(outside, answer, "frozen")
    assert "ingen kopi" in answer.text


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("nb", "Nettstedet er åpent, men ikke denne siden."),
        ("nn", "Nettstaden er open, men ikkje denne sida."),
        ("en", "The site is open, but not this page of it."),
    ],
)  # fmt: skip
def test_three_languages(outside: Outside, client: FlaskClient, locale: str, words: str) -> None:
    outside.open(rule(paths=["/dyr"]))
    outside.sql("UPDATE person SET locale = :l WHERE username = 'anna'", l=locale)
    answer = outside.get(client, "/norge")
    assert words in answer.text
    assert f'lang="{locale}"' in answer.text


def test_every_reason_has_words_of_its_own(outside: Outside) -> None:
    """A reason without words would be told as a bad address, which sends the student astray."""
    addresses = {"bad_url", "not_canonical", "scheme", "userinfo", "port", "encoding", "allowed"}
    with outside.broker.test_request_context("/", base_url=HERE):
        plain = refusal_page(Refusal("bad_url", None), 403).get_data(as_text=True)
        for reason in Reason:
            page = refusal_page(Refusal(str(reason), None), 403).get_data(as_text=True)
            assert (page == plain) == (str(reason) in addresses), reason


# -- nothing can be put into the page -----------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.no/\"onmouseover='x'", "https://evil.no/<script>alert(1)</script>",
        "javascript:alert(1)", "JaVaScRiPt://leksikon.no/%0aalert(1)", "data:text/html,<b>x</b>",
        "https://evil.no/{{7*7}}{%25x%25}", "https://evil.no/?a=%22%3E%3Cimg%20src=x%3E",
        "https://evil.no/&address=https://leksikon.no/", "https://a:b@leksikon.no/",
        "https://evil.no/" + "a" * 4000, "https://evil.no/%E2%80%AEgpj", "//evil.no", "", "\n",
    ],
)  # fmt: skip
def test_an_address_is_text_and_nothing_else(
    outside: Outside, client: FlaskClient, url: str
) -> None:
    answer = outside.get(client, f"/_dask/go?to={quote(url, safe='')}")
    assert answer.status_code == 403
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    for attribute in ("onmouseover=", "javascript:", "data:"):
        assert f" {attribute}" not in answer.text
        assert f'"{attribute}' not in answer.text
    asked = ask_link(answer.text)
    assert asked is None or (asked.startswith("https://evil.no/") and len(asked) <= 2000)
    assert not outside.upstream.requests


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://evil.no/", "not_listed"), ("http://leksikon.no/", "scheme"),
        ("https://127.0.0.1/", "bad_url"), ("https://localhost/", "bad_url"),
        ("https://0x7f.1/", "not_canonical"), ("https://leksikon.no:8443/", "port"),
        ("https://leksikon.no./", "bad_url"), ("https://x@leksikon.no/", "userinfo"),
        ("https://leksikon.no.evil.no/", "not_listed"), ("https://evilleksikon.no/", "not_listed"),
        ("https://[::1]/", "bad_url"), ("https://169.254.169.254/", "bad_url"),
        ("https://ressurs.localhost/", "not_listed"), ("ftp://leksikon.no/", "scheme"),
        ("https://leksikon.no/_dask/enter", "bad_url"),
        ("https://leksikon.no/%5Fdask/go?to=x", "query"),
    ],
)  # fmt: skip
def test_a_link_leads_to_approved_places_alone(
    outside: Outside, client: FlaskClient, url: str, reason: str
) -> None:
    answer = outside.get(client, f"/_dask/go?to={quote(url, safe='')}")
    refuses(outside, answer, reason)
    assert "Location" not in answer.headers


# -- addresses of the broker itself -------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.no", "localhost", "ressurs.localhost", "ressurs.localhost:8000",
        "start.ressurs.localhost:8000", "leksikon-no.ressurs.localhost",
        "leksikon-no.ressurs.localhost:80", "leksikon-no.ressurs.localhost:8000:1",
        "LEKSIKON-NO.RESSURS.LOCALHOST.:8000", "leksikon-no.ressurs.localhost.:8000",
        "leksikon.no.ressurs.localhost:8000", "a.leksikon-no.ressurs.localhost:8000",
        "leksikon-no.ressurs.localhost:8000,evil.no", "leksikon-no.ressurs.localhost:8000@evil.no",
        "evil.no#leksikon-no.ressurs.localhost:8000", "leksikon-no..ressurs.localhost:8000",
        "leksikon---no.ressurs.localhost:8000", "[::1]", "127.0.0.1", "leksikon-no",
        "leksikon-noressurs.localhost:8000", "", " ", "æ.ressurs.localhost:8000",
        "leksikon-no.ressurs.localhost:8000\t", "leksikon-no.ressurs.localhost:8000/x",
    ],
)  # fmt: skip
def test_a_host_that_is_not_a_sites_gets_nothing(
    outside: Outside, client: FlaskClient, host: str
) -> None:
    answer = client.get("/norge", base_url=HERE, environ_overrides={"HTTP_HOST": host})
    assert answer.status_code >= 400
    assert "Et langt land" not in answer.text
    assert "evil" not in answer.text
    assert not outside.upstream.requests


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.no/norge", "https://leksikon.no/norge", "*", "leksikon.no:443", "",
        "//evil.no/norge", "/\\evil.no", "\\norge", "norge", "/norge/../../x//y", "/%2e%2e/norge",
        "/norge;jsessionid=1", "/norge%00", "/nor\tge", "/norge%0d%0aX:y", "/%252e%252e/",
    ],
)  # fmt: skip
def test_a_target_in_another_form_is_no_address(
    outside: Outside, client: FlaskClient, target: str
) -> None:
    raw = {"RAW_URI": target, "REQUEST_URI": target}
    answer = client.get("/norge", base_url=HERE, environ_overrides=raw)
    assert not outside.upstream.requests
    assert answer.status_code in (303, 403)
    if answer.status_code == 303:
        assert (answer.location or "").startswith("/")
        assert "evil" not in (answer.location or "")


@pytest.mark.parametrize(
    "path",
    [
        "/_dask/", "/_dask/x", "/_dask/enter/x", "/_dask/via/", "/_dask/via/x", "/_dask/via/x/",
        "/_dask/via/leksikon-no/../x", "/_dask/via/evil/x.png", "/_dask/via/leksikon.no/x.png",
        "/%5fdask/x", "/_dask/via/../go", "/_dask/static/1/../../app.py", "/_dask/static/1/x",
        "/_dask/go/x", "/_dask/../_dask/x", "/_DASK%2fx",
    ],
)  # fmt: skip
def test_under_our_own_paths_no_site_is_asked(
    outside: Outside, client: FlaskClient, path: str
) -> None:
    outside.upstream.pages[f"{SITE}/_dask/x"] = outside.upstream.pages[f"{SITE}/norge"]
    answer = outside.get(client, path)
    assert answer.status_code in (400, 403, 404)
    assert not outside.upstream.requests


@pytest.mark.parametrize("where", ["evil-no/a.png", "leksikon-no/norge", "evil-no/", "atlas-no/"])
def test_beside_a_page_stand_files_of_approved_hosts_and_no_pages(
    outside: Outside, client: FlaskClient, where: str
) -> None:
    outside.open(
        rule(
            id="atlas", host="atlas.no",
            examples={"pass": ["https://atlas.no/"], "refuse": ["https://atlas.no:8443/"]},
        )
    )  # fmt: skip
    outside.upstream.pages["https://atlas.no/"] = outside.upstream.pages[f"{SITE}/norge"]
    answer = outside.get(client, f"/_dask/via/{where}")
    assert answer.status_code in (400, 403)
    assert "Et langt land" not in answer.text


# -- methods ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
)
@pytest.mark.parametrize("path", ["/norge", "/_dask/go?to=https://leksikon.no/"])
def test_nothing_can_be_sent(outside: Outside, client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, base_url=HERE, method=method, data="melding=hei")
    assert answer.status_code >= 400
    assert not outside.upstream.requests
    (visit,) = outside.visits()
    assert (visit["allowed"], visit["method"]) == (False, method)


def test_another_method_in_a_header_or_field_is_not_heard(
    outside: Outside, client: FlaskClient
) -> None:
    headers = {"X-HTTP-Method-Override": "POST", "X-HTTP-Method": "PUT", "X-Method-Override": "PUT"}
    answer = outside.get(client, "/norge", headers=headers)
    assert answer.status_code == 200
    assert outside.upstream.requests[0].method == "GET"
    answer = outside.get(client, "/norge?_method=POST")
    assert answer.status_code == 403


def test_a_body_behind_get_stays_here(outside: Outside, client: FlaskClient) -> None:
    answer = client.get("/norge", base_url=HERE, data="melding=hei")
    assert answer.status_code == 200
    (request,) = outside.upstream.requests
    assert request.form is None
    assert request.url == f"{SITE}/norge"


def test_what_an_address_should_be_is_decided_anew(outside: Outside, client: FlaskClient) -> None:
    raw = {"RAW_URI": "/dyr/../norge", "REQUEST_URI": "/dyr/../norge"}
    answer = client.get("/norge", base_url=HERE, environ_overrides=raw)
    assert (answer.status_code, answer.location) == (303, "/norge")
    assert not outside.upstream.requests


def test_the_log_holds_nothing_that_cannot_be_read(outside: Outside, client: FlaskClient) -> None:
    raw = {"RAW_URI": "/a\x1b[31m\u202eb", "REQUEST_URI": "/a\x1b[31m\u202eb"}
    client.get("/norge", base_url=HERE, environ_overrides=raw)
    (visit,) = outside.visits()
    assert str(visit["url"]).isprintable()
