"""What every answer carries, whatever it answers; and what of a request is not believed."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from dask_platform.features.courses.models import Media
from dask_platform.features.handins.models import Attempt, HandinFile
from dask_platform.kernel.ids import new_code
from dask_platform.web.app import static_url
from tests.db_fixtures import Template
from tests.world import World

DRAWING = b'<svg xmlns="http://www.w3.org/2000/svg"><title>En strek</title></svg>'
SERVER_WORDS = re.compile(r"werkzeug|flask|python|gunicorn|postgres|sqlalchemy", re.IGNORECASE)


@pytest.fixture(scope="module")
def school(shared_world: World) -> World:
    """With a file that anna handed in, and a drawing in the course."""
    world, now = shared_world, shared_world.clock.now()
    with world.owner() as uow:
        attempt = Attempt(
            id=uuid4(), class_id=world.id("class nord"), item_id=world.id("brev"),
            person_id=world.id("anna"), number=1, state="handed_in", text="svar", text_sha256="0",
            receipt=new_code(), started_at=now, saved_at=now, handed_in_at=now, file_count=1,
        )  # fmt: skip
        uow.add(attempt)
        uow.flush()
        for key, data in (("handins/headers", b"pdf"), ("media/headers", DRAWING)):
            world.platform.files.put(
                key, io.BytesIO(data), size=len(data), sha256=hashlib.sha256(data).hexdigest()
            )
        file = HandinFile(
            id=uuid4(), attempt_id=attempt.id, person_id=world.id("anna"), name="brev.pdf",
            storage_key="handins/headers", size=3, sha256=hashlib.sha256(b"pdf").hexdigest(),
            mime="application/pdf", family="pdf", extension="pdf", added_at=now,
            scan_state="clean",
        )  # fmt: skip
        media = Media(
            id=uuid4(), course_id=world.id("course"), name="strek.svg", mime="image/svg+xml",
            storage_key="media/headers", sha256=hashlib.sha256(DRAWING).hexdigest(),
            size=len(DRAWING),
        )  # fmt: skip
        uow.add_all([file, media])
        uow.flush()
        world.ids |= {"attempt": attempt.id, "file": file.id, "media": media.id}
    return world


Answer = Callable[[World], TestResponse]


def _static(world: World) -> TestResponse:
    with world.app.test_request_context():
        address = static_url("css/app.css")
    return world.anonymous().get(address, buffered=True)


ANSWERS: dict[str, tuple[int, Answer]] = {
    "a page": (200, lambda w: w.client("anna").get("/")),
    "log-in": (200, lambda w: w.anonymous().get("/login")),
    "a way on": (303, lambda w: w.anonymous().get("/classes")),
    "not there": (404, lambda w: w.client("anna").get("/nowhere")),
    "not theirs": (404, lambda w: w.client("bo").get(f"/attempts/{w.id('attempt')}")),
    "no token": (400, lambda w: w.client("anna").post("/logout")),
    "NUL": (400, lambda w: w.client("anna").get("/?x=%00")),
    "logged out": (401, lambda w: w.anonymous().post_form("/account/password")),
    "wrong method": (405, lambda w: w.client("anna").put("/classes")),
    "too large": (413, lambda w: w.anonymous().post("/login", data=b"x" * 1_100_000)),
    "another host": (400, lambda w: w.anonymous().get("/login", headers={"Host": "evil.test"})),
    "options": (200, lambda w: w.anonymous().options("/login")),
    "log": (200, lambda w: w.client("sigrid").get("/log.csv")),
    "download": (
        200,
        lambda w: w.client("anna").get(f"/attempts/{w.id('attempt')}/files/{w.id('file')}"),
    ),
    "drawing": (200, lambda w: w.client("anna").get(f"/media/{w.id('media')}/strek.svg")),
    "style sheet": (200, _static),
}
KEPT = {"style sheet": "public, max-age=31536000, immutable", "drawing": "private, max-age=3600"}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_every_answer_is_guarded(school: World, name: str) -> None:
    status, ask = ANSWERS[name]
    answer = ask(school)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert len(headers.getlist("Content-Security-Policy")) == 1
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    if name == "drawing":
        # A drawing has styles of its own. Sandboxed, without script, and with no address to ask.
        assert policy == "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    else:
        assert "unsafe-" not in policy
    assert re.search(r"https?:|data:|blob:|\*", policy) is None
    assert not any(SERVER_WORDS.search(value) for _name, value in headers)
    assert not {"X-Powered-By", "X-Debug", "Access-Control-Allow-Origin"} & set(headers.keys())
    if name in KEPT:
        parts = {part.strip() for part in headers["Cache-Control"].split(",")}
        assert parts == {part.strip() for part in KEPT[name].split(",")}
        assert "Set-Cookie" not in headers, "a kept answer would hand one person's cookie to all"
    else:
        assert "no-store" in headers["Cache-Control"]
    body = answer.get_data(as_text=True)
    assert "Traceback" not in body
    assert 'File "/' not in body


@pytest.mark.parametrize("name", ["log", "download"])
def test_a_file_never_opens_in_the_page(school: World, name: str) -> None:
    answer = ANSWERS[name][1](school)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.mimetype not in ("text/html", "image/svg+xml", "text/xml")


HOSTS = ["evil.test", "localhost.evil.test", "evil.test:80", "localhost@evil.test", "", "[::1",
         "localhost:99999", "a" * 300, "localhost, evil.test"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_host_gets_nothing(school: World, host: str, method: str) -> None:
    answer = school.anonymous().open("/login", method=method, headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.get_data(as_text=True)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "ask"),
    [("/classes", "GET"), ("/log//weeks", "GET"), ("/classes/", "GET"), ("/language", "POST")],
)
def test_a_redirect_never_names_a_host(school: World, path: str, ask: str) -> None:
    """Neither the one in the request, nor a port of the sender's, nor what a proxy header says."""
    environ: dict[str, Any] = {
        "HTTP_HOST": "localhost:4444",
        "HTTP_X_FORWARDED_HOST": "evil.test",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_PREFIX": "/evil",
        "HTTP_X_ORIGINAL_URL": "//evil.test",
        "HTTP_FORWARDED": "host=evil.test",
    }
    client = school.anonymous()
    form = {"csrf_token": client.csrf_token(), "locale": "nn", "next": "//evil.test"}
    data = form if ask == "POST" else None
    answer = client.open(path, method=ask, data=data, environ_overrides=environ)
    if answer.status_code < 300 or answer.status_code >= 400:
        assert answer.status_code == 404
        return
    assert re.match(r"/(?![/\\])", answer.headers["Location"]), answer.headers["Location"]
    assert "evil" not in answer.headers["Location"].partition("?")[0]


FORWARDED = "198.51.100.7, 192.0.2.9, 127.0.0.5"


@pytest.mark.parametrize(
    ("hops", "sent", "seen"),
    [
        (0, FORWARDED, "203.0.113.1"),
        (1, FORWARDED, "127.0.0.5"),
        (2, FORWARDED, "192.0.2.9"),
        (3, FORWARDED, "198.51.100.7"),
        (4, FORWARDED, "203.0.113.1"),  # fewer hops than ours: it did not come by our proxies
        (1, "", "203.0.113.1"),
    ],
)
def test_the_address_is_counted_from_our_end(
    school_template: Template, tmp_path: Path, hops: int, sent: str, seen: str
) -> None:
    with school_template.copy() as name:
        world = World(school_template.server, name, tmp_path, proxy_hops=hops)
        try:
            world.anonymous().post_form(
                "/login",
                {"username": "anna", "password": "feil"},
                headers={"X-Forwarded-For": sent} if sent else {},
                environ_overrides={"REMOTE_ADDR": "203.0.113.1"},
            )
            assert [str(one["address"]) for one in world.audit("login.failed")] == [seen]
        finally:
            world.close()


SPOOFED = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP",
           "X-Originating-IP", "Client-IP", "X-Cluster-Client-IP"]  # fmt: skip


@pytest.mark.parametrize("header", SPOOFED)
def test_no_header_brings_a_student_into_the_classroom(school: World, header: str) -> None:
    """nord's room is 127.0.0.0/8; the PC stands elsewhere and says otherwise."""
    value = "for=127.0.0.1" if header == "Forwarded" else "127.0.0.1"
    answer = school.client("anna").get(
        "/classes", headers={header: value}, environ_overrides={"REMOTE_ADDR": "203.0.113.1"}
    )
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login")


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "FOO"]
)
def test_no_page_knows_another_method(school: World, method: str) -> None:
    answer = school.client("anna").open("/classes", method=method, headers={"X-Secret": "ekko"})
    assert answer.status_code == 405
    assert "ekko" not in answer.get_data(as_text=True)
    assert "GET" in answer.headers["Allow"]
    assert method not in answer.headers["Allow"]


def test_a_request_cannot_pretend_another_method(school: World) -> None:
    client = school.client("sigrid")
    before = len(school.audit("session.ended"))
    address = f"/students/{school.id('anna')}/end-session"
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert client.get(address, headers={header: "POST"}).status_code == 405
    assert client.get(address + "?_method=POST").status_code == 405
    assert len(school.audit("session.ended")) == before


def test_head_is_a_page_without_its_body(school: World) -> None:
    for path in ("/classes", f"/attempts/{school.id('attempt')}/receipt", "/account"):
        answer = school.client("anna").head(path)
        assert (answer.status_code, answer.data) == (200, b""), path


def test_options_tells_who_may_call_and_no_more(school: World) -> None:
    assert school.client("anna").options("/log").status_code == 404
    assert school.client("anna").options("/classes").data == b""
    assert school.anonymous().options("/people").status_code < 500


def test_an_address_with_a_double_slash_stays_on_the_host(school: World) -> None:
    """``//evil.test`` in an address line must not become a ``Location`` that leads there."""
    for path in ("//evil.test", "//evil.test/%2e%2e", "/\\evil.test", "/%5cevil.test", "/.//evil"):
        answer = school.client("anna").get("/", environ_overrides={"PATH_INFO": unquote(path)})
        place = answer.headers.get("Location", "/")
        assert re.match(r"/(?![/\\])", place), f"{path} leads to {place}"
