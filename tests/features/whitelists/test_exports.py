"""What is exported is never wider than the engine, and as wide for addresses in plain spelling.

Safe Exam Browser and nginx read the same expressions; nginx is asked itself, Safe Exam Browser by
its rules as it applies them: regular expressions looked for in the address without regard to case,
the blocking ones first.
"""

from __future__ import annotations

import http.client
import plistlib
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dask_platform.features.whitelists.cli import whitelist
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.exports import nginx, seb, squid
from dask_platform.features.whitelists.rules import Hours, Rule
from dask_platform.security.hostmap import label_of
from tests.features.whitelists.build import rule
from tests.features.whitelists.corpus import (
    ASKED,
    AT,
    FOLDER,
    RULES,
    addresses,
    engine_of,
    is_plain,
)
from tests.services.base import Facts, Service, find_program, free_port
from tests.services.client import Services

DOMAIN = "ressurs.example"
TEXT = {"name": "q", "type": "text", "length": 6}
MADE: list[Rule] = [
    rule(
        id="leksikon",
        paths=["/", "/lov", "/mappe/"],
        closed=["/.inn", "/lov/straffe", "/s\N{LATIN SMALL LETTER O WITH STROKE}k"],
        without=[":", "ss"],
        longest=24,
        query=[
            {"name": "n", "type": "integer", "length": 3},
            {"name": "d", "type": "date", "length": 10},
            {"name": "v[]", "type": "choice", "choices": ["a b", "c+d", "e/f"]},
        ],
        forms=[{"path": "/finn", "fields": [TEXT, {"name": "w", "type": "word", "length": 4}]}],
    ),
    rule(id="under", host="under.no", subdomains=True, paths=["/lov"], only=["/", "/a b"]),
    rule(
        id="stengt",
        host="under.no",
        subdomains=True,
        effect="deny",
        paths=["/lov/ut", "/\N{LATIN SMALL LETTER AE}"],
    ),
]


def seb_allows(plist: str) -> Callable[[str], bool]:
    """What Safe Exam Browser says to an address, by the plist."""
    entries: list[dict[str, Any]] = plistlib.loads(plist.encode())["URLFilterRules"]
    assert all(one["active"] and one["regex"] for one in entries)
    blocks, allows = (
        [re.compile(one["expression"], re.I) for one in entries if one["action"] == action]
        for action in (0, 1)
    )
    return lambda url: (
        not any(one.search(url) for one in blocks) and any(one.search(url) for one in allows)
    )


SEB = seb_allows(seb.export(MADE, ASKED).files[seb.FILE])
PIECES = st.sampled_from(
    [
        *("/", "lov", "LOV", "finn", ".inn", ".INN", "mappe", "straffe", "ut", "s%C3%B8k", "."),
        *("S%c3%98K", "%C3%A6", "%c3%86", "%2F", "%2e", "%20", "+", ":", "%3a", "ss", "%C3%9F"),
        *("?", "&", "=", "q", "n", "w", "d", "v[]", "%76[]", "v%5B%5D", "a+b", "a%20b", "c%2Bd"),
        *("e/f", "12", "1234", "2024-02-29", "2023-02-29", "0000-01-01", "https:", "//", ";"),
        *("%25", "%00", "%EF%BD%93", "%E2%80%8B", "aaaaaa", "#x", "..", "\\", "|", "'", "a", "?n="),
        *("?q=", "&q=", "?v[]=", "?d=", "?w=", "/lov/", "/finn?q=", "%C4%B0", "%C5%BF", "%%"),
    ]
)
HOSTS = st.sampled_from(
    [*("leksikon.no", "under.no", "a.under.no", "a.b.under.no", "xunder.no", "a-under.no")]
)


@settings(max_examples=600, deadline=None)
@given(HOSTS, st.lists(PIECES, max_size=9).map("".join))
@example("leksikon.no", "finn?q=%C3%A6bcdef")
@example("leksikon.no", "finn?q=%C3%A6bcdefg")
@example("leksikon.no", "?d=2024-02-29&n=1&v[]=a+b")
@example("leksikon.no", "?n=1&n=1")
@example("leksikon.no", "a" * 23)
@example("leksikon.no", "a" * 24)
@example("a.under.no", "%C3%86/x")
def test_an_expression_says_what_the_engine_says(host: str, rest: str) -> None:
    url = f"https://{host}/{rest}"
    engine = Engine.of(MADE)
    allowed = engine.decide(url, ASKED).allowed
    if SEB(url):
        assert allowed, url
    elif allowed and is_plain(url):
        # A word that ends like a scheme, as «metadata:», stays closed: one cannot look back.
        assert re.search("(https?|javascript|data|ftp)(:|%3a)", url, re.I), url


def test_the_baseline_in_safe_exam_browser() -> None:
    made = seb.export(RULES, ASKED)
    allows = seb_allows(made.files[seb.FILE])
    engine = engine_of(made.rules)
    through = 0
    for url in addresses():
        allowed = engine.decide(url, ASKED).allowed
        assert allows(url) == (allowed and is_plain(url)), url
        through += allowed
    assert through > 50
    assert {one.rule: one.why for one in made.refused}["nasjonalbiblioteket"].startswith("it is op")
    # The same rules make the same bytes, in whatever order they come.
    assert seb.export(reversed(RULES), ASKED).files == made.files


def test_an_exam_has_its_aids_alone() -> None:
    aid = rule(id="hjelp", host="hjelp.no", scope={"sittings": ["norsk-h26"]})
    at_it = replace(ASKED, sitting="norsk-h26")
    assert seb.export([*RULES, aid], at_it).rules == ("hjelp",)
    assert "hjelp" not in seb.export([*RULES, aid], ASKED).rules


class Map(Service):
    """nginx that answers with the rule, by the exported map. Option ``map``: its text."""

    def start(self) -> Facts:
        port = free_port()
        (self.folder / "whitelist.map").write_text(self.options["map"])
        config = self.folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {self.folder}/pid; events {{}}\n"
            f"http {{ access_log off; include {self.folder}/whitelist.map;\n"
            + "".join(
                f"{kind}_temp_path {self.folder}/{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + f"server {{ listen 127.0.0.1:{port};\n"
            'location / { if ($dask_whitelist = "") { return 403; }\n'
            " return 200 $dask_whitelist; } } }\n"
        )
        self.spawn(find_program("nginx", "the Debian package nginx"), "-e", "stderr", "-c", config)
        self.wait_until(lambda: _listens(port))
        return {"port": port}


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


@pytest.mark.parametrize("rules", [RULES, MADE], ids=["baseline", "made"])
def test_a_real_nginx(services: Services, rules: list[Rule]) -> None:
    made = nginx.export(rules, ASKED, DOMAIN)
    engine = engine_of(made.rules, rules)
    with services.private(Map, map=made.files[nginx.FILE]) as facts:
        connection = http.client.HTTPConnection("127.0.0.1", facts["port"], timeout=10)
        for url in [*addresses(), *_around(rules)]:
            found = re.fullmatch(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)+)(/[!-~]*)", url)
            if found is None:
                continue
            host, target = found[1], found[2].partition("#")[0]
            connection.putrequest("GET", target, skip_host=True)
            connection.putheader("Host", f"{label_of(host)}.{DOMAIN}" if host[-1] > "9" else host)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            plain_url = f"https://{host}{target}"
            got = engine.decide(plain_url, ASKED)
            wanted = got.allowed and is_plain(plain_url)
            assert (answer.status == 200) == wanted, url
            assert not wanted or body.decode() in made.rules
        connection.close()


def _around(rules: list[Rule]) -> list[str]:
    """Each host with something before it, and the neighbours that a label could be taken for."""
    hosts = sorted({one.host for one in rules})
    return [
        f"https://{before}{host}/lov" for host in hosts for before in ("", "a.", "a-", "a--b.")
    ] + [f"https://{host}/lov/UT?n=1" for host in hosts]


@given(
    st.integers(0, 6),
    st.times(),
    st.sampled_from([("08:00", "15:30"), ("00:00", "24:00"), ("09:00", "09:01")]),
)
def test_squids_hours_are_ours(weekday: int, at: Any, span: tuple[str, str]) -> None:
    """squid's time holds from its first minute to its last, both within."""
    days = ("mon", "wed", "sat", "sun")
    hours = Hours.model_validate({"days": days, "from": span[0], "to": span[1]})
    letters, times = squid._time(hours).split()
    first, last = times.split("-")
    inside = "MTWHFAS"[weekday] in letters and first <= f"{at:%H:%M}" <= last
    assert inside == hours.hold(weekday, at)


def test_the_day_after_a_rule_ends_it_is_not_exported() -> None:
    short = rule(expires="2026-11-24")
    assert seb.export([short], ASKED).rules == ("leksikon",)
    assert str(seb.export([short], ASKED).ends) == "2026-11-24"
    after: Asked = replace(ASKED, at=AT + timedelta(days=1))
    assert seb.export([short], after).rules == ()


def test_a_stopped_rule_is_refused() -> None:
    (refusal,) = seb.export([rule()], replace(ASKED, stopped=frozenset(("leksikon",)))).refused
    assert refusal.why == "it is stopped"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(whitelist, ["export", *map(str, arguments)])


def test_a_refused_rule_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = ("--dir", FOLDER, "--unit", "nordvik", "--at", "2026-11-24T10:00", "--out", out)
    done = run("--to", "squid", *common, "--tls-inspection")
    assert done.exit_code == 1
    assert "nasjonalbiblioteket: it is open only while staff" in done.stderr
    assert not out.exists()
    done = run("--to", "squid", *common, "--tls-inspection", "--skip")
    assert done.exit_code == 0, done.output
    assert {one.name for one in out.iterdir()} == {"dask-whitelist.conf", "dask-whitelist.sed"}
    head = (out / "dask-whitelist.conf").read_text()
    assert "# Left out: nasjonalbiblioteket:" in head
    assert "# Make it anew after 2027-" in head


@pytest.mark.parametrize("target", ["seb", "chromium", "nginx"])
def test_one_file_goes_to_standard_output(target: str) -> None:
    done = run("--to", target, "--dir", FOLDER, "--skip", "--domain", DOMAIN)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(("<?xml", "{", "#"))


def test_wrong_use() -> None:
    assert run("--to", "squid", "--dir", FOLDER, "--skip", "--tls-inspection").exit_code == 2
    assert run("--to", "nginx", "--dir", FOLDER, "--skip").exit_code == 2
    assert run("--to", "nginx", "--dir", FOLDER, "--domain", "a b").exit_code == 2
    assert run("--to", "squid", "--dir", FOLDER, "--squid-folder", "/a b").exit_code == 2
    assert run("--to", "telnet", "--dir", FOLDER).exit_code == 2


def test_what_nginx_cannot_read_is_refused() -> None:
    for too_much in (
        {"longest": 900},
        {"closed": [f"/lang-adresse-nummer-{n}" for n in range(99)]},
    ):
        made = nginx.export([rule(**too_much), rule(id="god", host="god.no")], ASKED, DOMAIN)
        assert made.rules == ("god",)
        assert [one.rule for one in made.refused] == ["leksikon"]
