"""``dask-platform whitelist``: the contract that scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from dask_platform.features.whitelists.cli import whitelist
from tests.features.whitelists.build import PLAIN


def write(folder: Path, *rules: dict[str, Any], under: str = "national") -> Path:
    (folder / under).mkdir(parents=True, exist_ok=True)
    for said in rules:
        whole = {**PLAIN, **said}
        (folder / under / f"{whole['id']}.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    return folder


def run(*arguments: object, given: bytes = b"") -> Any:
    return CliRunner().invoke(whitelist, [str(one) for one in arguments], input=given)


def decide(folder: Path, *urls: object, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    given = "\n".join(json.dumps(url) for url in urls).encode()
    done = run("decide", "--dir", folder, "--at", "2026-11-23T12:00", *options, given=given)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_object_a_line(tmp_path: Path) -> None:
    (answer,) = decide(write(tmp_path, {}), "https://leksikon.no/norge")
    assert answer == {
        "url": "https://leksikon.no/norge",
        "decision": "allow",
        "rule": "leksikon",
        "reason": "allowed",
        "canonical": "https://leksikon.no/norge",
    }


def test_a_bad_line_never_stops_it(tmp_path: Path) -> None:
    lines = (
        b'not json\n{"a":1}\n"\\ud800"\n\xff\xfe\n' + b"[" * 20000 + b'\n"https://leksikon.no/"\n'
    )
    done = run("decide", "--dir", write(tmp_path, {}), given=lines)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["decision"] for one in answers] == ["deny"] * 5 + ["allow"]
    assert done.exit_code == 0


def test_unit_course_and_time(tmp_path: Path) -> None:
    folder = write(tmp_path, {"scope": {"courses": ["norsk"]}})
    own = {"pass": ["https://lokal.no/"], "refuse": ["https://a.no/"]}
    write(folder, {"id": "lokal", "host": "lokal.no", "examples": own}, under="units/nord")
    urls = ("https://leksikon.no/", "https://lokal.no/")

    def reasons(*options: str) -> list[str]:
        return [one["reason"] for one in decide(folder, *urls, options=options)]

    assert reasons() == ["course", "unit"]
    assert reasons("--course", "norsk", "--unit", "nord") == ["allowed", "allowed"]
    assert reasons("--unit", "sor") == ["course", "unit"]
    late = run("decide", "--dir", folder, "--at", "2027-07-01", given=b'"https://lokal.no/"')
    assert json.loads(late.stdout)["decision"] == "deny"


@pytest.mark.parametrize("at", ["i morgen", "2026-13-01", "", "99999-01-01"])
def test_a_time_that_is_none_is_wrong_usage(tmp_path: Path, at: str) -> None:
    done = run("decide", "--dir", write(tmp_path, {}), "--at", at)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"host": "co.uk"}, "public suffix"),
        ({"host": "github.io"}, "public suffix"),
        ({"host": "10.0.0.1"}, "normal form"),
        ({"host": "Leksikon.no"}, "normal form"),
        ({"host": "leksikon.no."}, "normal form"),
        ({"host": "*.leksikon.no"}, "normal form"),
        ({"host": "xn--e1afmkfd.xn--p1ai"}, "is written with"),
        ({"ukjent": 1}, "ukjent: There is no such field."),
        ({"expires": None}, "text"),
        ({"expires": "2030-01-01"}, "Two years"),
        ({"reviewer": "den ene"}, "Nobody approves their own rule"),
        ({"paths": ["fag"]}, "begins with /"),
        ({"paths": ["/a/../b"]}, "no . or .."),
        ({"paths": ["/a*"]}, "Write the path as it is read"),
        ({"query": [{"name": "url", "type": "text"}]}, "tells many sites where to go"),
        ({"query": [{"name": "p", "type": "regex"}]}, "query.0.type"),
        ({"methods": ["POST"]}, "methods.0"),
        ({"hours": [{"days": ["mon"], "from": "15:00", "to": "08:00"}]}, "end before they begin"),
        ({"examples": {"pass": [], "refuse": ["https://a.no/"]}}, "at least one address"),
        ({"examples": {"pass": ["https://annet.no/"], "refuse": ["https://a.no/"]}}, "should pass"),
        (
            {"examples": {"pass": ["https://leksikon.no/"], "refuse": ["https://leksikon.no/a"]}},
            "should be refused",
        ),
        ({"forms": [{"path": "/f", "method": "POST", "fields": [{"name": "a", "type": "text"}]}]},
         "needs a supervised rule"),
    ],
)  # fmt: skip
def test_what_makes_mistakes_is_refused_by_file_and_line(
    tmp_path: Path, said: dict[str, Any], words: str
) -> None:
    done = run("check", write(tmp_path, said))
    assert done.exit_code == 1
    assert words in done.stderr
    assert done.stderr.startswith("national/leksikon.yaml:")


def test_hosts_that_look_alike_and_ids_that_stand_twice(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, {"id": "felle", "host": "1eksikon.no",
        "examples": {"pass": ["https://1eksikon.no/"], "refuse": ["https://a.no/"]}})  # fmt: skip
    assert "is easily taken for leksikon.no" in run("check", folder).stderr
    write(folder, {}, under="units/nord")
    assert "stands in national/leksikon.yaml too" in run("check", folder).stderr


def test_files_in_the_wrong_place(tmp_path: Path) -> None:
    write(tmp_path, {}, under="national/under")
    (tmp_path / "extra.yml").write_text("a: 1")
    done = run("check", tmp_path)
    assert done.exit_code == 1
    assert done.stderr.count("Rules lie in national/") == 2
    write(tmp_path, {"scope": {"units": ["sor"]}}, under="units/nord")
    assert "for that unit alone" in run("check", tmp_path).stderr


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"a: [", b"- 1", b"a: &x [*x]", b"a: 1\na: 2", b"[" * 50, b"a: 1.5"]
)
def test_a_file_that_is_no_rule(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "national").mkdir()
    (tmp_path / "national" / "x.yaml").write_bytes(data)
    done = run("check", tmp_path)
    assert done.exit_code == 1
    assert done.stderr.startswith("national/x.yaml:")
    assert "Traceback" not in done.output


def test_with_one_thing_wrong_nothing_is_decided(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, {"id": "annen", "ukjent": True})
    done = run("decide", "--dir", folder, given=b'"https://leksikon.no/"')
    assert (done.exit_code, done.stdout) == (1, "")


def test_diff_in_words(tmp_path: Path) -> None:
    old = write(tmp_path / "a", {})
    new = write(tmp_path / "b", {"closed": ["/logg"], "only": ["/om"]})
    log = tmp_path / "requests"
    made = {"url": "https://leksikon.no/logg/x", "at": "2026-11-16T10:00", "unit": "nord"}
    log.write_text(json.dumps(made) + "\n")
    done = run("diff", old, new, "--requests", log)
    assert done.stdout.splitlines() == [
        "+ leksikon: The page /om.",
        "- leksikon: /logg stays closed.",
        "- 1 pages that were read close.",
        "-   https://leksikon.no/logg/x (1 requests)",
    ]
    assert run("diff", old, old).stdout == "Nothing opens and nothing closes.\n"
    log.write_text("{}\n")
    wrong = run("diff", old, new, "--requests", log)
    assert (wrong.exit_code, wrong.stderr.count("line 1")) == (1, 1)
