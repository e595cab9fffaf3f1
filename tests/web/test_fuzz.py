"""Bad input, everywhere: no answer is a fault, and what is refused has changed nothing.

Two ways in. The first walks the pages as each person, collects the forms as a browser would see
them, and spoils one field after the other. The second takes every address of the platform, with
ids of oneself, of others and of nobody, and sends bodies that no browser would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlencode, urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from dask_platform.features.courses.models import Course, Module
from dask_platform.features.identity.views import HASHER
from dask_platform.security.passwords import CHEAP, PasswordHasher
from dask_platform.web.access import access_of
from tests.features.handins.desk import Desk, pdf
from tests.world import Client, World

PEOPLE = ["anna", "tora", "olga", "sigrid", None]

DATES = ["0001-01-01", "9999-12-31", "9999-12-27", "0000-00-00", "2026-02-30", "2026-W01-1",
         "0001-01-01T00:00", "9999-12-31T23:59", "2026-03-29T02:30", "2026-01-01T00:00+99:00",
         "-0001-01-01", "٢٠٢٦-٠١-٠١", "20260101", "now"]  # fmt: skip
NUMBERS = ["-1", "0", "2147483648", "9223372036854775808", "9" * 400, "1e309", "NaN", "0x10",
           "١٢٣", "1.5", "+1", " 1 ", "true"]  # fmt: skip
TEXTS = [
    "", " ", "\t\r\n", "\x00", "a\x00b", "x" * 90_000, "🏳️\u200d🌈" * 50, "\u202egnp.exe\u2066",
    "e" + "\u0301" * 5000, "\ufdfa" * 200, "\ufeff", "\uffff", "𝒜𝓃𝓃𝒶", "ابن", "אנה", "अन्ना",
    "ꦄꦤ꧀ꦤ", "安娜", "안나", "ไอ้", "<script>alert(1)</script>", "'; DROP TABLE person; --",
    "%s%n%x",
    "{{7*7}}", "${7*7}", "../../../../etc/passwd", "=cmd|' /C calc'!A0", "a\r\nSet-Cookie: a=b",
    "None", "[]", "{}", str(uuid4()), "//evil.test", "javascript:alert(1)", "\\", "*" * 3000,
    "[" * 3000, ">" * 3000, "`" * 3001, "![" * 2000, "|a" * 3000, "![x](" + "(" * 2000,
]  # fmt: skip
RAW = [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80", b"%ff%ed%a0%80"]

# The text of a draft is kept although a file beside it is refused, and says so.
KEEPS_SOMETHING = re.compile(r"/assignments/[^/]+/(save|files)$")
# What a refusal writes on purpose: the log, the count of tries, and the session itself.
ON_PURPOSE = {"audit_event", "audit_head", "login_throttle", "login_session", "totp_secret"}


# -- the school, and what stands in its tables ---------------------------------------------


@pytest.fixture(scope="module")
def school(shared_world: World) -> World:
    """With work handed in at both units, and a course that tora may edit."""
    world, desk = shared_world, Desk(shared_world)
    world.app.extensions[HASHER] = PasswordHasher(CHEAP)
    file_id = desk.add(pdf("a"))
    desk.scan(file_id)
    with world.owner() as uow:
        course = Course(
            id=uuid4(), slug="eget", school_id=world.id("school nord"), language="nb",
            title="Eget", summary="Vårt.", published=True, updated_at=world.clock.now(),
        )  # fmt: skip
        uow.add(course)
        uow.flush()
        module = Module(id=uuid4(), course_id=course.id, slug="en", title="En", position=1)
        uow.add(module)
        uow.flush()
        world.ids |= {"own course": course.id, "own module": module.id, "file": file_id}
    world.ids["attempt"] = desk.handed_in()
    world.ids["attempt bo"] = desk.handed_in(name="bo")
    world.ids["attempt cem"] = desk.handed_in(name="cem", in_class="class sor")
    return world


class Tables:
    """A fingerprint of each table, to tell what a request changed."""

    def __init__(self, world: World) -> None:
        self._connection = psycopg.connect(
            world.server.dsn(world.database_name, "dask_owner"), autocommit=True
        )
        names = self._connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT LIKE 'procrastinate%' ORDER BY 1"
        ).fetchall()
        self._query = " UNION ALL ".join(
            f"SELECT '{name}', md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t"
            for (name,) in names
        )

    def now(self) -> dict[str, str]:
        return dict(self._connection.execute(self._query).fetchall())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def tables(school: World) -> Iterator[Tables]:
    made = Tables(school)
    yield made
    made.close()


def browser(world: World, name: str | None) -> Client:
    return world.client(name) if name else world.anonymous()


def sound(answer: TestResponse, what: str) -> None:
    """An answer, and no fault."""
    body = answer.get_data()
    assert answer.status_code < 500, f"{what}: {answer.status_code}"
    assert b"Traceback (most recent" not in body, what
    assert b"psycopg" not in body, what
    assert b"sqlalchemy" not in body, what


# -- the first way: forms as they stand in the pages ---------------------------------------


@dataclass
class Form:
    """A form of a page: where it goes, and what it holds when nobody has touched it."""

    action: str
    method: str
    kinds: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """The links and forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.here = page
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        name, kind = found.get("name", ""), found.get("type", tag)
        if tag == "a" and found.get("href", "").startswith("/"):
            self.links.append(found["href"].partition("#")[0])
        elif tag == "form":
            self.forms.append(
                Form(found.get("action") or self.here, found.get("method", "get").upper())
            )
        elif tag == "option" and self._select and self.forms:
            if "selected" in found or not self.forms[-1].values[self._select]:
                self.forms[-1].values[self._select] = found.get("value", "")
        elif tag in ("input", "textarea", "select", "button") and name and self.forms:
            form = self.forms[-1]
            if kind == "file":
                form.files.append(name)
                return
            form.kinds[name] = kind
            if kind not in ("radio", "checkbox") or "checked" in found or name not in form.values:
                form.values[name] = found.get("value", "")
            self._select = name if tag == "select" else self._select


def walk(world: World, name: str | None, most: int = 90) -> dict[tuple[str, str], Form]:
    """Every kind of form that a person meets, by endpoint and field names."""
    client = browser(world, name)
    waiting, seen, forms = ["/", "/login", "/account/second-factor"], set(), {}
    kinds: dict[str, int] = {}
    while waiting and len(seen) < most:
        url = waiting.pop(0)
        endpoint = endpoint_of(world, url, "GET")
        if url in seen or kinds.get(endpoint, 0) >= 3:
            continue
        seen.add(url)
        kinds[endpoint] = kinds.get(endpoint, 0) + 1
        answer = client.get(url)
        sound(answer, f"GET {url}")
        if answer.status_code == 303:
            waiting.append(urlsplit(answer.location).path)
        if answer.mimetype != "text/html":
            continue
        reader = Reader(url)
        reader.feed(answer.text)
        waiting += reader.links
        for form in reader.forms:
            key = endpoint_of(world, form.action, form.method)
            forms.setdefault((key, " ".join(sorted(form.kinds))), form)
    return forms


def endpoint_of(world: World, url: str, method: str) -> str:
    try:
        return str(world.app.url_map.bind("localhost").match(urlsplit(url).path, method)[0])
    except HTTPException:
        return url


def nasty(kind: str, value: str) -> list[str]:
    """What is worth trying in a field that looks like this."""
    if "date" in kind:
        return DATES
    return [*NUMBERS, *TEXTS] if value.isdigit() else TEXTS


def send(client: Client, form: Form, values: dict[str, Any]) -> TestResponse:
    if form.method == "GET":
        return client.get(form.action, query_string=values)
    values["csrf_token"] = client.csrf_token()
    return client.post(form.action, data=values)


@pytest.mark.parametrize("name", PEOPLE)
def test_every_field_of_every_form_spoiled(school: World, tables: Tables, name: str | None) -> None:
    """One field wrong and the others as they were. A refusal changes nothing."""
    forms = walk(school, name)
    assert forms, f"{name} met no form at all"
    texts, tried = cycle(TEXTS), 0
    for form in forms.values():
        client = browser(school, name)
        if form.action.endswith(("/end-sessions", "/logout")):
            continue  # ends the sessions of the others; tried in the second way
        for field_name in set(form.kinds) - {"csrf_token"}:
            kind, value = form.kinds[field_name], form.values[field_name]
            special = nasty(kind, value)
            wrong = special if special is not TEXTS else list(islice(texts, 8))
            for one in wrong[:14]:
                before = tables.now()
                answer = send(client, form, {**form.values, field_name: one})
                what = f"{name}: {form.method} {form.action} {field_name}={one[:40]!r}"
                sound(answer, what)
                tried += 1
                if answer.status_code >= 400 and not KEEPS_SOMETHING.search(form.action):
                    changed = {t for t, mark in tables.now().items() if mark != before[t]}
                    assert changed <= ON_PURPOSE, f"{what}: {answer.status_code}, yet {changed}"
    assert tried > 10


@pytest.mark.parametrize("name", ["anna", "tora", "olga", "sigrid"])
def test_forms_sent_twice_or_without_their_token(school: World, tables: Tables, name: str) -> None:
    for form in walk(school, name).values():
        if form.method != "POST" or form.action.endswith(("/logout", "/end-sessions")):
            continue
        client = browser(school, name)
        stale = client.csrf_token()
        before = tables.now()
        for token in (None, "", "wrong", "ImEi.aaaa.bbbb", stale[:-3] + "AAA"):
            values = {k: v for k, v in form.values.items() if k != "csrf_token"}
            if token is not None:
                values["csrf_token"] = token
            answer = client.post(form.action, data=values)
            assert answer.status_code == 400, f"{form.action} with {token!r}"
        assert tables.now() == before, f"{form.action} changed something without its token"
        token_of_another = school.anonymous().csrf_token()
        strange = browser(school, name)
        with strange.session_transaction() as session:
            session["csrf_token"] = "another"
        answer = strange.post(form.action, data={**form.values, "csrf_token": token_of_another})
        assert answer.status_code == 400, f"{form.action} with the token of another browser"
        for _ in range(2):
            sound(send(client, form, dict(form.values)), f"again {form.action}")


WORDS = st.one_of(
    st.sampled_from([*TEXTS, *NUMBERS, *DATES]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
)


@settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_several_fields_at_once(school: World, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["anna", "tora", "olga", "sigrid"]))
    key = f"forms {name}"
    if key not in CACHE:
        CACHE[key] = (list(walk(school, name).values()), browser(school, name))
    forms, client = CACHE[key]
    form = data.draw(st.sampled_from([one for one in forms if "session" not in one.action]))
    if form.action == "/logout":
        return
    names = sorted(form.kinds) or ["x"]
    spoiled = data.draw(st.dictionaries(st.sampled_from(names), WORDS, min_size=1))
    sound(send(client, form, {**form.values, **spoiled}), f"{name} {form.action} {spoiled}")


CACHE: dict[str, tuple[list[Form], Client]] = {}


# -- the second way: every address, and bodies that no browser sends ------------------------

FIELDS = ["act", "again", "attempt", "before", "comment", "csrf", "cutoff_at", "display_name", "do",
          "due_at", "file", "first", "grade", "kind", "locale", "monday", "name", "network", "next",
          "note", "page", "password", "person_id", "picture", "present", "role", "school_id",
          "search", "seen", "shown", "source", "text", "ticket", "title", "unit", "unit_id",
          "username", "version", "who"]  # fmt: skip


def addresses(world: World, endpoint: str, places: set[str]) -> list[str]:
    """One's own thing, another's, and nobody's."""
    mine = {
        "class_id": "class nord", "item_id": "brev", "attempt_id": "attempt", "file_id": "file",
        "course_id": "own course", "module_id": "own module", "person_id": "dag",
        "room_id": "room", "unit_id": "nord",
    }  # fmt: skip
    others = {
        "class_id": "class sor", "item_id": "skjema", "attempt_id": "attempt cem",
        "file_id": "file", "course_id": "course", "module_id": "module", "person_id": "cem",
        "room_id": "room", "unit_id": "sor",
    }  # fmt: skip
    words = {"slug": "les", "name": "bilde.svg", "version": "0", "filename": "css/app.css",
             "direction": "up", "kind": "page", "act": "publish"}  # fmt: skip
    built = []
    with world.app.test_request_context():
        for known in (mine, others, {}):
            values = {
                place: world.id(known[place]) if place in known else words.get(place, uuid4())
                for place in places
            }
            built.append(world.app.url_for(endpoint, **values))
    return built


def cases(world: World) -> list[tuple[str, str, set[str]]]:
    return [
        (rule.endpoint, method, set(rule.arguments))
        for rule in sorted(world.app.url_map.iter_rules(), key=lambda rule: rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if rule.endpoint != "static"
    ]


def bodies(client: Client) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Light ones, and such as take their time. Each with a right token where there is a place for one, so that the view is reached."""  # noqa: E501
    token = client.csrf_token()
    head = {"X-CSRFToken": token}
    many = "".join(
        f'--b\r\nContent-Disposition: form-data; name="f{at}"\r\n\r\n1\r\n' for at in range(2000)
    )
    part = f'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
    raw = b"&".join(name.encode() + b"=" + RAW[1] for name in FIELDS)
    escaped = "&".join(
        f"{name}={quote_from_bytes(one)}" for name, one in zip(FIELDS, cycle(RAW), strict=False)
    )
    nul = urlencode({"csrf_token": token} | dict.fromkeys(FIELDS, "a\x00b"))
    multipart, plain = "multipart/form-data; boundary=b", "application/x-www-form-urlencoded"
    file = 'Content-Disposition: form-data; name="file"; filename="'
    heavy: list[dict[str, Any]] = [
        {"data": b"&a" * 200_000, "content_type": plain, "headers": head},
        {"data": {"csrf_token": token, "text": "x" * 1_000_000}},
        {"data": {"csrf_token": token, **dict.fromkeys(FIELDS, "x" * 20_000)}},
        {"data": part + many + "--b--", "content_type": multipart},
    ]
    light: list[dict[str, Any]] = [
        {"data": b"csrf_token=" + token.encode() + b"&" + raw, "content_type": plain},
        {"data": f"csrf_token={token}&{escaped}", "content_type": plain},
        {"data": nul, "content_type": plain},
        {"data": '{"csrf_token": 1, "text": [', "content_type": "application/json", "headers": head},  # noqa: E501
        {"json": {"text": {"a": 1}}, "headers": head},
        {"data": b"\x00\xff", "content_type": "text/plain; charset=utf-7", "headers": head},
        {"data": b"", "content_type": multipart, "headers": head},
        {"data": b"--b", "content_type": "multipart/form-data", "headers": head},
        {"data": part, "content_type": multipart, "headers": head},
        {"data": f"{part}--b\r\nContent-Disposition\r\n\r\nx\r\n--b--", "content_type": multipart},
        {"data": f'{part}--b\r\n{file}{"å" * 127}.pdf"\r\n\r\nx\r\n--b--'.encode(),
         "content_type": multipart},
        {"data": part.encode() + b"--b\r\n" + file.encode() + b'\xff\xfe"\r\n\r\nx\r\n--b--',
         "content_type": multipart},
        {"data": b"", "content_type": "\xff" * 20, "headers": head},
    ]  # fmt: skip
    return light, heavy


@pytest.mark.parametrize("name", PEOPLE)
def test_every_address_with_bodies_that_no_browser_sends(school: World, name: str | None) -> None:
    posts = [(endpoint, places) for endpoint, method, places in cases(school) if method == "POST"]
    for at, (endpoint, places) in enumerate(posts):
        own, *strange = addresses(school, endpoint, places)
        client = browser(school, name)
        light, heavy = bodies(client)
        for number, body in enumerate([*light, heavy[at % len(heavy)]]):
            sound(client.post(own, **body), f"{name}: POST {own} body {number}")
        for url in strange:
            answer = client.post_form(url, dict.fromkeys(FIELDS, str(uuid4())))
            sound(answer, f"{name}: POST {url}")


@pytest.mark.parametrize("name", PEOPLE)
def test_no_post_without_its_token_reaches_a_view(
    school: World, tables: Tables, name: str | None
) -> None:
    before = tables.now()
    client = browser(school, name)
    before["login_session"] = tables.now()["login_session"]
    for endpoint, method, places in cases(school):
        if method == "POST":
            for url in addresses(school, endpoint, places):
                answer = client.post(url, data=dict.fromkeys(FIELDS, "x"))
                allowed = {400} if name is None and is_public(school, endpoint) else {400, 401, 404}
                assert answer.status_code in allowed, f"{name}: {url} {answer.status_code}"
    assert tables.now() == before


def is_public(world: World, endpoint: str) -> bool:
    access = access_of(world.app.view_functions[endpoint])
    return access is not None and access.permission is None


@pytest.mark.parametrize("name", PEOPLE)
def test_every_address_with_strange_queries_and_paths(school: World, name: str | None) -> None:
    values = cycle(
        [*RAW, *(one.encode() for one in (*DATES, *NUMBERS, "\x00", "\u202e", "'", "%"))]
    )
    client = browser(school, name)
    for endpoint, method, places in cases(school):
        if method != "GET":
            continue
        for url in addresses(school, endpoint, places):
            for _ in range(4):
                query = "&".join(f"{field}={quote_from_bytes(next(values))}" for field in FIELDS)
                answer = client.get(url, query_string=query)
                sound(answer, f"{name}: GET {url}?{query}")
            raw = client.get(url, environ_overrides={"QUERY_STRING": "next=\xff\xed\xa0\x80&\x00"})
            sound(raw, f"{name}: GET {url} with raw bytes")
        for tail in ("%00", "%ff", "/", "//", "/..", "%2f..%2f", "\u202e", "a" * 3000, ";a", "%0a"):
            path = unquote_to_bytes(url + tail).decode("latin-1")
            answer = client.get("/", environ_overrides={"PATH_INFO": path})
            sound(answer, f"{name}: GET {url}{tail[:20]}")


DAYS = ["0001-01-01", "0001-01-03", "9999-12-31", "9999-12-27"]


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("place", ["first", "last"])
def test_the_first_and_the_last_day_there_are(school: World, day: str, place: str) -> None:
    client = school.client("sigrid")
    for path in ("/log", "/log.csv"):
        sound(client.get(path, query_string={place: day}), f"{path}?{place}={day}")
    unit = str(school.id("nord"))
    signed = client.post_form("/log/weeks", {"unit": unit, "monday": day, "note": "x"})
    sound(signed, f"signing {day}")
    assert signed.status_code >= 400, "nobody signs such a week"


# -- names of files --------------------------------------------------------------------------

FILE_NAMES = [
    "å" * 127 + ".p", "a" * 251 + ".pdf", "安" * 85, "ابن.pdf", "אנה.pdf", "अन्ना.pdf", "안나.pdf",
    "\u202efdp.exe", "\u2066a\u2069.pdf", "a\u200b\u200bb.pdf", "../../../etc/passwd", "C:\\a\\b.pdf",  # noqa: E501
    "/etc/passwd", "con.pdf", ".htaccess", "...", " ", "a;b.pdf", "a'b.pdf", "<img src=x>.pdf",
    "=1+1.pdf", "%00.pdf", "a\tb.pdf", "{{7*7}}.pdf", "🏳️\u200d🌈.pdf", "e" + "\u0301" * 100 + ".pdf",  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize("given", FILE_NAMES, ids=range(len(FILE_NAMES)))
def test_a_file_may_be_called_anything(world: World, given: str) -> None:
    """The name is made harmless, the file is kept, and both pages that show it stand."""
    client = world.client("anna")
    root = f"/classes/{world.id('class nord')}/assignments/{world.id('brev')}"
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("csrf_token", client.csrf_token()), ("version", "0"), ("text", "a"))
    )
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{given}"\r\n\r\n'
    data = body.encode() + head.encode() + pdf(given) + b"\r\n--b--\r\n"
    kind = "multipart/form-data; boundary=b"
    answer = client.post(f"{root}/files", data=data, content_type=kind)
    assert answer.status_code == 303, answer.text[:300]
    with world.owner() as uow:
        kept = uow.connection().exec_driver_sql("SELECT name FROM handin_file").scalar_one()
    assert len(kept.encode()) <= 120
    assert not set(kept) & set("/\\\x00\u202e\u2066\u200b\t")
    page = client.get(root)
    assert page.status_code == 200
    assert "<img src=x>" not in page.text
