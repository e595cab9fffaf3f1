"""Addresses to hold an export against the engine: the baseline's own examples, and tricks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.exports.openings import PLAIN
from dask_platform.features.whitelists.files import read_folder
from dask_platform.features.whitelists.rules import Rule

FOLDER = Path(__file__).parents[3] / "whitelists"
#: A Tuesday morning in the unit's hours.
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

_BOARD = read_folder(FOLDER)[0]
RULES: list[Rule] = [one.rule for one in _BOARD.rules]
ASKED = Asked(
    at=AT,
    unit="nordvik",
    level=_BOARD.levels["nordvik"],
    courses=frozenset(("hms-i-verkstedet",)),
)

TRICKS = (
    "https://snl.no/.login",
    "https://snl.no/.LOGIN/x",
    "https://snl.no/%2elogin",
    "https://snl.no/%2Elogin",
    "https://snl.no/.l%6Fgin",
    "https://snl.no/Norge/../.login",
    "https://snl.no/./.login",
    "https://snl.no//.login",
    "https://snl.no/Norge%2F..%2F.login",
    "https://snl.no/Norge%252F.login",
    "https://snl.no/Norge;.login",
    "https://snl.no/Norge%3B.login",
    "https://snl.no/Norge%5C.login",
    "https://snl.no/Norge\\.login",
    "https://snl.no/Norge%00",
    "https://snl.no/%EF%BC%8Elogin",
    "https://snl.no/%C3%A6%CC%81",
    "https://snl.no/%C3",
    "https://snl.no/%zz",
    "https://snl.no/Norge?",
    "https://snl.no/Norge?x",
    "https://snl.no/Norge%3Fx=1",
    "https://snl.no/Norge#x",
    f"https://snl.no/{'a' * 199}",
    f"https://snl.no/{'a' * 200}",
    f"https://snl.no/{'%C3%A6' * 199}",
    f"https://snl.no/{'%C3%A6' * 200}",
    f"https://snl.no/.search?query={'%C3%A6' * 40}",
    f"https://snl.no/.search?query={'%C3%A6' * 41}",
    "https://snl.no/.search?query=a+b%20c",
    "https://snl.no/.search?query=a%26query=b",
    "https://snl.no/.search?query=a&query=b",
    "https://snl.no/.search?query=a&",
    "https://snl.no/.search?query=//evil.no",
    "https://snl.no/.search?query=%2F%2Fevil.no",
    "https://snl.no/.search?query=HTTPS:evil.no",
    "https://snl.no/.search?query=https%3aevil.no",
    "https://snl.no/.search?q%75ery=a",
    "https://snl.no/.SEARCH?query=a",
    "https://SNL.no/Norge",
    "https://snl.no./Norge",
    "https://snl.no:443/Norge",
    "https://snl.no:8443/Norge",
    "https://snl.no@evil.no/Norge",
    "https://evil.no@snl.no/Norge",
    "https://evilsnl.no/Norge",
    "https://snl.no.evil.no/Norge",
    "https://evil.no/snl.no/Norge",
    "https://evil.no/?https://snl.no/Norge",
    "https://evil.no/#https://snl.no/Norge",
    "https://www.snl.no/Norge",
    "https://127.0.0.1/Norge",
    "http://snl.no/Norge",
    "http://snl.no:443/Norge",
    "https://nn.wikipedia.org/wiki/Noreg",
    "https://nn.wikipedia.org/wiki/Noreg/",
    "https://nn.wikipedia.org/wiki/noreg",
    "https://nn.wikipedia.org/wiki/Noregs",
    "https://nn.wikipedia.org/wiki/Noreg?action=edit",
    "https://nn.wikipedia.org/w/index.php",
)


def addresses() -> list[str]:
    """Every example of the baseline, and the tricks."""
    said = {url for one in RULES for url in (*one.examples.allowed, *one.examples.refused)}
    return sorted(said | set(TRICKS))


def is_plain(url: str) -> bool:
    """Whether the address is in the spelling that an export promises to let through."""
    return re.match(f"https://[a-z0-9.-]+{PLAIN}", url) is not None


def engine_of(names: tuple[str, ...], rules: list[Rule] = RULES) -> Engine:
    """An engine of the exported rules alone, with every rule that closes."""
    return Engine.of(one for one in rules if one.id in names or one.effect == "deny")
