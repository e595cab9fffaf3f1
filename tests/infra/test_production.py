"""The whole installation as an operator has it: nginx with TLS, gunicorn, worker, PostgreSQL and
clamd, under production's settings and with ``infra/``'s own files."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest

from tests.db_fixtures import Template
from tests.services.browser import Answer, Browser
from tests.services.clamav import EICAR, ClamdServer
from tests.services.client import Services
from tests.services.nginx import NAME, Nginx, NginxServer
from tests.services.school import School, SchoolServer, Worker
from tests.world import PASSWORD, World

PDF = (
    b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"
    + b"% a hand-in\n" * 20000
    + b"xref\n0 1\n0000000000 65535 f \ntrailer<</Size 1/Root 1 0 R>>\nstartxref\n42\n%%EOF\n"
)
UPLOAD_MOST = 8 * 1024 * 1024


@dataclass
class Installation:
    world: World
    nginx: NginxServer
    school: SchoolServer

    def browser(self, *, source: str | None = None) -> Browser:
        nginx = self.nginx
        return Browser((nginx.host, nginx.https), NAME, ca_file=nginx.ca_file, source=source)

    def student(self, name: str) -> Browser:
        browser = self.browser()
        answer = browser.log_in(name, PASSWORD)
        assert (answer.status, answer.location) == (303, "/"), answer.text
        return browser

    def teacher(self, name: str) -> Browser:
        """Logged in, with the second factor that production asks of staff set up on the way."""
        browser = self.student(name)
        sent_on = browser.get("/")
        assert sent_on.status == 303, sent_on.text
        page = browser.get("/account/second-factor")
        found = re.search(r'<code class="hash">([A-Z2-7 ]+)</code>', page.text)
        assert found, page.text
        code = pyotp.TOTP(found[1].replace(" ", "")).now()
        done = browser.submit(browser.form("/account/second-factor"), {"code": code})
        assert done.status == 200, done.text
        return browser

    def health(self, path: str) -> tuple[int, bytes]:
        try:
            address = self.school.health + path
            with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - loopback
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def installation(
    services: Services,
    template: Template,
    clamd_server: ClamdServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    # Short, for a unix socket's path; passable, for the database's user.
    folder = tmp_path_factory.mktemp("prod")
    sock = str(folder / "web.sock")
    with template.copy() as database:
        world = World(template.server, database, folder / "home")
        with (
            services.private(Nginx, upstream=sock, files=str(folder / "home/files")) as proxy,
        ):
            nginx = NginxServer(**proxy)
            env = {
                "DASK_ENV": "production",
                "DASK_HOME": str(folder / "home"),
                "DASK_SECRET_KEY": secrets.token_urlsafe(48),
                "DASK_PUBLIC_URL": nginx.url,
                "DASK_PROXY_HOPS": "1",
                "DASK_DATABASE_URL": template.server.url(database, "dask_web"),
                "DASK_DATABASE_OWNER_URL": template.server.url(database, "dask_owner"),
                "DASK_DATABASE_WORKER_URL": template.server.url(database, "dask_worker"),
                "DASK_STORE": "folder",
                "DASK_STORE_FOLDER_ACCEPTED": "true",
                "DASK_STORE_GROUP_READABLE": "true",
                "DASK_ACCEL_REDIRECT": "true",
                "DASK_SCANNER": "clamd",
                "DASK_CLAMD_ADDRESS": f"{clamd_server.host}:{clamd_server.port}",
                "DASK_SECOND_FACTOR_REQUIRED": "true",
                "DASK_UPLOAD_MAX_BYTES": str(UPLOAD_MOST),
            }
            with (
                services.private(School, env=env, socket=sock) as school,
                services.private(Worker, env=env),
            ):
                yield Installation(world, nginx, SchoolServer(**school))
        world.close()


def assignment(installation: Installation) -> str:
    world = installation.world
    return f"/classes/{world.id('class nord')}/assignments/{world.id('brev')}"


def hand_in(installation: Installation, student: Browser, name: str, data: bytes) -> str:
    """The way of a student from the assignment to the receipt; the attempt's id."""
    task = assignment(installation)
    assert student.get(task).status == 200
    form = student.form("/save")
    sent = student.submit(form, {"text": "Svaret mitt.", "next": "hand-in"}, {"file": (name, data)})
    assert sent.status == 303, (sent.status, re.sub(r"(?s).*<main", "", sent.text))
    assert student.get(sent.location).status == 200
    done = student.submit(student.form("/hand-in"))
    assert done.status == 303, done.text
    receipt = student.get(done.location)
    assert receipt.status == 200
    return done.location.split("/")[2]


def scanned(installation: Installation, attempt: str) -> tuple[uuid.UUID, str]:
    """Wait for the worker; the file's id and what it was found to be."""
    for _ in range(200):
        with installation.world.connect("dask_owner") as connection:
            row = connection.execute(
                "SELECT id, scan_state FROM handin_file WHERE attempt_id = %s", [attempt]
            ).fetchone()
        if row[1] != "pending":
            return row
        time.sleep(0.1)
    raise AssertionError("the worker did not scan the file within 20 s")


def test_from_the_students_hand_in_to_the_teachers_download(installation: Installation) -> None:
    anna = installation.student("anna")
    attempt = hand_in(installation, anna, "brev.pdf", PDF)
    file_id, state = scanned(installation, attempt)
    assert state == "clean"
    address = f"/attempts/{attempt}/files/{file_id}"

    got = installation.teacher("tora").get(address)
    assert got.status == 200, got.text
    assert got.body == PDF
    assert got.headers["Content-Type"] == "application/pdf"
    assert got.headers["Content-Disposition"].startswith('attachment; filename="innlevering-')
    assert got.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert got.headers["Cache-Control"] == "private, no-store"
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    }.items():
        assert got.headers.get_all(name) == [value], name
    assert got.headers["X-Request-Id"]
    # nginx sent it: the platform names no length for what it hands on, and nginx no tag of its own.
    assert got.headers["Content-Length"] == str(len(PDF))
    assert got.headers["ETag"] is None
    assert "X-Accel-Redirect" not in got.headers
    assert installation.browser().get(address).status in (303, 401), "not without a log-in"

    root = installation.world.settings.home / "files/files"
    found = [path for path in root.rglob("*") if path.is_file() and path.read_bytes() == PDF]
    inside = found[0].relative_to(root)
    outside = installation.teacher("even").get(f"/_files/{inside}")
    assert outside.status == 404
    assert PDF[:9] not in outside.body


def test_an_infected_file_reaches_nobody(installation: Installation) -> None:
    bo = installation.student("bo")
    attempt = hand_in(installation, bo, "notat.txt", EICAR)
    file_id, state = scanned(installation, attempt)
    assert state == "infected"
    assert bo.get(f"/attempts/{attempt}/files/{file_id}").status == 404


@pytest.mark.parametrize(
    "path", ["/_files/handins/x.file/y", "/_s3/dask-files/x", "/_pages/413.html"]
)
def test_what_is_internal_is_not_there_from_outside(installation: Installation, path: str) -> None:
    for address in (path, path.replace("/_", "//_", 1), path.replace("_", "%5f", 1), path + "?a=b"):
        assert installation.browser().get(address).status == 404, address


def test_a_file_over_the_assignments_limit_costs_no_text(installation: Installation) -> None:
    cem = installation.student("cem")
    world = installation.world
    cem.get(f"/classes/{world.id('class sor')}/assignments/{world.id('brev')}")
    big = b"%PDF-1.4\n" + bytes(2 * 1024 * 1024)
    answer = cem.submit(cem.form("/save"), {"text": "Lang tekst."}, {"file": ("stor.pdf", big)})
    assert answer.status == 413
    assert "Lang tekst." in answer.text
    assert "<html" in answer.text


def test_a_request_over_the_platforms_limit_gets_the_platforms_page(
    installation: Installation,
) -> None:
    cem = installation.student("cem")
    world = installation.world
    cem.get(f"/classes/{world.id('class sor')}/assignments/{world.id('brev')}")
    big = b"%PDF-1.4\n" + bytes(UPLOAD_MOST)
    answer = cem.submit(cem.form("/save"), {}, {"file": ("stor.pdf", big)})
    assert answer.status == 413
    assert "nginx" not in answer.text
    assert answer.headers["X-Request-Id"], "the platform answers, not nginx"


def test_a_request_over_nginxs_limit_gets_a_page_in_plain_words(
    installation: Installation,
) -> None:
    answer = raw(
        installation,
        b"POST /login HTTP/1.1\r\nHost: skole.test\r\nContent-Length: 300000000\r\n"
        b"Connection: close\r\n\r\n",
    )
    assert answer.status == 413
    assert "Filen er for stor" in answer.text
    assert "nginx" not in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_when_the_school_is_down_people_read_a_plain_page(
    installation: Installation, services: Services, tmp_path: Path
) -> None:
    with services.private(
        Nginx, upstream=str(tmp_path / "nobody.sock"), files=str(tmp_path)
    ) as facts:
        nginx = NginxServer(**facts)
        answer = Browser((nginx.host, nginx.https), NAME, ca_file=nginx.ca_file).get("/login")
    assert answer.status == 502
    assert "Skolen svarer ikke akkurat nå" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "nginx" not in answer.text


def test_a_client_does_not_choose_its_address(installation: Installation) -> None:
    """A student's room is told by the address: the one of the connection, whatever is said."""
    spoof = {
        "X-Forwarded-For": "10.66.66.66",
        "X-Real-IP": "10.66.66.66",
        "Forwarded": "for=10.66.66.66",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
    }
    browser = installation.browser(source="127.0.0.77")
    browser.headers = spoof
    who = f"nobody-{secrets.token_hex(4)}"
    assert browser.log_in(who, "wrong").status == 401
    last = installation.world.audit("login.failed")[-1]
    assert str(last["address"]) == "127.0.0.77"


def test_http_leads_to_https_under_our_name(installation: Installation) -> None:
    nginx = installation.nginx
    plain = Browser((nginx.host, nginx.http), NAME)
    answer = plain.get("/login?next=/x")
    assert answer.status == 301
    assert answer.location == f"{nginx.url}/login?next=/x"
    assert answer.body.count(b"nginx") == answer.body.count(b"<center>nginx</center>")
    assert answer.headers["Server"] == "nginx", "without its version"


def test_other_names_get_nothing(installation: Installation) -> None:
    nginx = installation.nginx
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        Browser((nginx.host, nginx.http), "evil.example").get("/login")
    with pytest.raises((OSError, http.client.HTTPException)):
        Browser((nginx.host, nginx.https), "evil.example", ca_file=nginx.ca_file).get("/login")


def test_styles_come_from_nginx_and_stay(installation: Installation) -> None:
    browser = installation.browser()
    page = browser.get("/login")
    paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert paths
    for path in paths:
        answer = browser.get(path)
        assert answer.status == 200, path
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-Id"] is None, "nginx answers, the platform is not asked"
        assert answer.headers["Content-Type"] not in (None, "application/octet-stream"), path
    for path in (
        "/static/0123456789ab/../../../entry/wsgi.py",
        "/static/0123456789ab/..%2f..%2f..%2fentry%2fwsgi.py",
        "/static/0123456789ab/",
        "/static/0123456789ab/css",
        "/static/0123456789ab/nothing.css",
        "/static/0123456789ab/css/.hidden.css",
    ):
        answer = browser.get(path)
        assert answer.status in (400, 404), path
        assert b"import" not in answer.body


def test_cookies_and_headers_are_productions(installation: Installation) -> None:
    browser = installation.browser()
    page = browser.get("/login")
    cookies = page.headers.get_all("Set-Cookie") or []
    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert page.headers.get_all("Strict-Transport-Security") == [
        "max-age=31536000; includeSubDomains"
    ]
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_form_from_another_site_is_refused(installation: Installation) -> None:
    browser = installation.browser()
    browser.get("/login")
    browser.headers = {"Referer": "https://evil.example/"}
    form = browser.form("/login")
    answer = browser.submit(form, {"username": "anna", "password": PASSWORD})
    assert 400 <= answer.status < 404, answer.text


def test_health_and_metrics_have_a_port_of_their_own(installation: Installation) -> None:
    assert installation.health("/health/live") == (200, b'{"live": true}')
    status, body = installation.health("/health/ready")
    assert (status, json.loads(body)) == (
        200,
        {"database": "ok", "files": "ok", "scanner": "ok"},
    )
    browser = installation.browser()
    browser.get("/login")
    status, body = installation.health("/metrics")
    text = body.decode()
    assert status == 200
    assert re.search(r'dask_requests_total\{endpoint="identity.login",method="GET"', text)
    assert 'dask_part_ok{part="database"} 1.0' in text or 'dask_part_ok{part="database"} 1' in text
    assert installation.health("/login")[0] == 404, "no page of the school here"
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert browser.get(path).status == 404, "and none of these at the school"


def test_no_personal_data_in_the_logs(installation: Installation) -> None:
    browser = installation.browser(source="127.0.0.78")
    browser.get("/login?next=/search-for-somebody")
    browser.log_in("somebody-known", "a-secret-password")
    installation.student("cem")
    lines = Path(installation.nginx.log).read_text().splitlines()
    assert {"id", "method", "status", "seconds"} <= json.loads(lines[-1]).keys()
    text = "\n".join(lines) + Path(installation.school.log).read_text()
    for said in ("127.0.0.78", "search-for-somebody", "somebody-known", "a-secret-password", "cem"):
        assert not re.search(rf"\b{re.escape(said)}\b", text), said


def test_an_upload_that_is_cut_off_never_reaches_the_school(installation: Installation) -> None:
    before = len(Path(installation.school.log).read_text().splitlines())
    connection = tls(installation)
    connection.sendall(
        b"POST /login HTTP/1.1\r\nHost: skole.test\r\nContent-Length: 5000000\r\n\r\n"
        + b"x" * 100000
    )
    connection.close()
    time.sleep(0.3)
    after = Path(installation.school.log).read_text().splitlines()
    assert not [line for line in after[before:] if '"POST"' in line]


def tls(installation: Installation) -> socket.socket:
    import ssl

    nginx = installation.nginx
    raw = socket.create_connection((nginx.host, nginx.https), 10)
    context = ssl.create_default_context(cafile=nginx.ca_file)
    return context.wrap_socket(raw, server_hostname=NAME)


def raw(installation: Installation, request: bytes) -> Answer:
    """Send these very bytes."""
    with tls(installation) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return Answer(response.status, response.headers, response.read())
