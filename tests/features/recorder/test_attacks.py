"""What a recording must never be: a student's way out, another host's key, a way inside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import deciding
from dask_platform.features.recorder import tickets
from dask_platform.features.whitelists.rules import Rule
from dask_platform.features.whitelists.service import stops
from dask_platform.kernel.errors import Closed, UpstreamStopped
from tests.features.recorder.conftest import HERE, SITE, Office
from tests.features.whitelists.build import rule

ELSEWHERE = "http://annet-no.ressurs.localhost:8000"


def shut(office: Office, path: str = "/samling/vogn", host: str = HERE) -> bool:
    """Whether nothing is fetched."""
    before = len(office.upstream.requests)
    answer = office.get(path, host)
    return len(office.upstream.requests) == before and answer.status_code in (401, 403, 404)


@pytest.mark.parametrize("who", ["anna", "tora", "odd", "olga"])
def test_nobody_but_security_starts_or_sees_one(office: Office, who: str) -> None:
    office.record()
    client = office.world.client(who)
    said = {"address": f"{SITE}/", "reason": "Vil ut."}
    assert client.post_form("/whitelists/record", said).status_code == 404
    for path in ("", "/open", "/proposal"):
        assert client.get(f"{office.here}{path}").status_code == 404
    for path in ("/end", "/throw", "/proposal"):
        assert client.post_form(f"{office.here}{path}").status_code == 404
    assert office.get("/").status_code == 200


def test_another_officer_has_no_part_in_it(office: Office) -> None:
    office.record()
    other = office.world.client("stein")
    assert other.get(office.here).status_code == 404
    assert other.get(f"{office.here}/open").status_code == 404
    assert other.post_form(f"{office.here}/end").status_code == 404
    assert "skipsmuseum.no" not in other.get("/whitelists/record").text


def test_a_students_session_opens_nothing_more_beside_a_recording(office: Office) -> None:
    office.record()
    student = office.outside.visitor("anna")
    answer = student.get("/", base_url=HERE)
    assert answer.status_code == 401
    go = student.get(f"/_dask/go?to={SITE}/", base_url="http://leksikon-no.ressurs.localhost:8000")
    assert go.status_code == 403


def test_a_student_cannot_make_a_ticket_of_somebodys_recording(office: Office) -> None:
    office.record()
    anna = office.world.actor("anna")
    with office.world.uow("anna") as uow, pytest.raises(Closed):
        tickets.issue(uow, anna, UUID(office.id), "skipsmuseum.no", office.world.clock.now())


def test_a_ticket_is_good_once_soon_and_for_one_host(office: Office) -> None:
    office.start()
    first = office.ticket()
    assert office.follow(first.replace("skipsmuseum-no", "annet-no")).status_code == 401
    assert office.follow(first).status_code == 303
    assert office.broker.test_client().get(first).status_code == 401
    late = office.ticket()
    office.world.clock.move(timedelta(seconds=31))
    assert office.follow(late).status_code == 401


def test_a_token_is_of_no_use_on_another_host(office: Office) -> None:
    office.record()
    token = office.away.get_cookie("dask-site", domain="skipsmuseum-no.ressurs.localhost")
    assert token is not None
    office.away.set_cookie("dask-site", token.value, domain="annet-no.ressurs.localhost")
    assert shut(office, "/side", ELSEWHERE)


def ended(office: Office) -> None:
    assert office.school.post_form(f"{office.here}/end").status_code == 303


def thrown_away(office: Office) -> None:
    assert office.school.post_form(f"{office.here}/throw").status_code == 303


def over(office: Office) -> None:
    office.world.clock.move(timedelta(minutes=30))


def logged_out(office: Office) -> None:
    assert office.school.post_form("/logout").status_code == 303


def role_ended(office: Office) -> None:
    office.outside.sql(
        "UPDATE staff_role SET ends_at = now() - interval '1 minute' WHERE person_id = :person",
        person=office.world.id("sigrid"),
    )


def account_closed(office: Office) -> None:
    office.outside.sql(
        "UPDATE person SET active = false WHERE id = :person", person=office.world.id("sigrid")
    )


def unit_stopped(office: Office) -> None:
    with office.world.uow("stein") as uow:
        stops.stop_unit(
            uow, office.world.actor("stein"), office.world.id("nord"), "Alt.",
            office.world.clock.now(),
        )  # fmt: skip


def denied(office: Office) -> None:
    office.outside.open(deny())


def deny(host: str = "skipsmuseum.no", **said: object) -> Rule:
    examples = {"refuse": [f"https://{host}/"]}
    return rule(id="stengt", host=host, effect="deny", examples=examples, **said)


ENDINGS = [
    ended, thrown_away, over, logged_out, role_ended, account_closed, unit_stopped, denied,
]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_ends_with_what_it_stands_on(office: Office, ending: Callable[[Office], None]) -> None:
    office.record()
    assert not shut(office)
    ending(office)
    assert shut(office)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_transfer_under_way_is_cut(
    office: Office, ending: Callable[[Office], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    office.upstream.pages[f"{SITE}/film.mp4"] = Page(
        b"x" * 64 * 1024 * 4, headers={"content-type": "video/mp4"}
    )
    office.record(copying="y")
    answer = office.away.get("/film.mp4", base_url=HERE, buffered=False)
    chunks = answer.iter_encoded()
    assert next(iter(chunks))
    ending(office)
    with pytest.raises(UpstreamStopped):
        for _chunk in chunks:
            pass
    assert [key for key, _at in office.world.platform.files.keys("recordings/")] == []


def test_what_one_unit_denies_nobody_records(office: Office) -> None:
    office.outside.open(deny(scope={"units": ["sor"]}))
    answer = office.start()
    assert answer.status_code == 403
    assert "holdes stengt" in answer.text


@pytest.mark.parametrize(
    "address",
    ["http://localhost:8000/", "https://ressurs.localhost/", "https://a.ressurs.localhost/"],
)
def test_the_platforms_own_names_are_no_site(office: Office, address: str) -> None:
    assert office.start(address).status_code in (400, 403)


def test_our_own_doors_are_no_site_either(office: Office) -> None:
    office.record()
    office.upstream.pages[f"{SITE}/_dask/enter"] = Page(b"x")
    assert (
        office.get("/_dask/go?to=https%3A%2F%2Fskipsmuseum.no%2F_dask%2Fenter").status_code == 403
    )
    assert office.get(f"/_dask/go?to={ELSEWHERE}/").status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_is_sent(office: Office, method: str) -> None:
    office.record()
    before = len(office.upstream.requests)
    answer = office.away.open(
        "/skriv", method=method, base_url=HERE, data={"t": "hei"},
        headers={"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    assert answer.status_code in (400, 403, 404, 405)
    assert len(office.upstream.requests) == before


def test_no_service_worker_is_fetched(office: Office) -> None:
    office.record()
    before = len(office.upstream.requests)
    answer = office.away.get("/sw.js", base_url=HERE, headers={"Service-Worker": "script"})
    assert answer.status_code == 403
    assert len(office.upstream.requests) == before


def test_a_page_is_never_shown_under_another_host(office: Office) -> None:
    office.record()
    assert office.get("/_dask/via/annet-no/side", dest="document").status_code == 404


def test_a_redirect_is_decided_afresh(office: Office) -> None:
    office.outside.open(deny("hemmelig.no"))
    for path, there in (
        ("/inn", "https://127.0.0.1/"), ("/http", "http://ressurs.localhost/"),
        ("/stengt", "https://hemmelig.no/"), ("/port", f"{SITE}:8443/"),
    ):  # fmt: skip
        office.upstream.pages[f"{SITE}{path}"] = Page(status=302, headers={"location": there})
    office.record()
    for path in ("/inn", "/http", "/stengt", "/port"):
        assert office.get(path).status_code == 403, path
    hosts = {one.url.split("/")[2] for one in office.upstream.requests}
    assert hosts == {"skipsmuseum.no"}


def test_a_recordings_cookie_never_becomes_a_students(office: Office) -> None:
    office.upstream.pages[f"{SITE}/"] = Page(
        b"<h1>M</h1>", headers={"content-type": "text/html"}, set_cookies=("hvem=sigrid",)
    )
    office.record()
    office.get("/")
    office.outside.open(
        rule(
            id="museum",
            host="skipsmuseum.no",
            examples={"pass": [f"{SITE}/"], "refuse": ["https://x.no/"]},
        )
    )
    student = office.outside.visitor("anna", "museum")
    student.get("/", base_url=HERE)
    assert office.upstream.requests[-1].cookie is None
    with office.world.owner() as uow:
        owners = uow.scalars(text("SELECT DISTINCT person_id FROM site_cookie")).all()
    assert owners in ([], [office.world.id("anna")])
