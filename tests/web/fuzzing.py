"""What the fuzzing of pages is made of: who, which forms, which values, and what is sound."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import cycle
from typing import Any
from urllib.parse import quote_from_bytes, urlencode, urlsplit
from uuid import uuid4

import psycopg
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from dask_platform.web.access import access_of
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


WORDS = st.one_of(
    st.sampled_from([*TEXTS, *NUMBERS, *DATES]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
)


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


def is_public(world: World, endpoint: str) -> bool:
    access = access_of(world.app.view_functions[endpoint])
    return access is not None and access.permission is None


DAYS = ["0001-01-01", "0001-01-03", "9999-12-31", "9999-12-27"]


FILE_NAMES = [
    "å" * 127 + ".p", "a" * 251 + ".pdf", "安" * 85, "ابن.pdf", "אנה.pdf", "अन्ना.pdf", "안나.pdf",
    "\u202efdp.exe", "\u2066a\u2069.pdf", "a\u200b\u200bb.pdf", "../../../etc/passwd", "C:\\a\\b.pdf",  # noqa: E501
    "/etc/passwd", "con.pdf", ".htaccess", "...", " ", "a;b.pdf", "a'b.pdf", "<img src=x>.pdf",
    "=1+1.pdf", "%00.pdf", "a\tb.pdf", "{{7*7}}.pdf", "🏳️\u200d🌈.pdf", "e" + "\u0301" * 100 + ".pdf",  # noqa: E501
]  # fmt: skip
