"""What no browser sends, by raw sockets, to gunicorn alone and behind nginx.

Whatever the bytes, one request gets one answer at most, what hides behind it is never read as
another, and neither the log of visits nor the site hears of it.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.databases import Template
from tests.infra.doors import SITE, Door, open_doors, statuses
from tests.services.client import Services


@pytest.fixture(scope="module")
def doors(
    services: Services, template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Door]]:
    with open_doors(services, template, tmp_path_factory.mktemp("wire")) as made:
        yield made


@pytest.fixture(params=["gunicorn", "nginx"])
def door(request: pytest.FixtureRequest, doors: dict[str, Door]) -> Door:
    found: Door = doors[request.param]
    return found


# Each with HOST, COOKIE and HIDDEN: a whole second request, of another session, for a page of its
# own. What must not happen is that anybody takes it for one.
ESCAPES = {
    "two hosts": "GET /norge HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n",
    "two hosts, one foreign": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\nCookie: COOKIE\r\n\r\n"
    ),
    "no host": "GET /norge HTTP/1.1\r\nCookie: COOKIE\r\n\r\n",
    "foreign host": "GET /norge HTTP/1.1\r\nHost: evil.example\r\nCookie: COOKIE\r\n\r\n",
    "the site's own host": "GET /norge HTTP/1.1\r\nHost: leksikon.no\r\nCookie: COOKIE\r\n\r\n",
    "host with a user": "GET /norge HTTP/1.1\r\nHost: x@HOST\r\nCookie: COOKIE\r\n\r\n",
    "absolute target, foreign host": (
        "GET https://evil.example/norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n"
    ),
    "authority target": "CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\nHIDDEN",
    "asterisk target": "GET * HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n",
    "CL.TE": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: 6\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHIDDEN"
    ),
    "TE.CL": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nTransfer-Encoding: chunked\r\n"
        "Content-Length: 4\r\n\r\n5c\r\nHIDDEN\r\n0\r\n\r\n"
    ),
    "TE.TE, odd case": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nTransfer-Encoding: chunked\r\n"
        "transfer-encoding: cHuNkEd\r\n\r\n0\r\n\r\nHIDDEN"
    ),
    "TE.TE, one unknown": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n"
        "Transfer-Encoding: chunked, identityx\r\n\r\n0\r\n\r\nHIDDEN"
    ),
    "TE with a vertical tab": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n"
        "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nHIDDEN"
    ),
    "TE before HTTP/1.1": (
        "POST /norge HTTP/1.0\r\nHost: HOST\r\nCookie: COOKIE\r\nConnection: keep-alive\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHIDDEN"
    ),
    "folded header": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nX-A: b\r\n Content-Length: 5\r\n"
        "Cookie: COOKIE\r\n\r\nHIDDEN"
    ),
    "folded host": "GET /norge HTTP/1.1\r\nHost:\r\n HOST\r\nCookie: COOKIE\r\n\r\n",
    "NUL in a header": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nX-A: b\0c\r\nCookie: COOKIE\r\n\r\nHIDDEN"
    ),
    "NUL in the target": "GET /nor\0ge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n",
    "CR alone in a header": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nX-A: b\rContent-Length: 5\r\n"
        "Cookie: COOKIE\r\n\r\nHIDDEN"
    ),
    "space before the colon": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nContent-Length : 5\r\nCookie: COOKIE\r\n\r\nHIDDEN"
    ),
    "space in a header's name": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nContent Length: 5\r\nCookie: COOKIE\r\n\r\nHIDDEN"
    ),
    "negative length": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: -1\r\n\r\nHIDDEN"
    ),
    "length with a plus": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: +5\r\n\r\nHIDDEN"
    ),
    "length in words": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: 0x5\r\n\r\nHIDDEN"
    ),
    "huge length": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n"
        "Content-Length: 99999999999999999999\r\n\r\nHIDDEN"
    ),
    "two lengths": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: 0\r\n"
        "Content-Length: 5\r\n\r\nHIDDEN"
    ),
    "two lengths in a list": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: 0, 5\r\n\r\nHIDDEN"
    ),
    "chunk of a broken size": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nTransfer-Encoding: chunked\r\n"
        "\r\n0x1\r\na\r\n0\r\n\r\nHIDDEN"
    ),
    "HTTP/0.9": "GET /norge\r\n\r\n",
    "HTTP/2 in clear": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nHIDDEN",
    "unknown version": "GET /norge HTTP/7.3\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\nHIDDEN",
    "space in the target": "GET /nor ge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n",
    "method in small letters": "get /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n",
    "huge header": "GET /norge HTTP/1.1\r\nHost: HOST\r\nX-A: HUGE\r\nCookie: COOKIE\r\n\r\n",
    "huge target": "GET /HUGE HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n",
    "too many headers": "GET /norge HTTP/1.1\r\nHost: HOST\r\nMANYCookie: COOKIE\r\n\r\n",
}
#: What a server may say to nonsense. Nothing at all: it closed the connection.
REFUSED = {400, 403, 404, 405, 411, 413, 414, 421, 431, 494, 501, 505}


@pytest.mark.parametrize("name", ESCAPES)
def test_refused(door: Door, name: str) -> None:
    mine, other = door.enter("anna"), door.enter("bo")
    secret = f"skjult-{secrets.token_hex(6)}"
    before = len([one for one in door.visits() if one["allowed"]])
    got = door.say(_filled(ESCAPES[name], door, mine, other, secret))
    found = statuses(got)
    assert len(found) <= 1, got[:2000]
    assert set(found) <= REFUSED, got[:2000]
    assert b"Et langt land" not in got
    visits = door.visits()
    assert len([one for one in visits if one["allowed"]]) == before
    assert not [one for one in visits if secret in one["url"]]
    assert not [one for one in door.asked_of_site() if secret in one or "evil" in one]


def _filled(request: str, door: Door, mine: str, other: str, secret: str) -> bytes:
    hidden = f"GET /{secret} HTTP/1.1\r\nHost: {door.site}\r\nCookie: {other}\r\n\r\n"
    many = "".join(f"X-{number}: a\r\n" for number in range(200))
    for old, new in (
        ("HIDDEN", hidden), ("HOST", door.site), ("COOKIE", mine), ("HUGE", "a" * 40_000),
        ("MANY", many),
    ):  # fmt: skip
        request = request.replace(old, new)
    return request.encode("latin-1")


# -- what is lawful, or let pass by a server in front, and must stay one request --------------

ONE_ANSWER = {
    "absolute target, own host": (
        "GET SCHEME://HOST/norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n\r\n"
    ),
    "absolute target against the host": (
        "GET SCHEME://HOST/norge HTTP/1.1\r\nHost: evil.example\r\nCookie: COOKIE\r\n\r\n"
    ),
    "bare line feeds": "GET /norge HTTP/1.1\nHost: HOST\nCookie: COOKIE\n\n",
    "a length behind a bare line feed": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nX-A: b\nContent-Length: LENGTH\r\n"
        "Cookie: COOKIE\r\n\r\nHIDDEN"
    ),
    "GET with a body": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: LENGTH\r\n\r\n"
        "HIDDEN"
    ),
    "GET with a chunked body": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n"
        "Transfer-Encoding: chunked\r\n\r\nHEXLEN\r\nHIDDEN\r\n0\r\n\r\n"
    ),
    "GET with a chunk extension": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\n"
        "Transfer-Encoding: chunked\r\n\r\nHEXLEN;a=b\r\nHIDDEN\r\n0\r\n\r\n"
    ),
    "POST with a body": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Length: LENGTH\r\n\r\n"
        "HIDDEN"
    ),
    "an upgrade": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nConnection: Upgrade, HTTP2-Settings"
        "\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: LENGTH\r\n\r\n"
        "HIDDEN"
    ),
    "a web socket": (
        "GET /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: LENGTH\r\n\r\nHIDDEN"
    ),
    "an expectation": (
        "POST /norge HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nExpect: 100-continue\r\n"
        "Content-Length: LENGTH\r\n\r\nHIDDEN"
    ),
}


@pytest.mark.parametrize("name", ONE_ANSWER)
def test_one_request_and_no_other(door: Door, name: str) -> None:
    mine, other = door.enter("anna"), door.enter("bo")
    secret = f"skjult-{secrets.token_hex(6)}"
    before = len(door.visits())
    hidden = _filled("HIDDEN", door, mine, other, secret)
    request = ONE_ANSWER[name].replace("LENGTH", str(len(hidden)))
    request = request.replace("HEXLEN", f"{len(hidden):x}")
    request = request.replace("SCHEME", "https" if door.tls else "http")
    got = door.say(_filled(request, door, mine, other, secret))
    found = [one for one in statuses(got) if one != 100]
    assert len(found) <= 1, got[:2000]
    assert 101 not in found
    visits = door.visits()[before:]
    assert {one["username"] for one in visits} <= {"anna"}
    assert not [one for one in visits if secret in one["url"] or "evil" in one["url"]]
    if b"Et langt land" in got:
        assert [one["url"] for one in visits if one["allowed"]] == [f"https://{SITE}/norge"]
    assert not [one for one in door.asked_of_site() if secret in one]


@pytest.mark.parametrize(
    "header",
    ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method"],
)
@pytest.mark.parametrize(("sent", "said"), [("GET", "DELETE"), ("GET", "POST"), ("POST", "GET")])
def test_the_method_is_the_one_in_the_first_line(
    door: Door, header: str, sent: str, said: str
) -> None:
    mine = door.enter("anna")
    asked = len(door.asked_of_site())
    before = len(door.visits())
    got = door.say(
        f"{sent} /norge HTTP/1.1\r\nHost: {door.site}\r\nCookie: {mine}\r\n{header}: {said}\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n".encode(),
        quiet=5,
    )
    assert len(statuses(got)) == 1
    new = door.asked_of_site()[asked:]
    assert new == ([f"{SITE} GET /norge HTTP/1.1"] if sent == "GET" else [])
    assert [one["method"] for one in door.visits()[before:]] in ([sent], [])


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: evil.example", "X-Forwarded-Host: sverige-no.ressurs.test",
        "Forwarded: for=1.2.3.4;host=evil.example;proto=https", "X-Original-URL: /sverige",
        "X-Rewrite-URL: /sverige", "X-Forwarded-Prefix: /sverige", "X-Accel-Redirect: /sverige",
        "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", "Proxy: http://evil.example",
        "Range: bytes=0-1,3-4", "If-None-Match: *", "Cache-Control: only-if-cached",
    ],
)  # fmt: skip
def test_no_header_leads_elsewhere(door: Door, header: str) -> None:
    mine = door.enter("anna")
    before = len(door.visits())
    got = door.say(
        f"GET /norge HTTP/1.1\r\nHost: {door.site}\r\nCookie: {mine}\r\n{header}\r\n"
        "Connection: close\r\n\r\n".encode(),
        quiet=5,
    )
    assert statuses(got) == [200], got[:500]
    assert b"Et langt land" in got
    assert [one["url"] for one in door.visits()[before:]] == [f"https://{SITE}/norge"]


def test_two_students_on_one_connection_are_two(door: Door) -> None:
    """As behind a proxy of the network: each answer, and each line in the log, is its own."""
    anna, bo = door.enter("anna"), door.enter("bo")
    before = len(door.visits())
    asked = [("anna", anna, "/norge"), ("bo", bo, "/sverige"), ("nobody", "", "/norge")] * 2
    got = door.say(
        "".join(
            f"GET {path} HTTP/1.1\r\nHost: {door.site}\r\nCookie: {cookie}\r\n\r\n"
            for _who, cookie, path in asked
        ).encode(),
        quiet=3,
    )
    answered = statuses(got)
    assert 1 <= len(answered) <= 6
    assert answered == ([200, 200, 401] * 2)[: len(answered)]
    visits = [
        (one["username"], one["url"].removeprefix(f"https://{SITE}"))
        for one in door.visits()[before:]
    ]
    assert set(visits) <= {("anna", "/norge"), ("bo", "/sverige")}
    assert len(visits) == answered.count(200)


def test_slow_headers_stop_nobody_and_are_cut(doors: dict[str, Door]) -> None:
    """Behind nginx, which keeps them from the platform's few threads."""
    door = doors["nginx"]
    mine = door.enter("anna")
    slow = [door.connect() for _ in range(60)]
    cut: list[float] = []
    begun = time.monotonic()
    try:
        for line in slow:
            line.sendall(b"GET /norge HTTP/1.1\r\nHost: ")
        waits = []
        for _ in range(5):
            at = time.monotonic()
            assert door.ask(door.site, "/norge", mine)[0] == 200
            waits.append(time.monotonic() - at)
        assert max(waits) < 2, waits
        threads = [threading.Thread(target=_drip, args=(line, begun, cut)) for line in slow[:3]]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        for line in slow:
            line.close()
    assert len(cut) == 3
    assert max(cut) < 20, "client_header_timeout, whatever comes in between"


def _drip(line: socket.socket, begun: float, cut: list[float]) -> None:
    line.settimeout(1)
    while time.monotonic() - begun < 30:
        try:
            line.sendall(b"x")
            if line.recv(1000):
                continue
        except TimeoutError:
            continue
        except OSError:
            pass
        cut.append(time.monotonic() - begun)
        return
