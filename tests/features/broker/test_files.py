"""The door for what stands in a page: the same decisions as for pages, without the application."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import deciding, passes, visit_log
from dask_platform.features.broker.files import WANTED
from dask_platform.features.broker.visit_log import VisitLog
from dask_platform.features.whitelists.service import stops
from dask_platform.kernel.errors import UpstreamTimeout
from tests.features.broker.conftest import SITE, Outside, html
from tests.features.whitelists.build import rule

HELPER = "https://bilder.no"
RULE: dict[str, Any] = {
    "closed": ["/stengt"],
    "helpers": [{"host": "bilder.no", "paths": ["/p"], "types": ["image/png"]}],
}


def typed(mime: str, data: bytes = b"data", **more: str) -> Page:
    return Page(data, headers={"content-type": mime, **more})


@pytest.fixture
def client(outside: Outside) -> FlaskClient:
    outside.open(rule(**RULE))
    outside.upstream.pages.update(
        {
            f"{SITE}/a.png": typed("image/png"),
            f"{SITE}/a.css": typed("text/css", b"p { color: red } @import 'https://ute.no/x.css';"),
            f"{SITE}/a.mp4": typed("video/mp4", bytes(range(100))),
            f"{SITE}/a.js": typed("text/javascript", b"alert(1)"),
            f"{SITE}/stengt/a.png": typed("image/png"),
            f"{HELPER}/p/b.png": typed("image/png", b"hjelper"),
        }
    )
    return outside.visitor("anna")


def log(outside: Outside) -> VisitLog:
    found: VisitLog = outside.broker.extensions["dask_broker_log"]
    return found


def ask(
    outside: Outside, client: FlaskClient, path: str, dest: str = "image", **headers: str
) -> TestResponse:
    """As a browser asks for a part of a page. What was logged is written before this returns."""
    given = {"Sec-Fetch-Dest": dest, **{k.replace("_", "-"): v for k, v in headers.items()}}
    answer = outside.get(client, path, headers=given)
    _ = answer.data
    log(outside).flush()
    return answer


def by_door(answer: TestResponse) -> bool:
    """The application numbers its requests; the door does not."""
    return "X-Request-Id" not in answer.headers


@pytest.mark.parametrize("dest", sorted(WANTED))
def test_a_picture_comes_by_the_door_and_is_logged(
    outside: Outside, client: FlaskClient, dest: str
) -> None:
    answer = ask(outside, client, "/a.png", dest)
    assert by_door(answer)
    assert (answer.status_code, answer.data) == (200, b"data")
    (visit,) = outside.visits()
    assert (visit["url"], visit["allowed"], visit["status"], visit["size"]) == (
        f"{SITE}/a.png", True, 200, 4,
    )  # fmt: skip
    assert visit["person_id"] == outside.world.id("anna")


@pytest.mark.parametrize("dest", ["", "document", "empty", "iframe", "script", "worker", "IMAGE"])
def test_anything_else_goes_to_the_application(
    outside: Outside, client: FlaskClient, dest: str
) -> None:
    assert not by_door(ask(outside, client, "/a.png", dest))


def test_the_same_headers_as_from_the_application(outside: Outside, client: FlaskClient) -> None:
    given = dict(ask(outside, client, "/a.png").headers)
    other = dict(outside.get(client, "/a.png").headers)
    other.pop("X-Request-Id")
    assert given == other


def test_a_helpers_file(outside: Outside, client: FlaskClient) -> None:
    answer = ask(outside, client, "/_dask/via/bilder-no/p/b.png")
    assert by_door(answer)
    assert answer.data == b"hjelper"


def test_a_part_of_a_film(outside: Outside, client: FlaskClient) -> None:
    answer = ask(outside, client, "/a.mp4", "video", Range="bytes=10-19")
    assert by_door(answer)
    assert (answer.status_code, answer.data) == (206, bytes(range(10, 20)))


def test_a_sheet_is_cleaned(outside: Outside, client: FlaskClient) -> None:
    answer = ask(outside, client, "/a.css", "style")
    assert by_door(answer)
    assert "color" in answer.text
    assert "ute.no" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"), [("/norge", 403), ("/a.js", 403), ("/mangler.png", 404)]
)
def test_what_is_no_picture_is_none(
    outside: Outside, client: FlaskClient, path: str, status: int
) -> None:
    answer = ask(outside, client, path)
    assert (answer.status_code, answer.data, by_door(answer)) == (status, b"", True)
    (visit,) = outside.visits()
    assert visit["status"] in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/stengt/a.png", "/a.png?x=1", "/../a.png", "/%2e%2e/a.png", "//a.png",
        "/_dask/via/bilder-no/q.png", "/_dask/via/atlas-no/a.png", "/_dask/via/leksikon-no/a.png",
        "/_dask/go?to=https://leksikon.no/", "/_dask/enter?ticket=x", "/%5fdask/via/bilder-no/p/b",
        "/_dask/via/bilder-no", "/_dask/via//p/b.png",
    ],
)  # fmt: skip
def test_what_is_not_open_goes_to_the_application_which_says_no(
    outside: Outside, client: FlaskClient, path: str
) -> None:
    answer = ask(outside, client, path)
    assert not by_door(answer)
    assert answer.status_code >= 300
    assert outside.upstream.requests == []


def test_nobody_comes_in_without_a_session(outside: Outside, client: FlaskClient) -> None:
    stranger = outside.broker.test_client()
    answer = ask(outside, stranger, "/a.png")
    assert answer.status_code == 401
    for cookie in ("dask-site=", "dask-site=x", f"dask-site={'a' * 43}"):
        assert ask(outside, stranger, "/a.png", Cookie=cookie).status_code == 401


def test_a_token_is_good_on_its_own_host_alone(outside: Outside, client: FlaskClient) -> None:
    cookie = client.get_cookie("dask-site", domain="leksikon-no.ressurs.localhost")
    assert cookie is not None
    outside.open(rule(id="atlas", host="atlas.no"))
    answer = client.get(
        "/a.png", base_url="http://atlas-no.ressurs.localhost:8000",
        headers={"Sec-Fetch-Dest": "image", "Cookie": f"dask-site={cookie.value}"},
    )  # fmt: skip
    assert answer.status_code == 401


def test_a_stop_holds_as_soon_as_a_pass_has_run_out(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    assert by_door(ask(outside, client, "/a.png"))
    world = outside.world
    with world.uow("sigrid") as uow:
        stops.stop_rule(
            uow, world.actor("sigrid"), "leksikon", world.id("nord"), "Nå.", world.clock.now()
        )
    answer = ask(outside, client, "/a.png")
    assert answer.status_code == 403
    assert outside.visits()[-1]["reason"] == "stopped"


def test_hours_are_those_of_the_request_and_not_of_the_pass(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 3600.0)
    outside.open(
        rule(**RULE, expires=(outside.world.clock.now() + timedelta(days=1)).date().isoformat())
    )
    assert ask(outside, client, "/a.png").status_code == 200
    outside.world.clock.move(timedelta(days=3))
    answer = ask(outside, client, "/a.png")
    assert not by_door(answer)


def test_a_fault_of_the_way_is_logged(outside: Outside, client: FlaskClient) -> None:
    outside.upstream.ill["leksikon.no"] = UpstreamTimeout("ring 5551")
    answer = ask(outside, client, "/a.png")
    assert (answer.status_code, answer.data) == (502, b"")
    (visit,) = outside.visits()
    assert (visit["reason"], visit["status"]) == ("UpstreamTimeout", 502)


def test_a_picture_that_has_moved(outside: Outside, client: FlaskClient) -> None:
    def moved(to: str) -> Page:
        return Page(b"", 302, {"location": to})

    outside.upstream.pages.update(
        {
            f"{SITE}/1": moved("/a.png"),
            f"{SITE}/2": moved(f"{HELPER}/p/b.png"),
            f"{SITE}/3": moved("https://ute.no/a.png"),
            f"{SITE}/4": moved("http://[::1"),
        }
    )
    assert ask(outside, client, "/1").location == "/a.png"
    assert ask(outside, client, "/2").location == "/_dask/via/bilder-no/p/b.png"
    for path in ("/3", "/4"):
        answer = ask(outside, client, path)
        assert answer.status_code == 403
        assert answer.location is None
    assert [one["allowed"] for one in outside.visits()].count(False) == 2


def test_cookies_of_the_site_come_from_the_jar(outside: Outside, client: FlaskClient) -> None:
    outside.upstream.pages[f"{SITE}/norge"] = html("x")
    outside.upstream.pages[f"{SITE}/setter"] = Page(
        b"<p>x", 200, {"content-type": "text/html"}, ("a=1; Path=/",)
    )
    outside.get(client, "/setter")
    ask(outside, client, "/a.png")
    assert outside.upstream.requests[-1].cookie == "a=1"


# -- the log ------------------------------------------------------------------------------------


def test_a_line_waits_for_the_database_and_none_is_lost(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = log(outside)

    def away(*_given: object) -> None:
        raise OperationalError("away", {}, Exception())

    with monkeypatch.context() as patch:
        patch.setattr(written, "_write", away)
        with pytest.raises(OperationalError):
            ask(outside, client, "/a.png")
    assert [one["url"] for one in outside.visits()] == [f"{SITE}/a.png"]


def test_what_cannot_be_written_down_is_not_shown(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit_log, "MOST", 0)
    monkeypatch.setattr(visit_log, "PATIENCE", 0.05)
    answer = outside.get(client, "/a.png", headers={"Sec-Fetch-Dest": "image"})
    assert answer.status_code == 502
    assert outside.upstream.requests == []


def test_a_line_that_can_never_be_written_holds_no_other(
    outside: Outside, client: FlaskClient
) -> None:
    outside.get(client, "/a.png", headers={"Sec-Fetch-Dest": "image"}).close()
    outside.visitor("bo")
    outside.get(client, "/a.mp4", headers={"Sec-Fetch-Dest": "video"}).close()
    lines = log(outside)._lines
    if lines:
        actor, visit = lines[0]
        lines.insert(0, (actor, type(visit)(visit.at, "x", "GET", True, "x" * 99)))
    log(outside).flush()
    assert {one["url"] for one in outside.visits()} >= {f"{SITE}/a.png", f"{SITE}/a.mp4"}


def test_passes_that_have_run_out_are_thrown_away(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has served many students keeps the passes of those who are there."""
    monkeypatch.setattr(passes, "MOST", 2)
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    kept = passes.Passes(outside.world.platform)
    token = client.get_cookie("dask-site", domain="leksikon-no.ressurs.localhost")
    assert token is not None
    for number in range(5):
        assert kept.of(token.value, "leksikon.no", f"127.0.0.{number + 1}") is not None
    assert len(kept._kept) <= 2
    monkeypatch.setattr(deciding, "ASK_AGAIN", 60.0)
    held = kept.of(token.value, "leksikon.no", "127.0.0.1")
    assert kept.of(token.value, "leksikon.no", "127.0.0.1") is held
