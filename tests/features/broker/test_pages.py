"""What comes back: redirects, types, ranges, errors, limits, and the headers both ways."""

from __future__ import annotations

from html import unescape
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import fetching
from dask_platform.features.broker.fetching import Kind
from dask_platform.features.broker.passing import disposition
from dask_platform.kernel import errors
from tests.features.broker.conftest import HERE, SITE, Outside, html, title
from tests.features.whitelists.build import rule

ATLAS = "https://atlas.no"
HELPER = "https://bilder.no"


@pytest.fixture
def client(outside: Outside) -> FlaskClient:
    helper = {
        "host": "bilder.no", "paths": ["/p"], "types": ["image/png", "image/svg+xml", "text/css"],
    }  # fmt: skip
    outside.open(
        rule(helpers=[helper]),
        rule(
            id="atlas", host="atlas.no",
            examples={"pass": [f"{ATLAS}/"], "refuse": [f"{ATLAS}:8443/"]},
        ),
    )  # fmt: skip
    return outside.visitor("anna")


def put(outside: Outside, url: str, page: Page) -> None:
    outside.upstream.pages[url] = page


def typed(mime: str, body: bytes = b"data") -> Page:
    return Page(body, headers={"content-type": mime})


def moved(to: str, status: int = 302) -> Page:
    return Page(b"", status, {"location": to, "content-type": "text/html"})


def test_a_page_of_a_site_stands_on_white(outside: Outside, client: FlaskClient) -> None:
    """Its dark text must not stand on the dark ground that a reader may have chosen for ours."""
    assert 'data-color-scheme="light"' in outside.get(client, "/norge").text
    assert 'data-color-scheme="auto"' in outside.get(client, "/norge?q=hei").text


# -- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_site_is_taken_as_a_new_request(
    outside: Outside, client: FlaskClient, status: int
) -> None:
    put(outside, f"{SITE}/gammel", moved("norge#by", status))
    answer = outside.get(client, "/gammel")
    assert (answer.status_code, answer.location) == (303, "/norge")
    assert len(outside.upstream.requests) == 1, "nothing is followed by ourselves"


def test_a_redirect_to_another_approved_site_goes_by_a_ticket(
    outside: Outside, client: FlaskClient
) -> None:
    put(outside, f"{SITE}/ut", moved(f"{ATLAS}/kart"))
    put(outside, f"{ATLAS}/kart", html("<h1>Kart</h1>"))
    answer = outside.get(client, "/ut")
    assert answer.location == "/_dask/go?to=https%3A%2F%2Fatlas.no%2Fkart"
    answer = outside.take(client, (outside.get(client, answer.location).location) or "")
    there = outside.get(client, answer.location or "", "http://atlas-no.ressurs.localhost:8000")
    assert title(there.text) == "Kart"


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("https://evil.no/", "not_listed"), ("//evil.no/", "not_listed"),
        ("http://leksikon.no/norge", "scheme"), ("https://127.0.0.1/", "bad_url"),
        ("http://169.254.169.254/latest", "scheme"), ("https://leksikon.no:8443/", "port"),
        ("https://a:b@leksikon.no/", "userinfo"), ("javascript:alert(1)", "scheme"),
        ("data:text/html,x", "scheme"), ("https://[", "bad_url"), ("/norge?x=1", "query"),
        ("/_dask/enter?ticket=x", "query"), ("/_dask/go", "bad_url"), ("/%5fdask/go", "bad_url"),
        ("\\\\evil.no", "not_listed"), ("/a%2f..%2f", "encoding"), ("", "allowed"),
    ],
)  # fmt: skip
def test_where_a_redirect_leads_is_decided_afresh(
    outside: Outside, client: FlaskClient, to: str, reason: str
) -> None:
    put(outside, f"{SITE}/ut", moved(to))
    answer = outside.get(client, "/ut")
    assert len(outside.upstream.requests) == 1
    if reason == "allowed":
        assert answer.location == "/ut", "a loop is the browser's to end"
        return
    assert answer.status_code == 403
    assert "Location" not in answer.headers
    first, second = outside.visits()
    assert (first["allowed"], first["status"]) == (True, 302)
    assert (second["allowed"], second["reason"]) == (False, reason)


def test_a_picture_that_has_moved_stays_beside_its_page(
    outside: Outside, client: FlaskClient
) -> None:
    put(outside, f"{HELPER}/p/a.png", moved("/p/b.png"))
    put(outside, f"{HELPER}/p/c.png", moved(f"{SITE}/d.png"))
    answer = outside.get(client, "/_dask/via/bilder-no/p/a.png")
    assert answer.location == "/_dask/via/bilder-no/p/b.png"
    assert outside.get(client, "/_dask/via/bilder-no/p/c.png").location == "/d.png"


# -- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mime",
    [
        "application/javascript", "text/javascript", "application/json", "application/zip",
        "application/octet-stream", "text/xml", "application/xml", "image/svg", "text/x-server",
        "multipart/x-mixed-replace", "message/rfc822", "application/wasm", "text/event-stream",
        "text/vnd.wap.wml", "text/cache-manifest", "application/x-shockwave-flash", "*/*", "html",
        "text/html2", "image/png, text/html", "application/manifest+json",
    ],
)  # fmt: skip
def test_a_type_that_is_not_listed_is_refused(
    outside: Outside, client: FlaskClient, mime: str
) -> None:
    put(outside, f"{SITE}/fil", typed(mime, b"hemmelig"))
    answer = outside.get(client, "/fil")
    assert answer.status_code == 403
    assert "hemmelig" not in answer.text
    assert "filer av dette slaget" in answer.text
    assert outside.visits()[-1]["reason"] == "type"


def test_without_a_type_nothing_is_shown(outside: Outside, client: FlaskClient) -> None:
    put(outside, f"{SITE}/fil", Page(b"<script>x</script>"))
    assert outside.get(client, "/fil").status_code == 403


def test_the_rules_own_types_narrow(outside: Outside, client: FlaskClient) -> None:
    outside.open(rule(types=["text/html"]))
    put(outside, f"{SITE}/a.png", typed("image/png"))
    assert outside.get(client, "/a.png").status_code == 403
    assert outside.get(client, "/norge").status_code == 200


def test_a_helper_gives_what_the_rule_says_and_no_page(
    outside: Outside, client: FlaskClient
) -> None:
    put(outside, f"{HELPER}/p/a.png", typed("image/png"))
    put(outside, f"{HELPER}/p/a.html", html("<h1>Post</h1>"))
    put(outside, f"{HELPER}/p/a.pdf", typed("application/pdf"))
    put(outside, f"{ATLAS}/", html("<h1>Atlas</h1>"))
    assert outside.get(client, "/_dask/via/bilder-no/p/a.png").data == b"data"
    for path in ("bilder-no/p/a.html", "bilder-no/p/a.pdf", "atlas-no/", "bilder-no/q"):
        answer = outside.get(client, f"/_dask/via/{path}")
        assert answer.status_code == 403, path
    entry = outside.get(client, f"/_dask/go?to={HELPER}/p/a.html").location or ""
    there = "http://bilder-no.ressurs.localhost:8000"
    outside.take(client, entry)
    assert outside.get(client, "/p/a.html", there).status_code == 403
    assert outside.get(client, "/p/a.png", there).status_code == 200


def test_a_drawing_by_itself_runs_nothing(outside: Outside, client: FlaskClient) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    put(outside, f"{SITE}/a.svg", typed("image/svg+xml; charset=utf-8", svg))
    answer = outside.get(client, "/a.svg")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"sandbox", "default-src 'none'"} <= set(policy)
    assert not any("script" in part for part in policy)
    assert answer.headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("mime", "path", "name"),
    [
        ("application/pdf", "/a/b%C3%A6r.pdf", "b%C3%A6r.pdf"),
        ("application/pdf", "/side.html", "side.html.pdf"),
        ("text/plain", "/side.html", "side.html.txt"), ("text/plain", "/x.TXT", "x.TXT"),
        ("text/plain", "/", "fil.txt"),
        ("application/pdf", "/%22;x=%22.exe", "%22%3Bx%3D%22.exe.pdf"),
        ("text/plain", "/" + "a" * 190, "a" * 80 + ".txt"),
    ],
)  # fmt: skip
def test_a_paper_is_saved_under_a_name_that_fits_its_type(mime: str, path: str, name: str) -> None:
    assert disposition(Kind(mime, None), unquote(path)) == f"attachment; filename*=UTF-8''{name}"


def test_a_paper_is_not_opened_in_the_browser(outside: Outside, client: FlaskClient) -> None:
    put(outside, f"{SITE}/bok.pdf", typed("application/pdf"))
    answer = outside.get(client, "/bok.pdf")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''bok.pdf"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_name_that_would_be_read_backwards(outside: Outside) -> None:
    assert "%E2%80%AE" not in disposition(Kind("application/pdf", None), "/\u202efdp.exe")


# -- ranges, HEAD and errors --------------------------------------------------------------------


def test_a_player_asks_for_a_part(outside: Outside, client: FlaskClient) -> None:
    put(outside, f"{SITE}/a.mp4", typed("video/mp4", bytes(range(100))))
    answer = outside.get(client, "/a.mp4", headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.data) == (206, bytes(range(10, 20)))
    assert answer.headers["Content-Range"] == "bytes 10-19/100"
    answer = outside.get(client, "/a.mp4", headers={"Range": "bytes=500-"})
    assert (answer.status_code, answer.data) == (416, b"")
    for odd in ("bytes=0-1,5-6", "bytes=-5", "bytes=5-1", "lines=1-2", "bytes= 0-1", "x" * 999):
        whole = outside.get(client, "/a.mp4", headers={"Range": odd})
        assert (whole.status_code, len(whole.data)) == (200, 100)
        assert outside.upstream.requests[-1].span is None


@pytest.mark.parametrize("path", ["/norge", "/a.png", "/mangler"])
def test_head_is_asked_as_head_and_logged(outside: Outside, client: FlaskClient, path: str) -> None:
    put(outside, f"{SITE}/a.png", typed("image/png"))
    answer = client.head(path, base_url=HERE)
    assert answer.data == b""
    assert outside.upstream.requests[-1].method == "HEAD"
    (visit,) = outside.visits()
    assert visit["method"] == "HEAD"


def test_a_file_that_is_not_read_to_its_end_is_logged_and_let_go(
    outside: Outside, client: FlaskClient
) -> None:
    put(outside, f"{SITE}/a.png", typed("image/png", b"x" * 300_000))
    outside.get(client, "/a.png", buffered=False).close()
    (visit,) = outside.visits()
    assert visit["url"] == f"{SITE}/a.png"
    assert isinstance(visit["size"], int)
    assert visit["size"] < 300_000


FAULTS = [
    errors.UpstreamUnavailable, errors.UpstreamTimeout, errors.UpstreamNameUnknown,
    errors.UpstreamAddressRefused, errors.UpstreamCertificateRefused,
    errors.UpstreamAnswerRefused, errors.UpstreamTooLarge, errors.UpstreamStopped,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("when", ["at once", "in the page"])
def test_each_fault_of_the_way_is_said_in_our_words(
    outside: Outside, client: FlaskClient, fault: type[errors.UpstreamError], when: str
) -> None:
    outside.sql("UPDATE person SET locale = 'en' WHERE username = 'anna'")
    said = fault("10.0.0.5 said: ring meg på 5551")
    if when == "at once":
        outside.upstream.ill["leksikon.no"] = said
    else:
        put(
            outside, f"{SITE}/norge", Page(b"<p>ring", 200, {"content-type": "text/html"}, (), said)
        )
    answer = outside.get(client, "/norge")
    assert answer.status_code == 502
    assert fault.sentence in unescape(answer.text)
    assert "ring" not in answer.text.replace("string", "")
    assert "10.0.0.5" not in answer.text
    (visit,) = outside.visits()
    assert (visit["reason"], visit["status"]) == (fault.__name__[:30], 502)


@pytest.mark.parametrize(("status", "shown"), [(404, 404), (410, 404), (403, 502), (500, 502),
                                               (204, 502), (304, 502), (300, 502)])  # fmt: skip
def test_an_answer_that_is_none_is_said_plainly(
    outside: Outside, client: FlaskClient, status: int, shown: int
) -> None:
    put(outside, f"{SITE}/x", Page(b"ring meg", status, {"content-type": "text/plain"}))
    answer = outside.get(client, "/x")
    assert answer.status_code == shown
    assert "ring meg" not in answer.text
    assert "Siden kan ikke hentes" in answer.text


def test_a_sites_own_page_for_what_it_does_not_have(outside: Outside, client: FlaskClient) -> None:
    put(outside, f"{SITE}/x", Page(b"<h1>Fins ikke</h1>", 404, {"content-type": "text/html"}))
    answer = outside.get(client, "/x")
    assert (answer.status_code, title(answer.text)) == (404, "Fins ikke")


def test_limits_of_size(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.open(rule(largest=2000))
    put(outside, f"{SITE}/a.png", typed("image/png", b"x" * 2001))
    assert outside.get(client, "/a.png").status_code == 502
    outside.open(rule())
    monkeypatch.setattr(fetching, "LARGEST_PAGE", 1000)
    put(outside, f"{SITE}/lang", html("x" * 1001))
    assert outside.get(client, "/lang").status_code == 502
    assert [one["reason"] for one in outside.visits()] == ["UpstreamTooLarge"] * 2


def test_a_page_too_tangled_to_clean_is_said_and_logged(
    outside: Outside, client: FlaskClient
) -> None:
    put(outside, f"{SITE}/floke", html("<div>" * 50_000))
    answer = outside.get(client, "/floke")
    assert answer.status_code == 502
    (visit,) = outside.visits()
    assert (visit["reason"], visit["url"]) == ("TooLarge", f"{SITE}/floke")


# -- headers ------------------------------------------------------------------------------------

THEIRS = {
    "content-security-policy": "default-src *; script-src 'unsafe-inline'",
    "strict-transport-security": "max-age=1", "clear-site-data": '"*"', "alt-svc": 'h3=":443"',
    "refresh": "0; url=https://evil.no", "link": "<https://evil.no>; rel=preload",
    "access-control-allow-origin": "*", "set-cookie": "a=b", "content-location": "https://evil.no",
    "report-to": "{}", "nel": "{}", "service-worker-allowed": "/", "x-frame-options": "ALLOWALL",
    "content-disposition": 'attachment; filename="a.exe"', "www-authenticate": "Basic",
    "x-evil": "1", "cache-control": "public, max-age=99", "etag": '"evil"', "server": "evil",
    "content-encoding": "x", "sourcemap": "/x", "expect-ct": "x", "x-content-type-options": "none",
}  # fmt: skip
PAGES = {
    "/side": "text/html; charset=utf-8", "/stil.css": "text/css", "/a.png": "image/png",
    "/a.pdf": "application/pdf", "/a.zip": "application/zip",
}  # fmt: skip


def ours(answer: TestResponse) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "*" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store" or "Cookie" in answer.vary
    assert answer.headers["Cache-Control"].split(",")[0] in ("no-store", "private")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("whole", [True, False])
def test_no_header_of_the_site_reaches_the_browser(
    outside: Outside, client: FlaskClient, path: str, whole: bool
) -> None:
    page = Page(b"a{color:red}", 200, {**THEIRS, "content-type": PAGES[path]}, ("a=b; Path=/",))
    put(outside, f"{SITE}{path}", page)
    answer = outside.get(client, path) if whole else client.head(path, base_url=HERE)
    said = "\n".join(f"{name}: {value}" for name, value in answer.headers).lower()
    for mark in ("evil", "set-cookie", "refresh", "alt-svc", "clear-site", "access-control",
                 "allowall", "max-age=99", "a.exe", "www-auth"):  # fmt: skip
        assert mark not in said, mark
    ours(answer)


@pytest.mark.parametrize("path", ["/", "/_dask/go?to=https://evil.no/", "/_dask/x", "/mangler"])
def test_our_own_headers_are_on_every_answer(
    outside: Outside, client: FlaskClient, path: str
) -> None:
    ours(outside.get(client, path))
    ours(outside.get(outside.broker.test_client(), path))


def test_only_the_address_the_span_and_the_jar_go_out(
    outside: Outside, client: FlaskClient
) -> None:
    client.set_cookie("fra-nettleseren", "hei", domain="leksikon-no.ressurs.localhost")
    headers = {
        "User-Agent": "beskjed", "Accept-Language": "beskjed", "Referer": "https://beskjed.no/",
        "X-Melding": "beskjed", "If-None-Match": '"beskjed"', "Authorization": "Basic beskjed",
        "Origin": "https://beskjed.no", "Accept": "beskjed/x", "X-Forwarded-For": "1.2.3.4",
        "From": "beskjed@x.no", "If-Range": '"beskjed"', "Expect": "beskjed",
    }  # fmt: skip
    outside.get(client, "/norge#beskjed", headers=headers)
    (request,) = outside.upstream.requests
    assert (request.url, request.method) == (f"{SITE}/norge", "GET")
    assert (request.span, request.cookie, request.etag, request.form) == (None, None, None, None)


def test_a_page_that_drips_holds_no_thread_for_long(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film may take its half hour; a page has thirty seconds, here none."""
    monkeypatch.setattr(fetching, "PAGE_SECONDS", 0.0)
    put(outside, f"{SITE}/bilde", typed("image/png"))
    assert outside.get(client, "/norge").status_code == 502
    assert outside.visits()[-1]["reason"] == "UpstreamTimeout"
    assert outside.get(client, "/bilde").status_code == 200
