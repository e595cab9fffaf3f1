"""Sites whose own script runs: who is let in where, what may come, and what is sent with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from pydantic import ValidationError
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import Page
from tests.features.broker.conftest import DOMAIN, HERE, SITE, Outside, html
from tests.features.whitelists.build import rule

CDN = "https://cdn.no"
AT_CDN = "http://cdn-no.ressurs.localhost:8000"
HELPERS = [
    {"host": "cdn.no", "paths": ["/lib"], "types": ["text/javascript", "font/woff2"]},
    {"host": "bilder.no", "types": ["image/png"]},
]
SCRIPTED = rule(profile="scripted", helpers=HELPERS, closed=["/hemmelig"])


def typed(mime: str, body: bytes = b"1", **more: str) -> Page:
    return Page(body, headers={"content-type": mime, **more})


@pytest.fixture(autouse=True)
def written(outside: Outside) -> Iterator[None]:
    """Nothing waits for the log when the next test begins."""
    yield
    outside.written()


@pytest.fixture
def client(outside: Outside) -> FlaskClient:
    outside.open(SCRIPTED)
    outside.upstream.pages |= {
        f"{SITE}/": html(
            "<h1>Regn</h1>", f"<script>1</script><script src={CDN}/lib/a.js></script>"
        ),
        f"{SITE}/data.json": typed("application/json"),
        f"{SITE}/a.js": typed("application/javascript; charset=latin1"),
        f"{SITE}/stil.css": typed("text/css", b"#main > p{background:url(//bilder.no/a.png)}"),
        f"{CDN}/lib/a.js": typed("text/javascript"),
        f"{CDN}/lib/side": html("<h1>Nei</h1>"),
        f"{CDN}/lib/f.woff2": typed("font/woff2"),
    }
    return walked_in(outside, "anna")


def walked_in(outside: Outside, name: str) -> FlaskClient:
    client = outside.broker.test_client()
    answer = outside.enter(client, name)
    for _ in range(3):
        answer = outside.take(client, answer.location or "")
        if "/_dask/enter" not in (answer.location or "x/_dask/enter"):
            break
    return client


def get(client: FlaskClient, path: str, host: str = HERE, **headers: str) -> TestResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(path, base_url=host, headers=given)


# -- entering ------------------------------------------------------------------------------------


def test_entering_leads_through_each_helper_and_then_to_the_page(outside: Outside) -> None:
    outside.open(SCRIPTED)
    client = outside.broker.test_client()
    first = outside.enter(client, "anna")
    assert (first.location or "").startswith("http://bilder-no.ressurs.localhost:8000/_dask/enter?")
    second = outside.take(client, first.location or "")
    assert (second.location or "").startswith(f"{AT_CDN}/_dask/enter?")
    last = outside.take(client, second.location or "")
    assert last.location == f"{HERE}/"
    assert outside.take(client, second.location or "").status_code == 401, "a ticket is good once"


@pytest.mark.parametrize(
    "site", ["evil-no", "cdn-no", "", "x", "leksikon-no.evil.no", "leksikon--no"]
)
def test_nobody_is_led_to_a_site_that_the_host_does_not_help(outside: Outside, site: str) -> None:
    outside.open(SCRIPTED)
    client = outside.broker.test_client()
    first = outside.enter(client, "anna").location or ""
    answer = outside.take(client, first.replace("for=leksikon-no", f"for={site}"))
    assert answer.location == "/"


def test_another_session_at_the_pc_finds_nothing(outside: Outside) -> None:
    outside.open(SCRIPTED)
    client = outside.broker.test_client()
    school = outside.school("anna")
    assert outside.enter(client, school).headers["Clear-Site-Data"] == '"storage", "cache"'
    assert "Clear-Site-Data" not in outside.enter(client, school).headers
    assert outside.enter(client, "bo").headers["Clear-Site-Data"] == '"storage", "cache"'


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Mode": "cors"}, {"Sec_Fetch_Dest": "empty"}, {"Sec_Fetch_Dest": "image"}],
)
def test_doors_are_for_links_and_not_for_fetch(
    outside: Outside, client: FlaskClient, headers: dict[str, str]
) -> None:
    assert get(client, f"/_dask/go?to={SITE}/norge", **headers).status_code == 403
    ticket = outside.ticket("anna").partition("8000")[2]
    assert get(client, ticket, **headers).status_code == 401
    assert get(client, ticket).status_code == 303, "and it was not used up"


def test_a_rule_has_no_more_helpers_than_a_browser_follows() -> None:
    many = [{"host": f"h{one}.no", "types": ["text/css"]} for one in range(13)]
    rule(profile="scripted", helpers=many[:12])
    rule(helpers=many)
    with pytest.raises(ValidationError, match="at most 12 helpers"):
        rule(profile="scripted", helpers=many)


# -- pages ---------------------------------------------------------------------------------------


def policies(answer: TestResponse) -> list[dict[str, list[str]]]:
    return [
        {part.split()[0]: part.split()[1:] for part in one.split(";")}
        for one in answer.headers["Content-Security-Policy"].split(",")
    ]


def test_the_policy_names_this_rules_labels_and_nothing_else(client: FlaskClient) -> None:
    answer = get(client, "/")
    assert answer.status_code == 200
    main, hosts = policies(answer)
    nonce = next(one for one in main["script-src"] if one.startswith("'nonce-"))
    assert main["script-src"] == ["'self'", nonce, AT_CDN]
    assert hosts["script-src"] == ["'self'", AT_CDN, "'unsafe-inline'"]
    assert main["img-src"] == [
        "'self'",
        "data:",
        "blob:",
        "http://bilder-no.ressurs.localhost:8000",
    ]
    assert main["connect-src"] == main["form-action"] == ["'self'"]
    for shut in (
        *("default-src", "worker-src", "child-src", "frame-src", "object-src", "base-uri"),
        *("manifest-src", "frame-ancestors", "script-src-attr", "fenced-frame-src"),
    ):
        assert main[shut] == ["'none'"], shut
    assert main["sandbox"] == ["allow-scripts", "allow-same-origin", "allow-forms"]
    assert f'nonce="{nonce[7:-1]}"' in answer.text
    assert "*" not in answer.headers["Content-Security-Policy"]
    for closed in ("camera=()", "browsing-topics=()", "direct-sockets=()", "interest-cohort=()"):
        assert closed in answer.headers["Permissions-Policy"]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_each_answer_has_a_word_of_its_own(client: FlaskClient) -> None:
    words = {re.findall(r"'nonce-[^']+'", str(policies(get(client, "/"))))[0] for _ in range(3)}
    assert len(words) == 3


def test_the_guard_and_the_bar_come_first(client: FlaskClient) -> None:
    page = get(client, "/").text
    assert (
        page.index("js/guard.js") < page.index("<script nonce") if "<script nonce" in page else True
    )
    assert page.index("js/guard.js") < page.index(f"{AT_CDN}/lib/a.js")
    assert re.search(r'<link rel="icon" href="/_dask/static/[0-9a-f]+/img/logo.svg">', page)
    assert page.index("<dask-bar>") < page.index("<h1>Regn</h1>")
    assert "logg" in page.partition("<dask-bar>")[2].partition("</dask-bar>")[0]


def test_a_part_of_a_page_that_script_fetches_has_no_bar(client: FlaskClient) -> None:
    page = get(client, "/", Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty").text
    assert "dask-bar" not in page
    assert "<h1>Regn</h1>" in page


def test_downloads_are_shut_but_for_types_that_the_rule_lists(outside: Outside) -> None:
    outside.open(rule(profile="scripted", types=["text/html", "application/pdf"]))
    outside.upstream.pages[f"{SITE}/"] = html("x")
    answer = get(outside.visitor("anna"), "/")
    assert "allow-downloads" in policies(answer)[0]["sandbox"]


def test_whoever_gets_a_cookie_past_the_guard_loses_them_all(client: FlaskClient) -> None:
    assert "Clear-Site-Data" not in get(client, "/").headers
    client.set_cookie("lapp", "hei", domain="leksikon-no.ressurs.localhost")
    assert get(client, "/").headers["Clear-Site-Data"] == '"cookies"'


def test_a_cookie_of_script_goes_nowhere(outside: Outside, client: FlaskClient) -> None:
    client.set_cookie("lapp", "hei", domain="leksikon-no.ressurs.localhost")
    get(client, "/data.json")
    assert outside.upstream.requests[-1].cookie is None


# -- programs and their data ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/data.json", "application/json"), ("/a.js", "application/javascript; charset=windows-1252")],
)
def test_script_and_data_come_under_a_scripted_rule(
    client: FlaskClient, path: str, kind: str
) -> None:
    answer = get(client, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment"), "opened, it is saved"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [{"Service_Worker": "script"}, {"Upgrade": "websocket", "Connection": "Upgrade"},
     {"Accept": "text/event-stream"}, {"Sec_Fetch_Dest": "serviceworker"},
     {"Sec_Fetch_Dest": "sharedworker"}, {"Sec_Fetch_Dest": "worker"}],
)  # fmt: skip
def test_workers_sockets_and_streams_are_refused_before_anything_goes_out(
    outside: Outside, client: FlaskClient, headers: dict[str, str]
) -> None:
    before = len(outside.upstream.requests)
    assert get(client, "/a.js", **headers).status_code in (400, 403)
    assert len(outside.upstream.requests) == before
    assert outside.visits()[-1]["allowed"] is False


@pytest.mark.parametrize("mime", ["text/event-stream", "application/xml", "text/xml", "text/x-any"])
def test_other_types_stay_shut(outside: Outside, client: FlaskClient, mime: str) -> None:
    outside.upstream.pages[f"{SITE}/fil"] = typed(mime)
    assert get(client, "/fil").status_code == 403


@pytest.mark.parametrize("path", ["/hemmelig", "/data.json?q=hei", f"/{'a' * 250}"])
def test_what_script_asks_for_is_decided_like_all_else(
    outside: Outside, client: FlaskClient, path: str
) -> None:
    before = len(outside.upstream.requests)
    assert get(client, path, Sec_Fetch_Dest="empty", Sec_Fetch_Mode="cors").status_code == 403
    assert len(outside.upstream.requests) == before


def test_a_sheet_keeps_its_selectors(client: FlaskClient) -> None:
    assert get(client, "/stil.css").text == (
        '#main > p{background:url("/_dask/via/bilder-no/a.png")}'
    )


# -- a helper's label ----------------------------------------------------------------------------


def test_a_helper_answers_the_rules_own_site_and_no_other(client: FlaskClient) -> None:
    answer = get(client, "/lib/a.js", AT_CDN, Origin=HERE, Sec_Fetch_Mode="cors")
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == HERE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    ["http://annet-no.ressurs.localhost:8000", "http://localhost:8000", "https://evil.no", "null",
     DOMAIN, "http://leksikon-no.ressurs.localhost", "https://leksikon-no.ressurs.localhost:8000",
     f"{HERE}.evil.no", AT_CDN],
)  # fmt: skip
def test_for_any_other_origin_it_says_nothing_of_sharing(client: FlaskClient, origin: str) -> None:
    answer = get(client, "/lib/a.js", AT_CDN, Origin=origin)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_helper_gives_no_page_and_is_gone_to_by_nobody(
    outside: Outside, client: FlaskClient
) -> None:
    assert get(client, "/lib/side", AT_CDN).status_code == 403
    before = len(outside.upstream.requests)
    answer = get(client, "/lib/a.js", AT_CDN, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert answer.status_code == 403
    assert get(client, "/annet/a.js", AT_CDN, Origin=HERE).status_code == 403
    assert len(outside.upstream.requests) == before


def test_another_sites_script_does_not_come_by_via(outside: Outside, client: FlaskClient) -> None:
    outside.open(
        rule(
            id="annet", host="annet.no", profile="scripted",
            examples={"pass": ["https://annet.no/"], "refuse": ["https://annet.no:8443/"]},
        )
    )  # fmt: skip
    outside.upstream.pages["https://annet.no/x.js"] = typed("text/javascript")
    assert get(client, "/_dask/via/annet-no/x.js").status_code == 403
    assert get(client, "/_dask/via/cdn-no/lib/a.js").status_code == 200


def test_the_reader_shows_no_script_still(outside: Outside) -> None:
    outside.upstream.pages[f"{SITE}/a.js"] = typed("text/javascript")
    assert get(outside.visitor("anna"), "/a.js").status_code == 403


def test_without_a_session_on_its_label_a_helper_gives_nothing(outside: Outside) -> None:
    outside.open(SCRIPTED)
    client = outside.visitor("anna")  # the page's own label alone
    assert get(client, "/lib/a.js", AT_CDN, Origin=HERE).status_code == 401
