"""The national baseline in ``whitelists/``: it loads clean, and opens what it says and no more.

The table of addresses is written by hand, apart from the examples in the files: whoever edits a
rule and its examples together still meets it.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from dask_platform.entry.demo_people import UNITS
from dask_platform.features.whitelists.checks import best_case, load_folder
from dask_platform.features.whitelists.engine import Asked, Engine, Reason
from dask_platform.features.whitelists.files import Folder
from dask_platform.features.whitelists.rules import Effect, Kind, Profile, Rule
from dask_platform.kernel.clock import from_oslo

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDER: Final = ROOT / "whitelists"
#: A Tuesday in term, at half past ten by the clock on the wall.
SCHOOL_TIME: Final = from_oslo(datetime(2026, 11, 24, 10, 30))
LONG: Final = "dette+er+en+hel+beskjed+til+noen+utenfor+og+ikke+noe+oppslagsord"

# Address, and why it is decided so.
DECISIONS: Final = (
    # What the school opens first.
    ("https://snl.no/Norge", Reason.ALLOWED),
    ("https://snl.no/Norge#Historie", Reason.ALLOWED),
    ("https://snl.no/.search?query=grunnloven", Reason.ALLOWED),
    ("https://media.snl.no/media/36894/standard_kart.png", Reason.ALLOWED),
    ("https://ordbokene.no/nob/bm,nn/hus", Reason.ALLOWED),
    ("https://ndla.no/nn/f/norsk-vg1/1a2b3c", Reason.ALLOWED),
    ("https://www.udir.no/lk20/mat01-05/kompetansemaal-og-vurdering/kv22", Reason.ALLOWED),
    ("https://www.nav.no/dagpenger", Reason.ALLOWED),
    ("https://lovdata.no/dokument/NL/lov/2001-05-18-21", Reason.ALLOWED),
    ("https://www.yr.no/nb/v%C3%A6rvarsel/daglig-tabell/1-72837/Norge/Oslo", Reason.ALLOWED),
    ("https://xn--tilbakefring-2jb.no/helse/", Reason.ALLOWED),
    ("https://no.wikipedia.org/wiki/Andre_verdenskrig", Reason.ALLOWED),
    # Logging in.
    ("https://snl.no/.login", Reason.CLOSED_PATH),
    ("https://snl.no/.LogIn", Reason.CLOSED_PATH),
    ("https://ndla.no/login", Reason.PATH),
    ("https://ndla.no/minndla", Reason.PATH),
    ("https://lanekassen.no/nb-NO/logg-inn", Reason.PATH),
    ("https://www.udir.no/eksamen-og-prover/Logg-inn", Reason.CLOSED_PATH),
    ("https://www.nav.no/minside", Reason.DENIED),
    ("https://login.idporten.no/authorize", Reason.DENIED),
    ("https://auth.bankid.no/auth", Reason.DENIED),
    ("https://idp.feide.no/simplesaml", Reason.DENIED),
    ("https://xn--tilbakefring-2jb.no/wp-login.php", Reason.PATH),
    # Writing: edit, talk, users, e-mail, contact, notice boards.
    ("https://no.wikipedia.org/w/index.php?title=Norge&action=edit", Reason.DENIED),
    ("https://en.wikipedia.org/W/api.php", Reason.DENIED),
    ("https://no.wikipedia.org/wiki/Norge?action=edit", Reason.QUERY),
    ("https://no.wikipedia.org/wiki/Diskusjon:Norge", Reason.CLOSED_PATH),
    ("https://no.wikipedia.org/wiki/_Spesial:Siste_endringer", Reason.CLOSED_PATH),
    ("https://no.wikipedia.org/wiki/:Bruker:Ola", Reason.CLOSED_PATH),
    ("https://no.wikipedia.org/wiki/Special:EmailUser/Ola", Reason.DENIED),
    ("https://no.wikipedia.org/wiki/special%3Aemailuser/Ola", Reason.DENIED),
    ("https://nn.wikipedia.org/wiki/Brukardiskusjon:Kari", Reason.CLOSED_PATH),
    ("https://ndla.no/folder/5f1c1d6e", Reason.PATH),
    ("https://ndla.no/learningpaths/1234", Reason.PATH),
    ("https://www.nav.no/dagpenger/dialog/generell-innsending/", Reason.DENIED),
    ("https://www.udi.no/kontakt-oss/", Reason.PATH),
    ("https://www.matematikk.org/oss.html?tid=88992", Reason.PATH),
    ("https://www.ssb.no/_/service/mimir/contactform", Reason.PATH),
    # Text that leaves the house.
    (f"https://snl.no/.search?query={LONG}", Reason.QUERY),
    ("https://snl.no/Norge?query=grunnloven", Reason.QUERY),
    ("https://snl.no/.search?query=a&query=b", Reason.QUERY),
    ("https://snl.no/.search?query=se%20https://example.com", Reason.QUERY),
    ("https://snl.no/.search?query=%E2%80%8Bnorge", Reason.QUERY),
    ("https://nbl.snl.no/.search?query=ibsen", Reason.QUERY),
    (f"https://www.yr.no/nb/s%C3%B8k?q={LONG}", Reason.QUERY),
    ("https://utdanning.no/sok?q=tomrer", Reason.PATH),
    ("https://www.matematikk.org/artikkel.html?tid=hei", Reason.QUERY),
    # Shared, redirected, translated, archived.
    ("https://www.facebook.com/sharer/sharer.php?u=https://snl.no/Norge", Reason.DENIED),
    ("https://translate.google.com/translate?u=https://example.com", Reason.DENIED),
    ("https://snl-no.translate.goog/Norge", Reason.NOT_LISTED),
    ("https://web.archive.org/web/2024/https://example.com/", Reason.ENCODING),
    ("https://web.archive.org/web/2024/example.com", Reason.DENIED),
    ("https://snl.no/Norge?next=hei", Reason.QUERY),
    ("https://www.nb.no/items/0266?manifest=https://example.com/a", Reason.QUERY),
    ("https://www.udir.no/lk20/mat01-05?lang=https%3A%2F%2Fexample.com", Reason.QUERY),
    # Hosts that look right.
    ("https://sn1.no/Norge", Reason.NOT_LISTED),
    ("https://snl.no.example.com/Norge", Reason.NOT_LISTED),
    ("https://evilsnl.no/Norge", Reason.NOT_LISTED),
    ("https://www.snl.no/Norge", Reason.NOT_LISTED),
    ("https://meta.snl.no/Norge", Reason.NOT_LISTED),
    ("https://ndla.no.no/", Reason.NOT_LISTED),
    ("https://tilbakeforing.no/helse/", Reason.NOT_LISTED),
    ("https://tilbakef\N{LATIN SMALL LETTER O WITH STROKE}ring.no/helse/", Reason.NOT_CANONICAL),
    ("https://SNL.no/Norge", Reason.NOT_CANONICAL),
    ("https://snl.no./Norge", Reason.BAD_URL),
    ("https://snl.no@example.com/Norge", Reason.USERINFO),
    ("https://example.com@snl.no/Norge", Reason.USERINFO),
    # Other ways in.
    ("http://snl.no/Norge", Reason.SCHEME),
    ("javascript:alert(1)", Reason.SCHEME),
    ("https://snl.no:8443/Norge", Reason.PORT),
    ("https://snl.no:443/Norge", Reason.NOT_CANONICAL),
    ("https:/snl.no/Norge", Reason.NOT_CANONICAL),
    ("https://snl.no\\Norge", Reason.NOT_CANONICAL),
    ("https://127.0.0.1/", Reason.BAD_URL),
    # Paths in disguise.
    ("https://snl.no/Norge/../.login", Reason.NOT_CANONICAL),
    ("https://snl.no/Norge/%2e%2e/.login", Reason.NOT_CANONICAL),
    ("https://snl.no/%252elogin", Reason.ENCODING),
    ("https://snl.no/Norge%2f..%2f.login", Reason.ENCODING),
    ("https://snl.no/Norge;.login", Reason.ENCODING),
    ("https://snl.no//.login", Reason.ENCODING),
    ("https://snl.no/%2Elogin", Reason.ENCODING),
    ("https://snl.no/.log%69n", Reason.CLOSED_PATH),
    ("https://ndla.no/fiks", Reason.PATH),
    ("https://ndla.no/F/norsk", Reason.PATH),
    ("https://www.nb.no/items/URN:NBN:no-nb_digibok_2009040100019", Reason.SUPERVISED),
)


@pytest.fixture(scope="module")
def baseline() -> Folder:
    found, problems = load_folder(FOLDER, SCHOOL_TIME)
    assert found is not None, "\n".join(str(one) for one in problems)
    return found


@pytest.fixture(scope="module")
def engine(baseline: Folder) -> Engine:
    return Engine.of(one.rule for one in baseline.rules)


@pytest.fixture(scope="module")
def schema_tool() -> ModuleType:
    file = ROOT / "tools/whitelist_schema.py"
    spec = importlib.util.spec_from_file_location("whitelist_schema", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["whitelist_schema"] = module
    spec.loader.exec_module(module)
    return module


def test_the_published_schema_is_what_the_code_reads(schema_tool: ModuleType) -> None:
    published = (FOLDER / "rule.schema.json").read_text(encoding="utf-8")
    assert published == schema_tool.schema(), (
        "whitelists/rule.schema.json is stale. Run: python tools/whitelist_schema.py"
    )


def test_the_baseline_loads_without_a_word() -> None:
    _found, problems = load_folder(FOLDER, SCHOOL_TIME)
    assert not problems, "\n".join(
        ["Put these right, or `dask-platform whitelist check whitelists` fails too:"]
        + [str(one) for one in problems]
    )


def test_there_is_enough_to_start_a_school_on(baseline: Folder) -> None:
    national = [one for one in baseline.rules if one.file.startswith("national/")]
    assert sum(one.rule.effect is Effect.ALLOW for one in national) >= 28
    assert sum(one.rule.effect is Effect.DENY for one in national) >= 10


def test_every_rule_has_examples_enough(baseline: Folder) -> None:
    thin = [
        one.file
        for one in baseline.rules
        if len(one.rule.examples.refused) < 3
        or (one.rule.effect is Effect.ALLOW and len(one.rule.examples.allowed) < 2)
    ]
    assert not thin, f"Give at least two addresses under pass and three under refuse: {thin}"


def test_every_rule_speaks_english_too_and_says_what_it_leaves_out(baseline: Folder) -> None:
    silent = []
    for one in baseline.rules:
        text = (FOLDER / one.file).read_text(encoding="utf-8")
        if not (one.rule.title.en and one.rule.description.en and text.startswith("# ")):
            silent.append(one.file)
    assert not silent, f"Add en: under title and description, and a comment on top: {silent}"


def test_a_site_with_its_own_script_is_supervised(baseline: Folder) -> None:
    alone = [
        one.file
        for one in baseline.rules
        if one.rule.profile is Profile.SCRIPTED and not one.rule.supervised
    ]
    assert not alone, f"A scripted rule in the baseline says `supervised: true`: {alone}"


def _free_text(rule: Rule) -> list[int]:
    asked = [*rule.query]
    asked += [one for form in rule.forms for one in form.fields]
    asked += [one for helper in rule.helpers for one in helper.query]
    return [one.length for one in asked if one.type is Kind.TEXT]


def test_free_text_is_short(baseline: Folder) -> None:
    long = [one.file for one in baseline.rules if any(n > 60 for n in _free_text(one.rule))]
    assert not long, f"A search word of more than 60 characters is a letter: {long}"


def test_no_form_of_the_baseline_is_posted(baseline: Folder) -> None:
    sent = [
        one.file for one in baseline.rules if any(form.method == "POST" for form in one.rule.forms)
    ]
    assert not sent, f"The baseline opens no form that is sent with POST: {sent}"


def test_rules_do_not_all_run_out_on_one_day(baseline: Folder) -> None:
    days = [one.rule.expires for one in baseline.rules]
    assert max(days.count(one) for one in days) <= 3, "Spread `expires` over the autumn."


def test_the_demo_has_its_units(baseline: Folder) -> None:
    assert baseline.levels == {slug: level for slug, _name, level, *_rest in UNITS}, (
        "whitelists/units.yaml and dask_platform/entry/demo_people.py name different units."
    )


@pytest.mark.parametrize(("url", "reason"), DECISIONS, ids=[url for url, _why in DECISIONS])
def test_the_baseline_decides(engine: Engine, url: str, reason: Reason) -> None:
    got = engine.decide(url, Asked(at=SCHOOL_TIME))
    assert (got.reason, got.allowed) == (reason, reason is Reason.ALLOWED), got.rule


def _twisted(url: str) -> list[str]:
    """The address as one would bend it to get out through the same rule."""
    host = url.removeprefix("https://").partition("/")[0]
    rest = url.removeprefix(f"https://{host}")
    joined = "&" if "?" in rest else "?"
    return [
        f"http://{host}{rest}",
        f"https://{host}:8443{rest}",
        f"https://{host}.{rest}",
        f"https://user@{host}{rest}",
        f"https://{host}@example.com{rest}",
        f"https://evil.{host}{rest}",
        f"https://evil{host}{rest}",
        f"https://{host}.example.com{rest}",
        f"https://{host}/{rest}",
        f"{url}{joined}url=https://example.com",
        f"{url}{joined}melding=hei",
        f"https://{host}/..%2f{rest[1:]}",
    ]


def test_no_open_address_stays_open_when_it_is_bent(baseline: Folder, engine: Engine) -> None:
    for one in baseline.rules:
        asked = best_case(one.rule, baseline.levels)
        for url in one.rule.examples.allowed:
            let = [bent for bent in _twisted(url) if engine.decide(bent, asked).allowed]
            assert not let, f"{one.file} opens {let}"
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
                assert not engine.decide(url, asked, method).allowed, f"{method} {url}"


NOA: Final = "https://noa.stami.no/yrker-og-naeringer/noa/varehandel/"
JOBS: Final = "https://arbeidsplassen.nav.no/stillinger?q=kokk"
HMS: Final = frozenset({"hms-i-verkstedet"})
OPEN: Final = frozenset({"sorli-stillinger"})
EVENING: Final = from_oslo(datetime(2026, 11, 24, 19))
MONDAY: Final = from_oslo(datetime(2026, 11, 23, 10, 30))


@pytest.mark.parametrize(
    ("url", "asked", "reason"),
    [
        (NOA, Asked(SCHOOL_TIME, "nordvik", "high", HMS), Reason.ALLOWED),
        (NOA, Asked(SCHOOL_TIME, "nordvik", "high"), Reason.COURSE),
        (NOA, Asked(SCHOOL_TIME, "sorli", "low", HMS), Reason.UNIT),
        (NOA, Asked(EVENING, "nordvik", "high", HMS), Reason.HOURS),
        (JOBS, Asked(SCHOOL_TIME, "sorli", "low", opened=OPEN), Reason.ALLOWED),
        (JOBS, Asked(SCHOOL_TIME, "sorli", "low"), Reason.SUPERVISED),
        (JOBS, Asked(MONDAY, "sorli", "low", opened=OPEN), Reason.HOURS),
        (JOBS, Asked(SCHOOL_TIME, "sorli", "high", opened=OPEN), Reason.LEVEL),
        (JOBS, Asked(SCHOOL_TIME, "nordvik", "high", opened=OPEN), Reason.UNIT),
    ],
)
def test_a_units_own_rule_is_for_that_unit(
    engine: Engine, url: str, asked: Asked, reason: Reason
) -> None:
    assert engine.decide(url, asked).reason is reason


def test_the_open_shelf_is_open_while_somebody_sits_there(engine: Engine) -> None:
    url = "https://www.nb.no/items/URN:NBN:no-nb_digibok_2009040100019"
    opened = frozenset({"nasjonalbiblioteket"})
    assert engine.decide(url, Asked(SCHOOL_TIME, opened=opened)).allowed
    assert engine.decide(url, Asked(EVENING, opened=opened)).reason is Reason.HOURS


def test_nothing_is_open_in_an_exam(engine: Engine) -> None:
    """No rule of the baseline is an aid; an exam names its own."""
    for url, reason in DECISIONS:
        if reason is Reason.ALLOWED:
            got = engine.decide(url, Asked(SCHOOL_TIME, sitting="norsk-2026"))
            assert got.reason is Reason.SITTING, url
