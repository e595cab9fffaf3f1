"""From the school to a site and back: tickets, sessions, and what is decided afresh."""

from __future__ import annotations

from tests.features.broker.conftest import SITE, Outside


def test_a_student_opens_an_approved_site(outside: Outside) -> None:
    client = outside.visitor("anna")
    page = outside.get(client, "/norge")
    assert page.status_code == 200
    assert "Et langt land." in page.text
    assert [one.url for one in outside.upstream.requests] == [f"{SITE}/norge"]
    (visit,) = outside.visits()
    assert (visit["url"], visit["allowed"], visit["rule_id"]) == (f"{SITE}/norge", True, "leksikon")
    assert visit["person_id"] == outside.world.id("anna")
