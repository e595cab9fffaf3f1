"""From a recording to a rule in force: drafted, proposed, approved, read by a student."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from dask_platform.adapters.upstream import Page
from dask_platform.features.recorder import keeping
from dask_platform.features.recorder.jobs import sweep_now
from dask_platform.kernel.errors import UpstreamUnavailable
from tests.features.recorder.conftest import HERE, PICTURE, SITE, Office

VIA = "/_dask/via/cdn-example-com"
PAGES = ("/", "/samling/skip?id=12", "/samling/vogn", "/samling/hus")


def visited(office: Office) -> None:
    """Everything a student needs, read once."""
    for path in PAGES:
        assert office.get(path).status_code == 200
    office.get("/bilder/a.png", dest="image")
    office.get(f"{VIA}/css/stil.css", dest="style")
    office.get(f"{VIA}/css/tapet.png", dest="image")
    office.get(f"{VIA}/b.png", dest="image")
    office.get(f"{VIA}/js/app.js", dest="script")


def drafted(office: Office, status: int = 200, **said: Any) -> tuple[str, dict[str, Any]]:
    """The page with the draft, and the rule in it."""
    until = (office.world.clock.now() + timedelta(days=180)).date()
    answer = office.school.post_form(
        f"{office.here}/proposal",
        {
            "pages": ["/", "/samling/skip", "/samling/vogn", "/samling/hus"], "width": "parts",
            "profile": "reader", "rule_id": "museum", "title_nb": "Museum", "title_nn": "Museum",
            "description_nb": "Gamle ting.", "description_nn": "Gamle ting.",
            "owner": "Sikkerhet", "expires": until.isoformat(), **said,
        },
    )  # fmt: skip
    assert answer.status_code == status, answer.text
    found = re.search(r"<textarea[^>]*name=\"text\"[^>]*>(.*?)</textarea>", answer.text, re.DOTALL)
    return answer.text, yaml.safe_load(html.unescape(found[1])) if found else {}


def propose(office: Office, rule: dict[str, Any]) -> str:
    answer = office.school.post_form(
        "/whitelists/file",
        {
            "reason": "Til historie.", "place": str(office.world.id("nord")),
            "text": yaml.safe_dump(rule, allow_unicode=True),
        },
        content_type="multipart/form-data",
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    return answer.location or ""


def approve(office: Office, proposal: str) -> None:
    other = office.world.client("stein")
    assert other.post_form(f"{proposal}/approve").status_code == 303


def test_the_draft_opens_what_was_read_and_no_more(office: Office) -> None:
    office.record()
    visited(office)
    page, rule = drafted(office)
    assert rule["host"] == "skipsmuseum.no"
    assert rule["paths"] == ["/samling"]
    assert rule["only"] == ["/", "/bilder/a.png"]
    assert rule["closed"] == ["/diskusjon/skip", "/logg-inn", "/skriv", "/sok"]
    assert rule["query"] == [{"name": "id", "type": "integer", "length": 4}]
    assert rule["types"] == ["image/png", "text/html"]
    assert rule["helpers"] == [
        {
            "host": "cdn.example.com",
            "paths": ["/b.png", "/css/stil.css", "/css/tapet.png"],
            "types": ["image/png", "text/css"],
        }
    ]
    assert "forms" not in rule
    assert f"{SITE}/" in rule["examples"]["pass"]
    assert "skipsmuseum.no/sok: et skjema" in page
    kinds = [one["kind"] for one in office.world.audit()]
    assert "recording.proposed" in kinds


def test_pages_can_be_left_out_and_opened_alone(office: Office) -> None:
    office.record()
    visited(office)
    _page, rule = drafted(office, pages=["/samling/vogn"], width="pages")
    assert rule["paths"] == []
    assert rule["only"] == ["/bilder/a.png", "/samling/vogn"]


def test_another_officer_approves_and_a_student_reads(office: Office) -> None:
    office.record()
    visited(office)
    _page, rule = drafted(office)
    proposal = propose(office, rule)
    own = office.school.post_form(f"{proposal}/approve")
    assert own.status_code in (403, 409), "nobody approves an own proposal"
    approve(office, proposal)
    student = office.outside.visitor("anna", "museum")
    for path in PAGES:
        assert student.get(path, base_url=HERE).status_code == 200, path
    assert student.get("/logg-inn", base_url=HERE).status_code == 403
    assert student.get(f"{VIA}/b.png", base_url=HERE).data == PICTURE
    assert student.get(f"{VIA}/js/app.js", base_url=HERE).status_code == 403


def test_with_script_the_script_comes_along(office: Office) -> None:
    office.record()
    visited(office)
    _page, rule = drafted(office, profile="scripted")
    assert "text/javascript" in rule["helpers"][0]["types"]
    approve(office, propose(office, rule))


def test_what_is_typed_wrong_is_kept_and_told(office: Office) -> None:
    office.record()
    visited(office)
    page, _rule = drafted(office, rule_id="Ikke Bra", status=400)
    assert 'value="Ikke Bra"' in page
    page, _rule = drafted(office, pages=[], status=400)
    assert "Velg minst én side" in page


def test_nothing_read_is_no_draft(office: Office) -> None:
    office.record()
    answer = office.school.get(f"{office.here}/proposal")
    assert answer.status_code == 303


def test_a_host_that_was_not_read_has_no_draft(office: Office) -> None:
    office.record()
    visited(office)
    assert office.school.get(f"{office.here}/proposal?host=annet.no").status_code == 404
    assert office.school.get(f"{office.here}/proposal?host=skipsmuseum.no").status_code == 200


# -- copies -------------------------------------------------------------------------------------


def stored(office: Office) -> list[str]:
    return [key for key, _at in office.world.platform.files.keys("recordings/")]


def test_without_a_copy_no_byte_is_kept(office: Office) -> None:
    office.record()
    visited(office)
    assert stored(office) == []


def test_a_copy_is_made_of_what_was_read_and_shown_with_no_upstream(office: Office) -> None:
    office.record(copying="y")
    visited(office)
    assert len(stored(office)) == 9
    assert "9 svar" in office.school.get(office.here).text
    _page, rule = drafted(office, profile="frozen")
    assert rule["profile"] == "frozen"
    assert rule["copy"]["kind"] == "warc"
    _page, again = drafted(office, profile="frozen")
    assert again["copy"] == rule["copy"], "the copy is made once"
    assert office.get("/").status_code == 401, "the recording ended with its copy"
    approve(office, propose(office, rule))
    before = len(office.upstream.requests)
    student = office.outside.visitor("anna", "museum")
    page = student.get("/samling/skip?id=12", base_url=HERE)
    assert page.status_code == 200
    assert "Skip" in page.text
    assert student.get("/bilder/a.png", base_url=HERE).data == PICTURE
    assert len(office.upstream.requests) == before


def test_a_transfer_that_was_cut_is_not_kept(office: Office) -> None:
    office.upstream.pages[f"{SITE}/film.mp4"] = Page(
        b"x" * 200_000, headers={"content-type": "video/mp4"}, breaks=UpstreamUnavailable("cut")
    )
    office.record(copying="y")
    with pytest.raises(UpstreamUnavailable):
        office.get("/film.mp4", dest="video")
    gone = office.away.get("/bilder/a.png", base_url=HERE)
    gone.close()  # the browser left before the end
    assert stored(office) == []


def test_a_copy_has_its_limits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "BYTES_MOST", 1500)
    monkeypatch.setattr(keeping, "LARGEST", 150)
    office.upstream.pages[f"{SITE}/stor.png"] = Page(
        b"x" * 151, headers={"content-type": "image/png"}
    )
    office.record(copying="y")
    assert office.get("/stor.png", dest="image").status_code == 200
    assert stored(office) == []
    for path in PAGES:
        office.get(path)
    with office.world.owner() as uow:
        size = uow.scalar(text("SELECT sum(size) FROM recording_answer"))
    assert 0 < size <= 1500


def test_a_recording_with_nothing_kept_is_no_copy(office: Office) -> None:
    office.record(copying="y")
    office.get("/bilder/a.png", dest="image")
    with office.world.owner() as uow:
        uow.execute(text("DELETE FROM recording_answer"))
    visited_pages = office.get("/samling/vogn")
    assert visited_pages.status_code == 200
    with office.world.owner() as uow:
        uow.execute(text("DELETE FROM recording_answer"))
    page, _rule = drafted(office, pages=["/samling/vogn"], profile="frozen", status=400)
    assert "ikke tatt vare på noe" in page


def test_what_is_thrown_away_is_gone_with_its_bytes(office: Office) -> None:
    office.record(copying="y")
    visited(office)
    assert stored(office)
    office.school.post_form(f"{office.here}/throw")
    with office.world.owner() as uow:
        for table in ("recording", "recording_seen", "recording_answer", "recording_cookie"):
            assert uow.scalar(text(f"SELECT count(*) FROM {table}")) == 0
    jobs = [one for one in office.world.jobs() if one["task_name"] == "recorder:forget"]
    assert [one["args"]["recording"] for one in jobs] == [office.id]


def test_old_recordings_and_stray_bytes_are_swept(office: Office) -> None:
    office.record(copying="y")
    visited(office)
    office.world.clock.move(timedelta(minutes=31))
    with office.world.worker() as platform:
        sweep_now(platform)
    assert len(stored(office)) == 9
    office.world.clock.move(timedelta(days=8))
    with office.world.worker() as platform:
        sweep_now(platform)
    assert stored(office) == []
    assert office.world.client("sigrid").get(office.here).status_code in (401, 303, 404)
    with office.world.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM recording")) == 0
