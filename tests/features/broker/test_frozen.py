"""A frozen site: its pages, pictures and films come from an approved copy and nowhere else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from dask_platform.features.broker import deciding
from dask_platform.features.whitelists.service.copies import COPIES
from tests.copies import PNG, File, captured, make_warc, make_zim, page
from tests.features.broker.conftest import Outside, title
from tests.features.whitelists.build import rule
from tests.features.whitelists.office import Office

HOST = "http://verktoy-no.ressurs.localhost:8000"
SITE = "https://verktoy.no"
FILM = bytes(range(256)) * 2000
FILES = (
    page(
        "Start", "Verktøy",
        '<p><a href="Hammer">Hammer</a> <a href="/stengt/Hemmelig">Hemmelig</a>'
        ' <a href="https://ukjent.no/x">Ute</a></p><img src="bilder/hammer.png" alt="Hammer">'
        '<script>alert(1)</script><link rel="stylesheet" href="stil.css">',
    ),
    page("Hammer", "Hammer", "<p>En hammer slår spiker i treverk.</p>"),
    page("stengt/Hemmelig", "Hemmelig", "<p>Om hammer også.</p>"),
    File("bilder/hammer.png", PNG, "image/png"),
    File("stil.css", b"p { color: red; background: url(https://ukjent.no/x.png) }", "text/css"),
    File("film.webm", FILM, "video/webm"),
    File("hefte.pdf", b"%PDF-1.4 hefte", "application/pdf"),
    File("skript.js", b"alert(1)", "text/javascript"),
    File("luring", b"<script>alert(1)</script>", "image/png\r\nX: y"),
)  # fmt: skip


def put(outside: Outside, path: Path) -> dict[str, str]:
    """Put the file into the store; what a rule says of it."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("rb") as stream:
        outside.world.platform.files.put(
            COPIES + sha256, stream, size=path.stat().st_size, sha256=sha256
        )
    return {"sha256": sha256, "kind": path.suffix[1:]}


def frozen(copy: dict[str, str] | None, **said: Any) -> Any:
    return rule(
        **{
            "id": "verktoy", "host": "verktoy.no", "profile": "frozen", "copy": copy,
            "closed": ["/stengt"],
            "examples": {"pass": [f"{SITE}/Start"], "refuse": [f"{SITE}/stengt/Hemmelig"]},
            **said,
        }
    )  # fmt: skip


@pytest.fixture
def copy(outside: Outside, tmp_path: Path) -> dict[str, str]:
    made = make_zim(tmp_path / "v.zim", FILES, main="Start", redirects=[("Klubbe", "Hammer")])
    return put(outside, made)


@pytest.fixture
def client(outside: Outside, copy: dict[str, str]) -> FlaskClient:
    outside.open(frozen(copy))
    return outside.visitor("anna", "verktoy")


def at(outside: Outside, client: FlaskClient, path: str, **given: object) -> Any:
    return outside.get(client, path, HOST, **given)


def test_a_page_comes_cleaned_and_nothing_is_fetched(outside: Outside, client: FlaskClient) -> None:
    answer = at(outside, client, "/Start")
    assert answer.status_code == 200
    assert title(answer.text) == "Verktøy"
    assert "alert(1)" not in answer.text
    assert 'href="/Hammer"' in answer.text
    assert 'src="/bilder/hammer.png"' in answer.text
    assert at(outside, client, "/bilder/hammer.png").data == PNG
    assert outside.upstream.requests == [], "a frozen site is never asked anything"


def test_the_front_page_leads_to_the_first_page_of_the_copy(
    outside: Outside, client: FlaskClient
) -> None:
    assert at(outside, client, "/").location == "/Start"
    assert at(outside, client, "/Klubbe").location == "/Hammer"


def test_what_the_rule_closes_stays_closed_though_the_copy_has_it(
    outside: Outside, client: FlaskClient
) -> None:
    assert at(outside, client, "/stengt/Hemmelig").status_code == 403
    text = at(outside, client, "/Start").text
    assert 'href="/stengt/Hemmelig"' not in text


def test_a_style_sheet_is_cleaned(outside: Outside, client: FlaskClient) -> None:
    answer = at(outside, client, "/stil.css")
    assert answer.mimetype == "text/css"
    assert "color" in answer.text
    assert "ukjent.no" not in answer.text


@pytest.mark.parametrize("path", ["/skript.js", "/luring"])
def test_script_and_files_with_a_false_type_are_not_shown(
    outside: Outside, client: FlaskClient, path: str
) -> None:
    answer = at(outside, client, path)
    assert answer.status_code == 403
    assert "X" not in answer.headers
    assert outside.visits()[-1]["reason"] == "type"


def test_a_page_that_is_not_in_the_copy_is_said_to_be_missing(
    outside: Outside, client: FlaskClient
) -> None:
    answer = at(outside, client, "/Sag")
    assert answer.status_code == 404
    assert "kopi" in answer.text
    assert outside.visits()[-1]["status"] == 404
    assert outside.upstream.requests == []


@pytest.mark.parametrize(
    ("asked", "status", "said", "body"),
    [
        ("bytes=0-9", 206, f"bytes 0-9/{len(FILM)}", FILM[:10]),
        ("bytes=511990-", 206, f"bytes 511990-511999/{len(FILM)}", FILM[511990:]),
        ("bytes=600000-", 416, f"bytes */{len(FILM)}", b""),
        ("bytes=5-2", 200, None, FILM),
    ],
)
def test_a_film_comes_in_parts(
    outside: Outside, client: FlaskClient, asked: str, status: int, said: str | None, body: bytes
) -> None:
    answer = at(outside, client, "/film.webm", headers={"Range": asked})
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, said)
    assert answer.data == body
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.mimetype == "video/webm"


def test_a_paper_is_saved_under_its_name(outside: Outside, client: FlaskClient) -> None:
    answer = at(outside, client, "/hefte.pdf")
    assert answer.data == b"%PDF-1.4 hefte"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_a_file_over_the_rules_limit_does_not_come(outside: Outside, copy: dict[str, str]) -> None:
    outside.open(frozen(copy, largest=1024))
    client = outside.visitor("anna", "verktoy")
    assert at(outside, client, "/film.webm").status_code == 502


def test_each_request_stands_in_the_log(outside: Outside, client: FlaskClient) -> None:
    at(outside, client, "/Hammer")
    last = outside.visits()[-1]
    assert (last["url"], last["rule_id"], last["status"], last["allowed"]) == (
        f"{SITE}/Hammer", "verktoy", 200, True
    )  # fmt: skip
    assert isinstance(last["size"], int)
    assert last["size"] > 100


def test_a_stop_cuts_a_film_in_the_middle(
    outside: Outside, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    answer = at(outside, client, "/film.webm", buffered=False)
    chunks = answer.iter_encoded()
    first = next(chunks)
    Office(outside.world).stop("sigrid", "stop_rule", "verktoy", None)
    with pytest.raises(Exception, match="stopped"):
        list(chunks)
    answer.close()
    assert 0 < len(first) < len(FILM)
    last = outside.visits()[-1]
    assert last["reason"] == "UpstreamStopped"
    assert at(outside, client, "/Hammer").status_code == 403


# -- without a copy -------------------------------------------------------------------------------


def test_a_frozen_rule_without_a_copy_is_closed(outside: Outside) -> None:
    outside.open(frozen(None))
    client = outside.visitor("anna", "verktoy")
    assert at(outside, client, "/Start").status_code == 403
    assert outside.visits()[-1]["reason"] == "frozen"
    assert outside.upstream.requests == []


def test_a_copy_that_is_not_in_the_store_shows_nothing(outside: Outside) -> None:
    outside.open(frozen({"sha256": "0" * 64, "kind": "zim"}))
    client = outside.visitor("anna", "verktoy")
    answer = at(outside, client, "/Start")
    assert answer.status_code == 502
    assert outside.upstream.requests == []


def test_bytes_that_are_others_than_those_approved_are_not_opened(
    outside: Outside, copy: dict[str, str]
) -> None:
    # The store hands out what is under the key; nothing here believes it.
    store = outside.world.platform.files
    data = b"".join(store.open(COPIES + copy["sha256"]))
    changed = data[:-40] + b"\0" * 40

    class Liar:
        def open(self, _key: str) -> Any:
            return iter([changed])

    outside.open(frozen(copy))
    client = outside.visitor("anna", "verktoy")
    outside.world.platform.files = Liar()  # type: ignore[assignment]
    answer = at(outside, client, "/Start")
    assert answer.status_code == 502
    folder = outside.world.platform.settings.home / "copies"
    assert not (folder / copy["sha256"]).exists()


# -- searching ------------------------------------------------------------------------------------


def test_searching_finds_open_pages_alone_and_stands_in_the_log(
    outside: Outside, client: FlaskClient
) -> None:
    answer = at(outside, client, "/_dask/search?q=hammer")
    assert answer.status_code == 200
    assert 'href="/Hammer"' in answer.text
    assert "Hemmelig" not in answer.text, "a closed page is not even named"
    last = outside.visits()[-1]
    assert (last["url"], last["typed"], last["allowed"], last["rule_id"]) == (
        f"{SITE}/_dask/search?q=hammer", True, True, "verktoy"
    )  # fmt: skip
    assert outside.upstream.requests == []


def test_the_bar_has_a_search_field_where_the_copy_can_be_searched(
    outside: Outside, client: FlaskClient, tmp_path: Path
) -> None:
    assert 'action="/_dask/search"' in at(outside, client, "/Hammer").text
    plain = make_zim(tmp_path / "p.zim", FILES[:2], main="Start", index=False)
    warc = make_warc(tmp_path / "w.warc", [captured(f"{SITE}/Start")])
    outside.open(frozen(put(outside, warc)))
    assert 'action="/_dask/search"' not in at(outside, client, "/Start").text
    assert at(outside, client, "/_dask/search?q=hammer").status_code == 403
    outside.open(frozen(put(outside, plain)))
    assert at(outside, client, "/Start").status_code == 200


@pytest.mark.parametrize("words", ["", "%20", "zzzz", "%01", "*", "AND%20OR%20(", "å" * 300])
def test_any_words_can_be_searched_for(outside: Outside, client: FlaskClient, words: str) -> None:
    answer = at(outside, client, f"/_dask/search?q={words}")
    assert answer.status_code == 200
    assert "<script" not in answer.text


def test_words_are_shown_as_words(outside: Outside, client: FlaskClient) -> None:
    answer = at(outside, client, "/_dask/search?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_nobody_searches_a_site_that_is_stopped_or_not_frozen(
    outside: Outside, client: FlaskClient
) -> None:
    plain = outside.visitor("bo", "leksikon")
    assert outside.get(plain, "/_dask/search?q=norge").status_code == 403
    Office(outside.world).stop("sigrid", "stop_rule", "verktoy", None)
    answer = at(outside, client, "/_dask/search?q=hammer")
    assert answer.status_code == 403
    assert outside.visits()[-1]["reason"] == "stopped"


# -- WARC -----------------------------------------------------------------------------------------


def test_a_captured_copy_is_shown_the_same_way(outside: Outside, tmp_path: Path) -> None:
    made = make_warc(
        tmp_path / "w.warc",
        [
            captured(f"{SITE}/Start", page("", "Verktøy", '<a href="/b?side=2">Mer</a>').body),
            captured(f"{SITE}/b?side=2", page("", "Mer", "<p>Side to</p>").body),
            captured(f"{SITE}/bilde.png", PNG, "image/png"),
            captured(f"{SITE}/film.webm", FILM, "video/webm"),
            captured(f"{SITE}/gammel", b"", status=301, location="/Start"),
        ],
    )
    number = {"name": "side", "type": "integer"}
    outside.open(frozen(put(outside, made), query=[number]))
    client = outside.visitor("anna", "verktoy")
    assert at(outside, client, "/").location == "/Start"
    assert at(outside, client, "/gammel").location == "/Start"
    assert 'href="/b?side=2"' in at(outside, client, "/Start").text
    assert title(at(outside, client, "/b?side=2").text) == "Mer"
    assert at(outside, client, "/b?side=3").status_code == 404
    assert at(outside, client, "/bilde.png").data == PNG
    part = at(outside, client, "/film.webm", headers={"Range": "bytes=1000-1009"})
    assert (part.status_code, part.data) == (206, FILM[1000:1010])
    assert outside.upstream.requests == []


def test_the_rule_as_it_is_kept_names_the_copy() -> None:
    said = frozen({"sha256": "ab" * 32, "kind": "warc"})
    assert json.loads(said.model_dump_json(by_alias=True))["copy"] == {
        "sha256": "ab" * 32, "kind": "warc",
    }  # fmt: skip
