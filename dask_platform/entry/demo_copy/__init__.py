"""The demo's copy of a site: made as a ZIM file at set-up, put into the store, and in force.

Two officers are behind its rule, as behind any other. It is made once: a copy made anew has other
bytes, and so another hash.
"""

from __future__ import annotations

import io
import math
import re
import struct
import tempfile
import wave
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from libzim.writer import (  # type: ignore[import-untyped]
    Creator,
    Hint,
    Item,
    StringProvider,
)
from sqlalchemy import select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.identity.models import Person, Unit
from dask_platform.features.whitelists.models import Proposal, StoredCopy, Version
from dask_platform.features.whitelists.queries import body_of
from dask_platform.features.whitelists.rules import Rule
from dask_platform.features.whitelists.service import copies
from dask_platform.web.platform import Platform

PAGES: Final = Path(__file__).parent / "pages"
RULE: Final = "tre-og-verktoy"
HOST: Final = "treogverktoy.example"
UNIT: Final = "nordvik"
MAIN: Final = "forside"
SECONDS: Final = 120.0
TYPES: Final = {".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml"}
_TITLE: Final = re.compile(r"<title>(.*?)</title>")


def load(platform: Platform, now: datetime) -> None:
    """The first time only."""
    with platform.database.work() as uow:
        if uow.scalar(select(Version.number).where(Version.rule_id == RULE).limit(1)) is not None:
            return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tre-og-verktoy.zim"
        make(path, (now - timedelta(days=20)).date())
        with (
            path.open("rb") as stream,
            copies.examined(platform, stream, seconds=SECONDS) as new,
            platform.database.work() as uow,
        ):
            if uow.get(StoredCopy, new.sha256) is None:
                copies.add(uow, None, platform.files, new, now - timedelta(days=15))
            _in_force(uow, _rule(new.sha256, now), now)


def make(path: Path, on: date) -> None:
    """Write the pages, the pictures and the sound as a ZIM file that can be searched."""
    with Creator(path).config_indexing(True, "nob").set_mainpath(MAIN) as creator:
        for file in sorted(PAGES.rglob("*.*")):
            inside = file.relative_to(PAGES).as_posix()
            creator.add_item(_Entry(inside.removesuffix(".html"), file.read_bytes(), file.suffix))
        creator.add_item(_Entry("slag.wav", knocks(), ".wav"))
        creator.add_metadata("Title", "Tre og verktøy")
        creator.add_metadata("Description", "Korte sider om verktøy og treslag.")
        creator.add_metadata("Language", "nob")
        creator.add_metadata("Date", on.isoformat())


class _Entry(Item):  # type: ignore[misc]
    def __init__(self, path: str, body: bytes, suffix: str) -> None:
        super().__init__()
        self._path, self._body = path, body
        self._type = TYPES.get(suffix, "audio/wav")

    def get_path(self) -> str:
        return self._path

    def get_title(self) -> str:
        found = _TITLE.search(self._body.decode("utf-8")) if self._type == "text/html" else None
        return found[1] if found else ""

    def get_mimetype(self) -> str:
        return self._type

    def get_contentprovider(self) -> Any:
        return StringProvider(self._body)

    def get_hints(self) -> dict[Any, int]:
        return {Hint.FRONT_ARTICLE: self._type == "text/html"}


def knocks() -> bytes:
    """Five strokes on a nail, each a little higher, the last short and heavy: a WAV file."""
    rate, sound = 8000, []
    for tone, fades, length in (
        (620, 14, 0.5), (700, 14, 0.5), (790, 15, 0.5), (890, 16, 0.5), (180, 30, 0.6),
    ):  # fmt: skip
        for step in range(int(rate * length)):
            at = step / rate
            ring = math.sin(2 * math.pi * tone * at) + 0.4 * math.sin(2 * math.pi * tone * 2.7 * at)
            sound.append(int(16_000 * math.exp(-fades * at) * ring))
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(sound)}h", *sound))
    return made.getvalue()


def _rule(sha256: str, now: datetime) -> Rule:
    said: dict[str, Any] = {
        "id": RULE,
        "title": {"nb": "Tre og verktøy", "nn": "Tre og verktøy", "en": "Wood and tools"},
        "description": {
            "nb": "Korte sider om verktøy og treslag, til snekkerverkstedet. Kan søkes i.",
            "nn": "Korte sider om verktøy og treslag, til snikkarverkstaden. Kan søkjast i.",
            "en": "Short pages about tools and wood, for the joinery. Can be searched.",
        },
        "host": HOST,
        "profile": "frozen",
        "copy": {"sha256": sha256, "kind": "zim"},
        "scope": {"units": [UNIT]},
        "owner": "Demonstrasjonen",
        "author": "–",
        "reviewer": "Den andre",
        "reason": "Leses i snekkerverkstedet.",
        "expires": (now + timedelta(days=500)).date(),
        "examples": {
            "pass": [f"https://{HOST}/{MAIN}", f"https://{HOST}/hammer"],
            "refuse": [f"https://{HOST}/hammer?spor=1", "https://www.treogverktoy.example/"],
        },
    }
    return Rule.model_validate({**said, "scope": {"units": (UNIT,)}}, strict=False)


def _in_force(uow: UnitOfWork, rule: Rule, now: datetime) -> None:
    """One officer proposes and another approves: the database signs with the actor's name."""
    people = {one.username: one.id for one in uow.scalars(select(Person))}
    unit = uow.scalars(select(Unit.id).where(Unit.slug == UNIT)).one()
    at = now - timedelta(days=14)
    uow.act_as(people["sigrid"])
    proposal = Proposal(
        rule_id=RULE, unit_id=unit, action="add", body=body_of(rule), based_on=None,
        reason="Verkstedet trenger det. Ingen lenker ut.", proposed_by=people["sigrid"],
        proposed_name="", proposer_units=[], proposed_at=at,
    )  # fmt: skip
    uow.add(proposal)
    uow.flush()
    uow.act_as(people["stein"])
    proposal.state, proposal.decided_at = "approved", at + timedelta(days=1)
    uow.flush()
    uow.act_as(None)
