"""Forms sent by POST: only listed fields go out, from our own page, as the student wrote them."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl, urlencode

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import forms
from dask_platform.features.broker.forms import FormRefused
from dask_platform.features.whitelists.rules import Form
from dask_platform.kernel import errors
from tests.features.broker.conftest import HERE, SITE, Outside, html, title
from tests.features.whitelists.build import rule

FIELDS = [
    {"name": "ord", "type": "word", "length": 20},
    {"name": "svar", "type": "text", "length": 60},
    {"name": "trinn", "type": "choice", "choices": ["lett", "vanskelig"]},
]
FORM = {"path": "/prove/svar", "method": "POST", "fields": FIELDS}
PAGE = """
<h1>Ordprøve</h1>
<form action="/prove/svar" method="post">
  <input type="hidden" name="csrf" value="sitets-eget"><input type="hidden" name="ord" value="bre">
  <input type="hidden" name="_dask_token" value="falsk"><input name="svar">
  <input type="hidden" name="trinn" value="lett"><input type="file" name="fil"><button>Send</button>
</form>
<form action="/kommentar" method="post"><textarea name="svar"></textarea></form>
"""
FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}


def supervise(outside: Outside, rule_id: str = "leksikon") -> None:
    outside.sql(
        "INSERT INTO supervision (id, rule_id, room_id, unit_id, opened_by, session_id, opened_at,"
        " until) SELECT gen_random_uuid(), :rule, :room, :unit, person_id, id, now(),"
        " now() + interval '1 hour' FROM login_session WHERE person_id = :tora",
        rule=rule_id, room=outside.world.id("room"), unit=outside.world.id("nord"),
        tora=outside.world.actor("tora").person_id,
    )  # fmt: skip


@pytest.fixture
def client(outside: Outside) -> FlaskClient:
    outside.open(rule(forms=[FORM], supervised=True))
    outside.upstream.pages[f"{SITE}/prove"] = html(PAGE)
    outside.upstream.pages[f"{SITE}/prove/svar"] = html("<h1>Riktig</h1>")
    supervise(outside)
    return outside.visitor("anna")


def token(page: TestResponse) -> str:
    (found,) = re.findall(r'name="_dask_token" value="([0-9a-f]{64})"', page.text)
    return str(found)


def send(
    outside: Outside, client: FlaskClient, data: object = None, path: str = "/prove/svar",
    **given: object,
) -> TestResponse:  # fmt: skip
    said: dict[str, object] = {"headers": FROM_HERE, "content_type": URLENCODED, **given}
    return client.post(path, base_url=HERE, data=data, **said)


URLENCODED = "application/x-www-form-urlencoded"


def filled(outside: Outside, client: FlaskClient, *fields: tuple[str, str]) -> str:
    word = token(outside.get(client, "/prove"))
    return urlencode([("_dask_token", word), *fields])


def posts(outside: Outside) -> list[bytes]:
    return [one.form or b"" for one in outside.upstream.requests if one.method == "POST"]


def test_the_form_goes_out_as_it_was_written(outside: Outside, client: FlaskClient) -> None:
    body = filled(outside, client, ("trinn", "lett"), ("svar", "En bre på 3 m & så"), ("ord", "br"))
    answer = send(outside, client, body)
    assert (answer.status_code, title(answer.text)) == (200, "Riktig")
    (sent,) = posts(outside)
    assert sent == b"ord=br&svar=En+bre+p%C3%A5+3+m+%26+s%C3%A5&trinn=lett", "in the rule's order"
    assert answer.headers["Cache-Control"] == "no-store"
    visit = outside.visits()[-1]
    assert (visit["method"], visit["allowed"], visit["typed"]) == ("POST", True, True)
    assert visit["url"] == f"{SITE}/prove/svar"
    assert visit["sent"] == [["ord", "br"], ["svar", "En bre på 3 m & så"], ["trinn", "lett"]]


def test_the_page_shows_the_form_with_our_word_and_listed_fields_alone(
    outside: Outside, client: FlaskClient
) -> None:
    page = outside.get(client, "/prove")
    names = re.findall(r'<(?:input|textarea|select)[^>]* name="([^"]*)"', page.text)
    assert names == ["_dask_token", "svar", "trinn"]
    assert "falsk" not in page.text
    assert "sitets-eget" not in page.text
    assert "/kommentar" not in page.text
    assert token(page) == token(outside.get(client, "/prove")), "the same form in two tabs"


def test_several_lines_of_text(outside: Outside, client: FlaskClient) -> None:
    assert send(outside, client, filled(outside, client, ("svar", "a\r\nb"))).status_code == 200
    assert posts(outside) == [b"svar=a%0D%0Ab"]


def test_without_free_text_nothing_is_marked_as_such(outside: Outside, client: FlaskClient) -> None:
    send(outside, client, filled(outside, client, ("ord", "bre"), ("svar", "")))
    visit = outside.visits()[-1]
    assert (visit["typed"], visit["sent"]) == (False, [["ord", "bre"], ["svar", ""]])


# -- what is refused ----------------------------------------------------------------------------

WRONG_FIELDS = {
    "unknown": [("svar", "hei"), ("til", "ola@evil.no")],
    "twice": [("svar", "hei"), ("svar", "hallo")],
    "too long": [("svar", "x" * 61)],
    "not a choice": [("trinn", "umulig")],
    "not a word": [("ord", "to ord")],
    "an address": [("svar", "se https://evil.no")],
    "a character nobody sees": [("svar", "a\u200bb")],
    "a control character": [("svar", "a\x00b")],
    "half a line break": [("svar", "a\nb")],
    "another case": [("Svar", "hei")],
    "the site's own hidden field": [("svar", "hei"), ("csrf", "sitets-eget")],
    "our word twice": [("_dask_token", "x")],
    "very many": [(f"f{n}", "x") for n in range(300)],
    "nothing but air": [("", "x")],
}


@pytest.mark.parametrize("what", WRONG_FIELDS)
def test_a_field_that_does_not_fit_refuses_all(
    outside: Outside, client: FlaskClient, what: str
) -> None:
    answer = send(outside, client, filled(outside, client, *WRONG_FIELDS[what]))
    assert answer.status_code == 400
    assert "Ikke sendt" in answer.text
    assert not posts(outside)
    visit = outside.visits()[-1]
    assert visit["reason"] in ("form", "form_token")
    assert (visit["allowed"], visit["sent"]) == (False, None)


def test_what_was_written_is_given_back(outside: Outside, client: FlaskClient) -> None:
    body = filled(outside, client, ("svar", f"Lang <b>tekst</b> {'x' * 60}"))
    answer = send(outside, client, body)
    assert f"Lang <b>tekst</b> {'x' * 60}" in unescape(answer.text)
    assert "<b>tekst" not in answer.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("svar=%ff", URLENCODED), ("svar=%zz", URLENCODED), ("svar=\u00e6", URLENCODED),
        ("svar", URLENCODED), ("&&", URLENCODED), ("svar=a;ord=b", URLENCODED),
        ("svar=" + "a" * 70_000, URLENCODED), ("svar=hei", "text/plain"),
        ('{"svar": "hei"}', "application/json"), ("svar=hei", "multipart/form-data; boundary=x"),
        ("svar=hei", ""), ("svar=hei", f"{URLENCODED}; charset=utf-16"),
        ("svar=hei", f"{URLENCODED}, text/plain"),
        ("--x\r\nContent-Disposition: form-data; name=svar; filename=a\r\n\r\nhei\r\n--x--\r\n",
         "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
def test_another_encoding_is_not_read(
    outside: Outside, client: FlaskClient, body: str, kind: str
) -> None:
    word = token(outside.get(client, "/prove"))
    answer = send(outside, client, f"{body}&_dask_token={word}".encode(), content_type=kind)
    assert answer.status_code == 400
    assert not posts(outside)
    assert outside.visits()[-1]["allowed"] is False


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Origin": "null"}, {"Origin": "https://evil.no"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "same-site", "Origin": HERE},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://atlas-no.ressurs.localhost:8000"},
        {"Sec-Fetch-Site": "same-origin, cross-site"}, {"Origin": f"{HERE}/"},
        {"Origin": "http://localhost:8000"}, {"Referer": f"{HERE}/prove"},
    ],
)  # fmt: skip
def test_only_a_page_of_the_site_here_sends(
    outside: Outside, client: FlaskClient, headers: dict[str, str]
) -> None:
    answer = send(outside, client, filled(outside, client, ("svar", "hei")), headers=headers)
    assert answer.status_code == 400
    assert not posts(outside)
    assert outside.visits()[-1]["reason"] == "form_token"


def test_an_older_browser_says_its_origin(outside: Outside, client: FlaskClient) -> None:
    body = filled(outside, client, ("svar", "hei"))
    assert send(outside, client, body, headers={"Origin": HERE}).status_code == 200


def test_the_word_is_this_browsers_and_this_forms(outside: Outside, client: FlaskClient) -> None:
    other = {"path": "/norge/svar", "method": "POST", "fields": FIELDS}
    outside.open(rule(forms=[FORM, other], supervised=True))
    outside.upstream.pages[f"{SITE}/norge/svar"] = html("<h1>Sendt</h1>")
    mine = filled(outside, client, ("svar", "hei"))
    assert send(outside, client, mine, "/norge/svar").status_code == 400
    assert send(outside, client, "svar=hei").status_code == 400
    assert send(outside, client, "svar=hei&_dask_token=").status_code == 400
    assert send(outside, outside.visitor("anna"), mine).status_code == 400, "a new way to the site"
    assert send(outside, outside.visitor("bo"), mine).status_code == 400
    assert not posts(outside)
    again = outside.visitor("anna")
    assert send(outside, again, filled(outside, again, ("svar", "hei"))).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/", "/prove", "/norge", "/prove/svar/", "/prove/svar?x=1", "/prove/svar/mer", "/kommentar",
        "/Prove/svar", "/_dask/enter", "/_dask/go?to=https://leksikon.no/prove/svar", "/_dask/x",
        "/_dask/via/leksikon-no/prove/svar", "/%70rove/svar", "//prove/svar",
    ],
)  # fmt: skip
def test_nothing_but_the_listed_form_takes_anything(
    outside: Outside, client: FlaskClient, path: str
) -> None:
    body = filled(outside, client, ("svar", "hei"))
    before = len(outside.upstream.requests)
    assert send(outside, client, body, path).status_code in (400, 403, 404, 405)
    assert len(outside.upstream.requests) == before
    assert outside.visits()[-1]["allowed"] is False


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_no_other_method_sends_it(outside: Outside, client: FlaskClient, method: str) -> None:
    body = filled(outside, client, ("svar", "hei"))
    answer = client.open(
        "/prove/svar", method=method, base_url=HERE, data=body, headers=FROM_HERE,
        content_type=URLENCODED,
    )  # fmt: skip
    assert answer.status_code == 403
    assert len(outside.upstream.requests) == 1


def test_a_get_form_is_not_sent_with_post(outside: Outside, client: FlaskClient) -> None:
    outside.open(rule(forms=[FORM | {"method": "GET"}]))
    assert send(outside, client, "svar=hei").status_code == 403
    assert not posts(outside)


def test_it_closes_with_who_watches(outside: Outside, client: FlaskClient) -> None:
    body = filled(outside, client, ("svar", "hei"))
    outside.sql("UPDATE supervision SET closed_at = now()")
    answer = send(outside, client, body)
    assert answer.status_code == 403
    assert "lærer" in answer.text
    assert not posts(outside)


def test_a_stop_and_the_end_of_a_session(outside: Outside, client: FlaskClient) -> None:
    body = filled(outside, client, ("svar", "hei"))
    outside.sql("UPDATE login_session SET ended_at = now() WHERE person_id = :p",
                p=outside.world.id("anna"))  # fmt: skip
    assert send(outside, client, body).status_code == 401
    assert not posts(outside)


# -- what comes back ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_with_get(
    outside: Outside, client: FlaskClient, status: int
) -> None:
    """A 307 would have the browser send it all again, to where the site points."""
    outside.upstream.pages[f"{SITE}/prove/svar"] = Page(b"", status, {"location": "/norge"})
    answer = send(outside, client, filled(outside, client, ("svar", "hei")))
    assert (answer.status_code, answer.location) == (303, "/norge")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_redirect_elsewhere_is_refused(outside: Outside, client: FlaskClient) -> None:
    there = Page(b"", 302, {"location": "https://evil.no/"})
    outside.upstream.pages[f"{SITE}/prove/svar"] = there
    assert send(outside, client, filled(outside, client, ("svar", "hei"))).status_code == 403


@pytest.mark.parametrize("mime", ["image/png", "text/css", "text/plain"])
def test_no_answer_is_kept(outside: Outside, client: FlaskClient, mime: str) -> None:
    page = Page(b"data", headers={"content-type": mime, "cache-control": "public, max-age=99999"})
    outside.upstream.pages[f"{SITE}/prove/svar"] = page
    answer = send(outside, client, filled(outside, client, ("svar", "hei")))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


def test_a_site_that_fails_has_been_told_nevertheless(
    outside: Outside, client: FlaskClient
) -> None:
    body = filled(outside, client, ("svar", "hei"))
    outside.upstream.ill["leksikon.no"] = errors.UpstreamTimeout("slow")
    assert send(outside, client, body).status_code == 502
    visit = outside.visits()[-1]
    assert (visit["reason"], visit["sent"]) == ("UpstreamTimeout", [["svar", "hei"]])


def test_free_text_often_is_told_to_wait_and_loses_nothing(
    outside: Outside, client: FlaskClient
) -> None:
    outside.sql(
        "INSERT INTO site_visit (at, person_id, unit_id, url, method, allowed, reason, status,"
        " size, ms, typed) SELECT :now, :anna, :unit, 'https://x.no/', 'GET', true, 'allowed', 200,"
        " 0, 0, true FROM generate_series(1, 20)",
        now=outside.world.clock.now(), anna=outside.world.id("anna"), unit=outside.world.id("nord"),
    )  # fmt: skip
    answer = send(outside, client, filled(outside, client, ("svar", "Alt jeg kan")))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert "Alt jeg kan" in answer.text
    assert not posts(outside)
    visit = outside.visits()[-1]
    assert (visit["reason"], visit["allowed"], visit["sent"]) == ("texts", False, None)
    assert outside.get(client, "/norge").status_code == 200, "reading goes on"
    assert send(outside, client, filled(outside, client, ("ord", "bre"))).status_code == 200


def test_security_of_the_unit_reads_what_was_sent(outside: Outside, client: FlaskClient) -> None:
    send(outside, client, filled(outside, client, ("svar", "En <b>bre</b>"), ("ord", "bre")))
    refused = filled(outside, client, ("svar", "x" * 61))
    send(outside, client, refused)
    outside.visits()  # the lines are written
    page = unescape(outside.world.client("sigrid").get("/visits").text)
    assert "Fri tekst som ble skrevet" in page
    assert page.count("En <b>bre</b>") == 2, "in what stands out, and in its line"
    assert "x" * 61 not in page, "what was not sent is nobody's to read"
    assert "bre</b>" not in outside.world.client("sverre").get("/visits").text


# -- the reading of it, without a school --------------------------------------------------------

WORD = "a" * 64
LISTED = Form.model_validate({**FORM, "fields": tuple(FIELDS)}, strict=False)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ord", "svar", "trinn", "_dask_token", "til", "Svar"]),
            st.text(max_size=70) | st.sampled_from(["lett", "bre", "hei du", WORD]),
        ),
        max_size=5,
    )
)
def test_what_goes_out_is_what_came_in_and_listed(pairs: list[tuple[str, str]]) -> None:
    try:
        body = urlencode(pairs).encode()
    except UnicodeEncodeError:
        return  # half a character cannot be sent by a browser
    try:
        made = forms.read(LISTED, URLENCODED, body, WORD)
    except FormRefused:
        return
    assert sorted([*made.fields, ("_dask_token", WORD)]) == sorted(pairs)
    assert parse_qsl(made.body.decode(), keep_blank_values=True) == list(made.fields)
    order = [one.name for one in LISTED.fields]
    assert [name for name, _value in made.fields] == [n for n in order if n in dict(made.fields)]
    assert forms.TOKEN.encode() not in made.body
    assert WORD not in dict(made.fields).values()


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_it(body: bytes) -> None:
    with pytest.raises(FormRefused):
        forms.read(LISTED, URLENCODED, body, WORD)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_words_differ_with_session_and_form(a: str, b: str, one: str, other: str) -> None:
    same = (a, one.partition("?")[0]) == (b, other.partition("?")[0])
    assert (forms.token("secret", a, one) == forms.token("secret", b, other)) == same
