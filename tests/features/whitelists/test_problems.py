"""What is wrong with a rule: English on the command line, the reader's language on the pages."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dask_platform.features.whitelists.cli import whitelist
from dask_platform.features.whitelists.rules import Fault
from dask_platform.kernel.yaml_reader import Problem
from tests.features.whitelists.build import PLAIN
from tests.features.whitelists.office import Office, good
from tests.world import World

FAULTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"ukjent": 1}, "ukjent: There is no such field.", "ukjent: Det finnes ikke noe slikt felt.",
     "ukjent: Det finst ikkje noko slikt felt."),
    ({"paths": ["katt"]}, "paths: A path begins with /.", "paths: En sti begynner med /.",
     "paths: Ein sti byrjar med /."),
    ({"query": [{"name": "url", "type": "text"}]},
     "query.0: A parameter named url tells many sites where to go to. It stays closed.",
     "En parameter som heter url, sier til mange nettsteder", "Ein parameter som heiter url"),
    ({"query": [{"name": "_dask_token", "type": "text"}]},
     "Names that begin with _dask_ are the platform's own.", "Navn som begynner med _dask_",
     "Namn som byrjar med _dask_"),
    ({"longest": 0}, "longest: Input should be greater than or equal to 1.", "longest:",
     "longest:"),
    ({"expires": "2099-01-01"}, "It expires 2099-01-01. Two years ahead is the most.",
     "Den går ut 2099-01-01. To år fram er det meste.", "Han går ut 2099-01-01."),
    ({"host": "1eksikon.no", "id": "felle", "examples": {
        "pass": ["https://1eksikon.no/"], "refuse": ["https://1eksikon.no:1/"]}},
     "1eksikon.no is easily taken for leksikon.no.",
     "1eksikon.no er lett å forveksle med leksikon.no.", "1eksikon.no er lett å forveksle"),
    ({"paths": ["/katt"]}, "https://leksikon.no/ should pass, and is refused: path.",
     "https://leksikon.no/ skulle være åpen, men er stengt: denne delen av nettstedet er ikke",
     "https://leksikon.no/ skulle vere open, men er stengd:"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "english", "bokmål", "nynorsk"), FAULTS)
def test_a_file_with_a_fault(
    world: World, tmp_path: Path, said: dict[str, Any], english: str, bokmål: str, nynorsk: str
) -> None:
    body = {**PLAIN, **said}
    if body["id"] != PLAIN["id"]:
        Office(world).load(good(world))
    (tmp_path / "national").mkdir()
    (tmp_path / "national" / f"{body['id']}.yaml").write_text(json.dumps(body))
    if body["id"] != PLAIN["id"]:
        (tmp_path / "national" / "leksikon.yaml").write_text(json.dumps(PLAIN))
    done = CliRunner().invoke(whitelist, ["check", str(tmp_path)])
    assert done.exit_code == 1
    assert english in done.stderr
    for locale, words in (("nb", bokmål), ("nn", nynorsk), ("en", english.partition(": path")[0])):
        client = world.client("sigrid")
        with world.connect("dask_owner") as owner:
            owner.execute(
                "UPDATE person SET locale = %s WHERE id = %s", [locale, world.id("sigrid")]
            )
        form = {"place": "", "text": json.dumps(body), "reason": "Trengs."}
        answer = client.post_form("/whitelists/file", form)
        assert answer.status_code in (400, 409)
        assert words in unescape(answer.text), locale


def test_a_fault_is_an_error_of_values_and_reads_as_one() -> None:
    plain, filled = Fault("No %, no ?."), Fault("The %(what)s.", what="host")
    assert (str(plain), str(filled)) == ("No %, no ?.", "The host.")
    assert isinstance(plain, ValueError)


def test_problems_that_differ_in_what_they_name_are_two() -> None:
    """What was wrong before is not laid at a change's door; what is new is."""
    first = Problem("a", 1, "The id %(id)s.", params=(("id", "x"),))
    other = Problem("a", 1, "The id %(id)s.", params=(("id", "y"),))
    assert first != other
    assert sorted([other, first]) == [first, other]
    assert str(first) == "a:1: The id x."


def test_finding_a_rule(world: World) -> None:
    office = Office(world)
    office.load(good(world), good(world, id="kart", host="kart.no", title={
        "nb": "Kart over Norge", "nn": "Kart over Noreg", "en": "Maps"}, examples={
        "pass": ["https://kart.no/"], "refuse": ["https://kart.no:1/"]}))  # fmt: skip
    client = world.client("sigrid")
    for asked, found in (
        ("", {"leksikon", "kart"}), ("KART", {"kart"}), ("norge kart", {"kart"}),
        ("maps", {"kart"}), ("leksikon.no", {"leksikon"}), ("hest", set()), ("%", set()),
        ("kart leksikon", set()), ("<b>", set()),
    ):  # fmt: skip
        page = client.get("/whitelists", query_string={"q": asked}).text
        listed = {name for name in ("leksikon", "kart") if f'/whitelists/rules/{name}"' in page}
        assert listed == found, asked
        assert "<b>" not in page
        assert ("Vis alle reglene" in page) == bool(asked)
    assert client.get("/whitelists", query_string={"q": "x" * 5000}).status_code == 200
