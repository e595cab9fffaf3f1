"""The baseline through a real squid, address by address, beside the engine."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dask_platform.features.whitelists.exports import Export, squid
from dask_platform.kernel.clock import SystemClock, from_oslo, to_oslo
from tests.features.whitelists.corpus import ASKED, AT, RULES, addresses, engine_of, is_plain
from tests.services.base import find_program
from tests.services.client import Services
from tests.services.nginx import make_certificates
from tests.services.squid import Squid, SquidServer, parse


class Upstream(ThreadingHTTPServer):
    """Answers everything with a type by its name, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority = make_certificates(folder, ["upstream.test"]).read_text()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.asked.append((self.command, f"https://{self.headers['Host']}{self.path}"))
        picture = re.search(r"\.(png|jpe?g|svg|webp)(\?|$)", self.path)
        self.send_response(200)
        self.send_header("Content-Type", "image/png" if picture else "text/html; charset=utf-8")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass
class Proxy:
    server: SquidServer
    upstream: Upstream
    export: Export

    def __post_init__(self) -> None:
        self.tls = ssl.create_default_context(cafile=self.server.ca_file)
        # Names that are no names are tried as well.
        self.tls.check_hostname = False

    def ask(
        self, url: str, method: str = "GET", host: str | None = None, port: int | None = None
    ) -> tuple[int, str | None]:
        """The status, and the address that came out on the other side, if one did."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        before = len(self.upstream.asked)
        connection = http.client.HTTPConnection("127.0.0.1", port or self.server.port, timeout=20)
        try:
            status = self._send(connection, scheme, authority, slash + path, method, host)
        finally:
            connection.close()
        reached = self.upstream.asked[before:]
        return status, reached[0][1] if reached else None

    def _send(
        self,
        connection: http.client.HTTPConnection,
        scheme: str,
        authority: str,
        target: str,
        method: str,
        host: str | None,
    ) -> int:
        connection.connect()
        assert connection.sock is not None
        raw = connection.sock
        if scheme == "http":
            return _exchange(raw, method, f"http://{authority}{target}", authority)
        named = authority if re.search(r":\d+$", authority) else f"{authority}:443"
        status = _exchange(raw, "CONNECT", named, named)
        if status != 200:
            return status
        server_name = re.sub(r"^.*@|:\d+$", "", authority)
        with self.tls.wrap_socket(raw, server_hostname=server_name) as inside:
            return _exchange(inside, method, target or "/", host or authority, close=True)


def _exchange(raw: Any, method: str, target: str, host: str, close: bool = False) -> int:
    """Send one request as it is written, and read the answer's status and head."""
    end = "Connection: close\r\n" if close else ""
    length = "Content-Length: 0\r\n" if method in ("POST", "PUT") else ""
    raw.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{end}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        got = raw.recv(1)
        if not got:
            return 0
        head += got
    return int(head.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def proxy(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    made = squid.export(RULES, ASKED, "@FOLDER@", tls_inspection=True)
    upstream = Upstream(tmp_path_factory.mktemp("upstream"))
    thread = threading.Thread(target=upstream.serve_forever, daemon=True)
    thread.start()
    try:
        with services.private(
            Squid, files=made.files, upstream=upstream.server_port, upstream_ca=upstream.authority
        ) as facts:
            yield Proxy(SquidServer(**facts), upstream, made)
    finally:
        upstream.shutdown()
        thread.join()
        upstream.server_close()


def this_hour() -> datetime:
    """The day and hour that it is, in the week of the corpus: squid has its own clock."""
    now, then = to_oslo(SystemClock().now()), to_oslo(AT)
    day = then.date() + timedelta(days=now.weekday() - then.weekday())
    return from_oslo(datetime.combine(day, now.time()))


def test_the_corpus(proxy: Proxy) -> None:
    engine, asked = engine_of(proxy.export.rules), replace(ASKED, at=this_hour())
    let_through, wrong = 0, []
    for url in addresses():
        if not re.fullmatch(r"https?://[!-~]+", url):
            assert not engine.decide(url, ASKED).allowed
            continue
        # What is out of sight of the net stays in the browser.
        sent = url.partition("#")[0]
        _status, reached = proxy.ask(sent)
        # squid may write the host in small letters; what counts is what it sent.
        if reached is not None and not engine.decide(reached, asked).allowed:
            wrong.append(f"squid sends {reached} for {url}")
        if engine.decide(url, asked).allowed and is_plain(url):
            let_through += 1
            if reached != sent:
                wrong.append(f"squid refuses {url}")
    assert not wrong, "\n".join(wrong)
    assert let_through > 100


def test_methods(proxy: Proxy) -> None:
    assert proxy.ask("https://snl.no/Norge", "HEAD")[0] == 200
    for method in ("POST", "PUT", "TRACE", "OPTIONS", "DELETE"):
        assert proxy.ask("https://snl.no/Norge", method)[1] is None, method


def test_another_host_inside_the_tunnel(proxy: Proxy) -> None:
    assert proxy.ask("https://snl.no/Norge", host="evil.no")[1] in (None, "https://snl.no/Norge")
    _status, reached = proxy.ask("https://snl.no/.login", host="ndla.no")
    assert reached is None or engine_of(proxy.export.rules).decide(reached, ASKED).allowed


def test_a_port_that_does_not_look_into_tls_lets_nothing_through(proxy: Proxy) -> None:
    assert proxy.ask("https://snl.no/Norge", port=proxy.server.blind) == (403, None)


def test_types(proxy: Proxy) -> None:
    """A helper's host gives pictures; a page from there does not come through."""
    picture = "https://media.snl.no/media/36894/standard_kart.png"
    assert proxy.ask(picture) == (200, picture)
    page = "https://media.snl.no/media/side?as=html"
    assert proxy.ask(page)[1] is None
    status, _reached = proxy.ask("https://media.snl.no/media/side.html")
    assert status == 403


def test_without_inspection_every_rule_is_refused(tmp_path: Path) -> None:
    made = squid.export(RULES, ASKED, "/etc/squid/dask")
    assert made.rules == ()
    assert {"snl", "ndla", "lovdata"} <= {one.rule for one in made.refused}
    config = tmp_path / "squid.conf"
    config.write_text("http_port 127.0.0.1:3128\n" + made.files["dask-whitelist.conf"])
    assert parse(find_program("squid", "the Debian package squid-openssl"), config) == ""
