"""A school with a way out: rules in force, a site in memory, and both applications."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import MemoryUpstream, Page
from dask_platform.features.broker.application import BrokerFlask, make_broker
from dask_platform.features.whitelists.queries import body_of
from dask_platform.features.whitelists.rules import Rule
from tests.features.whitelists.build import rule
from tests.world import Client, World

SITE = "https://leksikon.no"
DOMAIN = "http://ressurs.localhost:8000"
HERE = "http://leksikon-no.ressurs.localhost:8000"


def html(body: str, head: str = "") -> Page:
    return Page(
        f"<!doctype html><html lang=nb><head><title>Side</title>{head}</head>"
        f"<body>{body}</body></html>".encode(),
        headers={"content-type": "text/html; charset=utf-8"},
    )


@dataclass
class Outside:
    """What tests use: the school, the broker, and the sites."""

    world: World
    broker: BrokerFlask
    upstream: MemoryUpstream

    def open(self, *rules: Rule) -> None:
        """Put rules in force, as if two people had agreed on each."""
        with self.world.owner() as uow:
            for one in rules:
                uow.execute(
                    text(
                        "INSERT INTO whitelist_version (rule_id, unit_id, body, proposed_name,"
                        " approved_name, reason, at)"
                        " VALUES (:id, NULL, CAST(:body AS jsonb), 'En', 'To', 'Test', now())"
                    ),
                    {"id": one.id, "body": json.dumps(body_of(one))},
                )

    def school(self, name: str) -> Client:
        """A browser of ``name`` in the school, logged in anew from the classroom."""
        client = self.world.client(name)
        self.sql(
            "UPDATE login_session SET room_id = :room WHERE person_id = :person"
            " AND ended_at IS NULL",
            room=self.world.id("room"), person=self.world.id(name),
        )  # fmt: skip
        return client

    def visitor(self, name: str | Client, rule_id: str = "leksikon") -> FlaskClient:
        """A browser of ``name`` that has come from the school to the rule's site."""
        client = self.broker.test_client()
        assert self.enter(client, name, rule_id).status_code == 303
        return client

    def enter(
        self, client: FlaskClient, name: str | Client, rule_id: str = "leksikon"
    ) -> TestResponse:
        return self.take(client, self.ticket(name, rule_id))

    def ticket(self, name: str | Client, rule_id: str = "leksikon") -> str:
        """The address, with a ticket in it, that the school sends the browser to."""
        school = self.school(name) if isinstance(name, str) else name
        answer = school.get(f"/sites/{rule_id}/open")
        assert answer.status_code == 303, answer.text
        assert urlsplit(answer.location or "").path == "/_dask/enter", answer.location
        return answer.location or ""

    def take(self, client: FlaskClient, address: str) -> TestResponse:
        """Follow an address of the broker's, whichever host it is on."""
        place = urlsplit(address)
        return client.get(
            f"{place.path}?{place.query}", base_url=f"{place.scheme}://{place.netloc}"
        )

    def sql(self, statement: str, **values: object) -> None:
        with self.world.owner() as uow:
            uow.execute(text(statement), values)

    def get(
        self, client: FlaskClient, path: str, host: str = HERE, **given: object
    ) -> TestResponse:
        answer = client.get(path, base_url=host, **given)
        self.written()
        return answer

    def written(self) -> None:
        """Have what waits for the log of visits written down."""
        self.broker.extensions["dask_broker_log"].flush()

    def visits(self) -> list[dict[str, object]]:
        self.written()
        with self.world.owner() as uow:
            found = uow.execute(text("SELECT * FROM site_visit ORDER BY id")).mappings()
            return [dict(row) for row in found]


@pytest.fixture
def outside(world: World) -> Iterator[Outside]:
    upstream = MemoryUpstream(
        {
            f"{SITE}/": html("<h1>Leksikon</h1><a href=/norge>Norge</a>"),
            f"{SITE}/norge": html("<h1>Norge</h1><p>Et langt land.</p>"),
        }
    )
    platform = world.platform
    platform.upstream = upstream
    platform.settings = platform.settings.model_copy(update={"resources_url": DOMAIN})
    made = Outside(world, make_broker(platform), upstream)
    made.open(rule())
    yield made
    made.written()


def title(page: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    return found[1] if found else ""
