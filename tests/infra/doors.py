"""Two ways in to a running broker, for tests that send what no browser does: gunicorn alone, as the
demo has it, and behind nginx with ``infra/``'s files. The site is real, and on loopback."""

from __future__ import annotations

import json
import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text

from dask_platform.features.whitelists.queries import body_of
from tests.databases import Template
from tests.features.whitelists.build import rule
from tests.services.client import Services
from tests.services.nginx import NAME
from tests.services.school import School
from tests.services.sites import DOMAIN, Direct, ResourcesNginx, Website
from tests.world import World

SITE = "leksikon.no"
LABEL = "leksikon-no"
PAGE = "<!doctype html><html lang=nb><title>Norge</title><h1>Et langt land</h1>"
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")


@dataclass
class Door:
    """One way in: where to connect, and how the two hosts are called there."""

    world: World
    upstream_log: Path
    port: int
    school: str
    site: str
    cookie: str
    tls: ssl.SSLContext | None = None
    pid: int = 0
    """Of gunicorn's master, where it stands alone."""

    def connect(self, name: str | None = None) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        if self.tls is None:
            return plain
        return self.tls.wrap_socket(plain, server_hostname=name or self.site)

    def say(self, data: bytes, *, quiet: float = 0.6, name: str | None = None) -> bytes:
        """Send it, and read until the other side closes, or says nothing for a while."""
        with self.connect(name) as line:
            return speak(line, data, quiet)

    def ask(self, host: str, target: str, cookie: str) -> tuple[int, bytes]:
        """One decent request."""
        sent = (
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"
            "Connection: close\r\n\r\n"
        )
        got = self.say(sent.encode(), quiet=10, name=host.partition(":")[0])
        return statuses(got)[0], got.partition(b"\r\n\r\n")[0]

    def enter(self, name: str) -> str:
        """The way of a student from the school to the site; the cookie of the site."""
        token = self.world.session(name)
        status, head = self.ask(self.school, "/sites/leksikon/open", f"{self.cookie}={token}")
        assert status == 303, head
        place = urlsplit(_header(head, "Location"))
        assert place.netloc == self.site
        status, head = self.ask(self.site, f"{place.path}?{place.query}", "")
        assert status == 303, head
        return _header(head, "Set-Cookie").partition(";")[0]

    def visits(self) -> list[dict[str, Any]]:
        """The log so far. Lines are written behind the answers, in their order: it is whole when a
        last one, of somebody else's, is in it."""
        mark = f"/merke-{secrets.token_hex(6)}"
        assert self.ask(self.site, mark, self.enter("dag"))[0] == 404
        for _ in range(100):
            found = self.visits_now()
            if any(one["url"].endswith(mark) for one in found):
                return [one for one in found if one["username"] != "dag"]
            time.sleep(0.05)
        raise AssertionError("a visit was not written down within five seconds")

    def visits_now(self) -> list[dict[str, Any]]:
        with self.world.owner() as uow:
            found = uow.execute(
                text(
                    "SELECT v.*, p.username FROM site_visit v JOIN person p ON p.id = v.person_id"
                    " ORDER BY v.id"
                )
            )
            return [dict(row) for row in found.mappings()]

    def asked_of_site(self) -> list[str]:
        """What has come to the site, but for the marks."""
        lines = self.upstream_log.read_text().splitlines()
        return [one for one in lines if "/merke-" not in one]


def speak(line: socket.socket, data: bytes, quiet: float) -> bytes:
    got = b""
    line.settimeout(quiet)
    with suppress(OSError):
        line.sendall(data)
        while more := line.recv(65536):
            got += more
    return got


def statuses(got: bytes) -> list[int]:
    return [int(one) for one in _STATUS.findall(got)]


def _header(head: bytes, name: str) -> str:
    found = re.search(rf"\r\n{name}: ([^\r]+)".encode(), head, re.IGNORECASE)
    assert found, head
    return found[1].decode()


def _open(world: World) -> None:
    with world.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO whitelist_version (rule_id, unit_id, body, proposed_name,"
                " approved_name, reason, at)"
                " VALUES ('leksikon', NULL, CAST(:body AS jsonb), 'En', 'To', 'Test', now())"
            ),
            {"body": json.dumps(body_of(rule()))},
        )


@contextmanager
def open_doors(services: Services, template: Template, folder: Path) -> Iterator[dict[str, Door]]:
    """Both ways in, by name, to one school and one site."""
    pages = folder / "pages"
    pages.mkdir()
    for name in ("norge", "sverige", "index.html"):
        (pages / name).write_text(PAGE)
    with template.copy() as database:
        world = World(template.server, database, folder / "home")
        _open(world)
        with services.private(Website, files=str(pages), names=[SITE]) as website:
            env = {
                "DASK_ENV": "test",
                "DASK_HOME": str(folder / "home"),
                "DASK_SECRET_KEY": secrets.token_urlsafe(48),
                "DASK_WORKERS": "1",
                "DASK_DATABASE_URL": template.server.url(database, "dask_web"),
                "DASK_DATABASE_OWNER_URL": template.server.url(database, "dask_owner"),
                "DASK_DATABASE_WORKER_URL": template.server.url(database, "dask_worker"),
                "DASK_UPSTREAM_FIXED": f"{SITE}=127.0.0.1:{website['port']}",
                "DASK_UPSTREAM_CA_FILE": website["ca_file"],
            }
            direct_env = env | {
                "DASK_PUBLIC_URL": "http://localhost:@PORT@",
                "DASK_RESOURCES_URL": "http://ressurs.localhost:@PORT@",
            }
            nginx_env = env | {
                "DASK_PUBLIC_URL": f"https://{NAME}",
                "DASK_RESOURCES_URL": f"https://{DOMAIN}",
                "DASK_PROXY_HOPS": "1",
            }
            sock = str(folder / "web.sock")
            with (
                services.private(Direct, env=direct_env) as direct,
                services.private(School, env=nginx_env, socket=sock),
                services.private(
                    ResourcesNginx, school=sock, resources=sock, files=str(folder)
                ) as nginx,
            ):
                log = Path(website["log"])
                port = direct["port"]
                yield {
                    "gunicorn": Door(
                        world, log, port, f"localhost:{port}",
                        f"{LABEL}.ressurs.localhost:{port}", "dask",
                        pid=direct["pid"],
                    ),
                    "nginx": Door(
                        world, log, nginx["port"], NAME, f"{LABEL}.{DOMAIN}", "__Host-dask",
                        ssl.create_default_context(cafile=nginx["ca_file"]),
                    ),
                }  # fmt: skip
        world.close()
