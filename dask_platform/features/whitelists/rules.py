"""What a rule says. The published JSON Schema (``whitelists/rule.schema.json``) is made from this.

A rule opens a part of one site and nothing else. What it does not say is closed. No field takes a
pattern: a path is a prefix that ends where a segment ends, a parameter has a name, a kind and a
length. What one rule must not hold is refused here; what only shows beside other rules is refused
by ``checks``.
"""

from __future__ import annotations

import re
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from dask_platform.kernel.messages import N_
from dask_platform.security.weburl import is_host

MIB: Final = 1024 * 1024
MOST_BYTES: Final = 2048 * MIB
DEFAULT_BYTES: Final = 20 * MIB
MOST_LABELS: Final = 12
#: Parameters by which open redirects, translators, caches and proxies are told where to go.
RELAY_NAMES: Final = frozenset(
    (
        *("continue", "dest", "destination", "goto", "link", "next", "out", "redir", "redirect"),
        *("redirect_uri", "ref", "referer", "return", "return_to", "returnurl", "site", "target"),
        *("to", "u", "uri", "url", "view"),
    )
)


class Fault(ValueError):
    """Something that a rule must not say: an English sentence to be translated, and what stands in
    it. As text it is the sentence, filled."""

    def __init__(self, message: str, **params: object) -> None:
        super().__init__(message % params if params else message)
        self.message = message
        self.params = params


class Profile(StrEnum):
    """How a site is shown: from an approved copy, cleaned of script, or with its own script."""

    FROZEN = "frozen"
    READER = "reader"
    SCRIPTED = "scripted"


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class Kind(StrEnum):
    """What a parameter or field may hold."""

    INTEGER = "integer"  # digits
    WORD = "word"  # letters, digits, dot, hyphen, underscore
    DATE = "date"  # 2026-11-22
    CHOICE = "choice"  # one of a list
    TEXT = "text"  # free text: what a student writes leaves the house


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise Fault(N_("A path begins with /."))
    if any(mark in value for mark in ("//", "?", "#", ";", "%", "\\", "*")):
        raise Fault(N_("Write the path as it is read: no ?, #, ;, %, \\, * and no //."))
    if any(part in (".", "..") for part in value.split("/")):
        raise Fault(N_("A path has no . or .. of its own."))
    return value


def _host(value: str) -> str:
    if not is_host(value):
        raise Fault(
            N_(
                "Write the host in its normal form: lower case, xn-- for other letters,"
                " no address in numbers, no port, no dot at the end."
            )
        )
    return value


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=60)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\[\]-]{1,60}$")]
Mime = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]{1,60}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Address = Annotated[str, StringConstraints(min_length=9, max_length=2000)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Level = Literal["high", "low", "transitional"]

_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class Part(BaseModel):
    """Unknown keys are refused, and nothing is turned into what it is not. Rules are read as JSON
    (``model_validate_json``), which has no tuples and no dates of its own."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class Words(Part):
    """The same words in three languages. English may be left out: bokmål is shown instead."""

    nb: Line
    nn: Line
    en: Line | None = None


class Parameter(Part):
    """A parameter of a query, or a field of a form."""

    name: Name
    type: Kind
    length: int = Field(default=60, ge=1, le=500)
    """The most characters."""
    choices: tuple[Line, ...] = ()
    """For ``choice``: what it may be."""

    @model_validator(mode="after")
    def _fits(self) -> Parameter:
        if (self.type is Kind.CHOICE) != bool(self.choices):
            raise Fault(N_("A choice lists its choices, and nothing else does."))
        if self.name.lower().startswith("_dask_"):
            raise Fault(N_("Names that begin with _dask_ are the platform's own."))
        if self.name.lower() in RELAY_NAMES and self.type in (Kind.TEXT, Kind.WORD):
            raise Fault(
                N_("A parameter named %(name)s tells many sites where to go to. It stays closed."),
                name=self.name,
            )
        return self


class Form(Part):
    """A form that may be sent. A GET form's fields are the query of that very path."""

    path: str
    method: Literal["GET", "POST"] = "GET"
    fields: tuple[Parameter, ...] = Field(min_length=1, max_length=20)

    _path = field_validator("path")(_path)


class Helper(Part):
    """A host that the pages fetch pictures, styles, fonts or (``scripted``) script from."""

    host: str
    paths: tuple[str, ...] = Field(default=("/",), min_length=1, max_length=50)
    types: tuple[Mime, ...] = Field(min_length=1, max_length=30)
    query: tuple[Parameter, ...] = Field(default=(), max_length=10)

    _host = field_validator("host")(_host)
    _paths = field_validator("paths")(lambda paths: tuple(_path(one) for one in paths))

    @field_validator("types")
    @classmethod
    def _no_pages(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if "text/html" in types or "application/xhtml+xml" in types:
            raise Fault(N_("A helper host gives no pages. Make a rule of its own for that host."))
        return types


class FrozenCopy(Part):
    """The bytes that a ``frozen`` rule shows, and no others."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    kind: Literal["zim", "warc"]


class Scope(Part):
    """Whom a rule is for. What is left empty is not narrowed."""

    units: tuple[Slug, ...] = ()
    security_levels: tuple[Level, ...] = ()
    courses: tuple[Slug, ...] = ()
    sittings: tuple[Slug, ...] = ()


class Hours(Part):
    """When a rule is open, by the clock on the wall in Norway."""

    days: tuple[Day, ...] = Field(min_length=1, max_length=7)
    opens: str = Field(alias="from")
    closes: str = Field(alias="to")

    @field_validator("opens", "closes")
    @classmethod
    def _clock(cls, value: str) -> str:
        if not _CLOCK.fullmatch(value):
            raise Fault(N_("Write the time in quotes, as «08:00». The end of the day is «24:00»."))
        return value

    @model_validator(mode="after")
    def _forward(self) -> Hours:
        if self.opens >= self.closes:
            raise Fault(N_("The hours end before they begin. Past midnight, write two of them."))
        return self

    def hold(self, weekday: int, at: time) -> bool:
        """Whether ``at`` on the ``weekday`` (Monday is 0) lies within them; the end is outside."""
        day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[weekday]
        return day in self.days and self.opens <= f"{at:%H:%M}" < self.closes


class Examples(Part):
    """Addresses that the rule is tried on each time it is loaded."""

    allowed: tuple[Address, ...] = Field(default=(), max_length=50, alias="pass")
    refused: tuple[Address, ...] = Field(default=(), max_length=50, alias="refuse")


class Rule(Part):
    """One approved resource; with ``effect: deny``, a place that stays closed whoever opens it."""

    id: Slug
    title: Words
    description: Words
    effect: Effect = Effect.ALLOW
    host: str
    subdomains: bool = False
    """Also every host below it."""
    paths: tuple[str, ...] = Field(default=("/",), max_length=100)
    """What is open: each with all that lies under it. Upper and lower case differ."""
    only: tuple[str, ...] = Field(default=(), max_length=200)
    """Single pages that are open without what lies under them."""
    closed: tuple[str, ...] = Field(default=(), max_length=100)
    """What stays closed under the paths. Upper and lower case do not differ."""
    without: tuple[Annotated[str, StringConstraints(min_length=1, max_length=20)], ...] = Field(
        default=(), max_length=20
    )
    """What no path may hold anywhere, such as «:» in a wiki. Upper and lower case do not differ."""
    longest: int = Field(default=200, ge=1, le=1000)
    """The most characters of a path. What a path says, the site's log says too."""
    query: tuple[Parameter, ...] = Field(default=(), max_length=30)
    methods: tuple[Literal["GET", "HEAD"], ...] = ("GET", "HEAD")
    types: tuple[Mime, ...] = Field(default=(), max_length=30)
    """What an answer may be. Left empty: what the profile shows."""
    largest: int = Field(default=DEFAULT_BYTES, ge=1024, le=MOST_BYTES)
    """The most bytes of one answer."""
    profile: Profile = Profile.READER
    frozen_copy: FrozenCopy | None = Field(default=None, alias="copy")
    """For ``frozen``: the copy, by its hash. Left out, the rule shows nothing: each installation
    has copies of its own."""
    helpers: tuple[Helper, ...] = Field(default=(), max_length=20)
    forms: tuple[Form, ...] = Field(default=(), max_length=10)
    scope: Scope = Scope()
    hours: tuple[Hours, ...] = Field(default=(), max_length=14)
    supervised: bool = False
    """Open only while a named member of staff has opened it for a room."""
    owner: Line
    """Who answers for the rule: an office, not a person who may have left."""
    author: Line
    reviewer: Line
    reason: Line
    expires: date
    examples: Examples

    _host = field_validator("host")(_host)
    _paths = field_validator("paths", "only", "closed")(
        lambda paths: tuple(_path(one) for one in paths)
    )

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        if self.author.casefold() == self.reviewer.casefold():
            raise Fault(N_("The reviewer is the author. Nobody approves their own rule."))
        if not self.paths and not self.only:
            raise Fault(N_("Nothing is opened: give paths, or single pages under only."))
        names = [one.name for one in self.query]
        if len(names) != len(set(names)):
            raise Fault(N_("A parameter stands twice."))
        if self.effect is Effect.DENY:
            opening = ("closed", "forms", "helpers", "hours", "only", "query", "without")
            given = [name for name in opening if getattr(self, name)]
            if given:
                raise Fault(N_("A rule that closes has no %(what)s."), what=", ".join(given))
            if not self.examples.refused:
                raise Fault(N_("Give at least one address under refuse."))
        elif not (self.examples.allowed and self.examples.refused):
            raise Fault(N_("Give at least one address under pass and one under refuse."))
        if self.frozen_copy is not None and self.profile is not Profile.FROZEN:
            raise Fault(N_("Only a rule with the profile frozen names a copy."))
        if self.profile is Profile.SCRIPTED and len(self.helpers) > MOST_LABELS:
            raise Fault(
                N_(
                    "A scripted rule has at most %(most)s helpers: the browser is led through"
                    " the label of each."
                ),
                most=MOST_LABELS,
            )
        if any(one.method == "POST" for one in self.forms) and not self.supervised:
            raise Fault(N_("A form that is sent with POST needs a supervised rule."))
        return self
