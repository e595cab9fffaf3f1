"""The limits, through both doors of the broker: what is too much is said, logged and let go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import limits
from dask_platform.features.broker.limits import Allowance, Limits
from dask_platform.kernel import errors
from tests.features.broker.conftest import HERE, SITE, Outside, html, title
from tests.features.whitelists.build import rule

PICTURE = {"Sec-Fetch-Dest": "image"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE", 0.0)


@pytest.fixture
def client(outside: Outside) -> FlaskClient:
    outside.open(rule(forms=[{"path": "/finn", "fields": [{"name": "q", "type": "text"}]}]))
    pages = outside.upstream.pages
    pages[f"{SITE}/a.png"] = Page(b"x" * 300_000, headers={"content-type": "image/png"})
    pages[f"{SITE}/a.css"] = Page(b"p{color:red}", headers={"content-type": "text/css"})
    pages[f"{SITE}/a.zip"] = Page(b"x", headers={"content-type": "application/zip"})
    pages[f"{SITE}/flyttet"] = Page(b"", 302, {"location": "/norge"})
    pages[f"{SITE}/finn?q=fisk"] = html("<h1>Fisk</h1>")
    return outside.visitor("anna")


def allow(outside: Outside, **said: float) -> Limits:
    plain = {
        "at_once": 4,
        "burst": 1000,
        "per_second": 0.01,
        "texts": 20,
        "per_host": 8,
        "host_most": 9,
    }
    kept: Limits = outside.broker.extensions["dask_broker_limits"]
    kept.allowance = Allowance(**{**plain, **said})  # type: ignore[arg-type]
    kept._people.clear()
    return kept


def again(outside: Outside, client: FlaskClient, **given: object) -> TestResponse:
    return outside.get(client, "/a.png" if given else "/norge", **given)


def test_too_fast_is_said_in_plain_words(outside: Outside, client: FlaskClient) -> None:
    allow(outside, burst=2)
    assert [again(outside, client).status_code for _ in range(2)] == [200, 200]
    answer = again(outside, client)
    assert (answer.status_code, title(answer.text)) == (429, "For fort")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(outside.upstream.requests) == 2
    visit = outside.visits()[-1]
    assert (visit["allowed"], visit["reason"], visit["status"]) == (False, "rate", 429)
    assert again(outside, outside.visitor("bo")).status_code == 200, "another's limit is another's"


def test_a_picture_that_was_too_much_comes_later(outside: Outside, client: FlaskClient) -> None:
    allow(outside, burst=1)
    assert again(outside, client, headers=PICTURE).status_code == 200
    answer = again(outside, client, headers=PICTURE)
    assert (answer.status_code, answer.data) == (429, b"")
    assert answer.headers["Cache-Control"] == "no-store", "or the page would stay without it"
    assert int(answer.headers["Retry-After"]) >= 1
    allow(outside)
    assert again(outside, client, headers=PICTURE).status_code == 200


def test_a_busy_host_leaves_the_others_alone(outside: Outside, client: FlaskClient) -> None:
    held = allow(outside, host_most=1)
    film = again(outside, client, headers=PICTURE, buffered=False)
    answer = again(outside, outside.visitor("bo"))
    assert (answer.status_code, title(answer.text)) == (503, "Nettstedet er tregt")
    assert held.under_way() == 1
    film.close()
    assert held.under_way() == 0
    assert again(outside, outside.visitor("bo")).status_code == 200


def test_searching_is_limited_over_all_processes(outside: Outside, client: FlaskClient) -> None:
    """Counted in the log: another process has counted nothing here."""
    allow(outside, texts=2)
    for _ in range(2):
        assert outside.get(client, "/finn?q=fisk").status_code == 200
        outside.visits()  # the lines are written
        allow(outside, texts=2)
    answer = outside.get(client, "/finn?q=fisk")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert "Vent et minutt" in answer.text
    assert again(outside, client).status_code == 200


ENDS: dict[str, Callable[[Outside, FlaskClient], object]] = {
    "a page": lambda outside, client: outside.get(client, "/norge"),
    "no page": lambda outside, client: outside.get(client, "/mangler"),
    "a file": lambda outside, client: outside.get(client, "/a.png").data,
    "a picture in a page": lambda outside, client: outside.get(
        client, "/a.png", headers=PICTURE
    ).data,
    "styles in a page": lambda outside, client: outside.get(
        client, "/a.css", headers={"Sec-Fetch-Dest": "style"}
    ),
    "styles": lambda outside, client: outside.get(client, "/a.css"),
    "a type that is not shown": lambda outside, client: outside.get(client, "/a.zip"),
    "a redirect": lambda outside, client: outside.get(client, "/flyttet"),
    "HEAD": lambda outside, client: client.head("/norge", base_url=HERE),
    "a file that nobody reads": lambda outside, client: outside.get(
        client, "/a.png", buffered=False
    ).close(),
    "a site that fails": lambda outside, client: (
        outside.upstream.ill.update({"leksikon.no": errors.UpstreamTimeout("slow")}),
        outside.get(client, "/norge"),
        outside.get(client, "/a.png", headers=PICTURE),
    ),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_however_it_ends_it_has_ended(outside: Outside, client: FlaskClient, end: str) -> None:
    held = allow(outside, at_once=1, host_most=1)
    for _ in range(3):
        ENDS[end](outside, client)
        assert held.under_way() == 0
    outside.upstream.ill.clear()
    assert outside.get(client, "/norge").status_code == 200
