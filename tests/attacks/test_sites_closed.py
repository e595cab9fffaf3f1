"""What is closed or has to be seen, and a way around it: a recording, a form that nobody watches, a
search whose words the log has no room for."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest
from pydantic import ValidationError

from dask_platform.features.whitelists.service import stops
from tests.copies import make_zim, page
from tests.features.broker.conftest import HERE, SITE, Outside, html
from tests.features.broker.conftest import outside as outside  # the fixture
from tests.features.broker.test_frozen import HOST, frozen, put
from tests.features.recorder.conftest import Office
from tests.features.whitelists.build import rule

FORM = {"path": "/svar", "method": "POST", "fields": [{"name": "tekst", "type": "text"}]}


def stop(outside: Outside, unit: str | None) -> None:
    world = outside.world
    unit_id: UUID | None = world.id(unit) if unit else None
    with world.uow("sigrid") as uow:
        stops.stop_rule(
            uow, world.actor("sigrid"), "leksikon", unit_id, "Meldinger.", world.clock.now()
        )
        uow.commit()


@pytest.mark.parametrize("unit", [None, "nord"])
@pytest.mark.parametrize("path", ["/", "/helt/andre/sider"])
def test_a_site_that_is_stopped_is_not_recorded_instead(
    outside: Outside, unit: str | None, path: str
) -> None:
    outside.open(rule(paths=["/norge"], examples={"pass": [f"{SITE}/norge"], "refuse": [SITE]}))
    outside.upstream.pages[f"{SITE}{path}"] = html("<h1>Fram</h1>")
    office = Office(outside)
    away = office.record(f"{SITE}{path}")
    assert outside.get(away, path).status_code == 200
    stop(outside, unit)
    fetched = len(outside.upstream.requests)
    assert outside.get(away, path).status_code == 403
    assert len(outside.upstream.requests) == fetched


@pytest.mark.parametrize("profile", ["reader", "scripted"])
def test_no_form_is_sent_to_a_site_that_nobody_watches(outside: Outside, profile: str) -> None:
    """No such rule can be made; and one that has come into the database all the same opens
    nothing at all."""
    with pytest.raises(ValidationError, match="supervised"):
        rule(profile=profile, forms=[FORM])
    client = outside.visitor("anna")
    outside.open(rule(profile=profile, forms=[FORM], supervised=True))
    outside.sql(
        "INSERT INTO whitelist_version (rule_id, body, proposed_name, approved_name, reason, at)"
        " SELECT rule_id, body || '{\"supervised\": false}', 'En', 'To', 'Test', now()"
        " FROM whitelist_version ORDER BY number DESC LIMIT 1"
    )
    outside.upstream.pages[f"{SITE}/svar"] = html("Takk")
    given = {"Sec-Fetch-Site": "same-origin", "Origin": HERE}
    answer = client.post("/svar", base_url=HERE, data={"tekst": "hei"}, headers=given)
    assert answer.status_code in (403, 405)
    assert outside.upstream.requests == []


def test_nothing_pushes_the_words_of_a_search_out_of_the_log(
    outside: Outside, tmp_path: Path
) -> None:
    made = make_zim(tmp_path / "v.zim", [page("Start", "Verktøy", "<p>Hammer.</p>")], main="Start")
    examples = {"pass": ["https://verktoy.no/Start"], "refuse": ["https://verktoy.no:81/"]}
    outside.open(frozen(put(outside, made), closed=[], examples=examples))
    client = outside.visitor("anna", "verktoy")
    words = "hvem er her nå"
    long = f"/_dask/search?fyll={'x' * 2500}&q={quote(words)}"
    assert outside.get(client, long, HOST).status_code == 200
    (visit,) = outside.visits()
    assert str(visit["url"]).endswith("/_dask/search?q=hvem+er+her+n%C3%A5")
    assert visit["typed"]
