"""A school whose security officer records a site that no rule opens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import MemoryUpstream, Page
from dask_platform.features.broker.application import BrokerFlask
from tests.features.broker.conftest import Outside, html
from tests.features.broker.conftest import outside as outside  # the fixture
from tests.world import Client, World

SITE = "https://skipsmuseum.no"
HERE = "http://skipsmuseum-no.ressurs.localhost:8000"
CDN = "https://cdn.example.com"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"x" * 100


@dataclass
class Office:
    """An officer, who has a browser in the school and one that goes out."""

    outside: Outside
    name: str = "sigrid"

    def __post_init__(self) -> None:
        self.school: Client = self.outside.world.client(self.name)
        self.away: FlaskClient = self.broker.test_client()
        self.id = ""

    @property
    def world(self) -> World:
        return self.outside.world

    @property
    def broker(self) -> BrokerFlask:
        return self.outside.broker

    @property
    def upstream(self) -> MemoryUpstream:
        return self.outside.upstream

    @property
    def here(self) -> str:
        return f"/whitelists/record/{self.id}"

    def start(self, address: str = f"{SITE}/", **said: str) -> TestResponse:
        """Start a recording, without going out."""
        answer = self.school.post_form(
            "/whitelists/record", {"address": address, "reason": "Til historie.", **said}
        )
        if answer.status_code == 303:
            self.id = (answer.location or "").rpartition("/")[2]
        return answer

    def record(self, address: str = f"{SITE}/", **said: str) -> FlaskClient:
        """Start a recording and go out; the browser that is at the site."""
        assert self.start(address, **said).status_code == 303
        assert self.outside.take(self.away, self.ticket()).status_code == 303
        return self.away

    def ticket(self) -> str:
        answer = self.school.get(f"{self.here}/open")
        assert answer.status_code == 303, answer.text
        return answer.location or ""

    def get(self, path: str = "/", host: str = HERE, dest: str = "document") -> TestResponse:
        """What the browser at the site gets. Reading it all ends the transfer."""
        answer = self.away.get(path, base_url=host, headers={"Sec-Fetch-Dest": dest})
        answer.get_data()
        return answer

    def seen(self) -> dict[str, dict[str, object]]:
        """Everything that was written down, by kind, host and path."""
        with self.world.owner() as uow:
            found = uow.execute(text("SELECT * FROM recording_seen ORDER BY first_at")).mappings()
            return {f"{one['kind']} {one['host']}{one['path']}": dict(one) for one in found}

    def follow(self, address: str) -> TestResponse:
        return self.outside.take(self.away, address)


@pytest.fixture
def office(outside: Outside) -> Office:
    body = """
    <h1>Museum</h1><p>Et hus fullt av gamle ting, og en lang tekst om dem alle sammen.</p>
    <a href="/samling/skip?id=12">Skip</a> <a href="/samling/vogn">Vogn</a>
    <a href="/samling/hus">Hus</a> <a href="https://annet.no/side">Et annet sted</a>
    <a href="/logg-inn">Logg inn</a> <a href="/diskusjon/skip">Si noe</a>
    <form action="/sok"><input name=q></form>
    <form action="/skriv" method=post><textarea name=t></textarea></form>
    <img src="/bilder/a.png" alt=""><img src="https://cdn.example.com/b.png" alt="">
    <script src="https://cdn.example.com/js/app.js"></script>
    """
    head = '<link rel=stylesheet href="https://cdn.example.com/css/stil.css">'
    js = Page(b"console.log(1)", headers={"content-type": "text/javascript"})
    css = Page(
        b"h1{background:url(tapet.png)}", headers={"content-type": "text/css; charset=utf-8"}
    )
    png = Page(PICTURE, headers={"content-type": "image/png"})
    pages = {
        f"{SITE}/": html(body, head),
        f"{SITE}/samling/skip?id=12": html("<h1>Skip</h1>"),
        f"{SITE}/samling/vogn": html("<h1>Vogn</h1>"),
        f"{SITE}/samling/hus": html("<h1>Hus</h1>"),
        f"{SITE}/bilder/a.png": png,
        f"{SITE}/sok?q=hei+du": html("<h1>Treff</h1>"),
        f"{CDN}/b.png": png,
        f"{CDN}/css/stil.css": css,
        f"{CDN}/css/tapet.png": png,
        f"{CDN}/js/app.js": js,
        "https://annet.no/side": html("<h1>Annet</h1>"),
    }
    outside.upstream.pages.update(pages)
    return Office(outside)


def addresses(page: str, attribute: str = "(?:src|href)") -> list[str]:
    return re.findall(rf'\s{attribute}="([^"]*)"', page)


def host_of(address: str) -> str:
    return urlsplit(address).netloc
