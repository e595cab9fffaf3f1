"""Every address of a page, on its one way out: resolved, placed by the caller, or gone."""

from __future__ import annotations

import re
from typing import Final, Protocol

import ada_url

from dask_platform.security.reader.parts import PREFIX, Ask, Kind, Place

MOST_URL: Final = 4_000
MOST_REFUSED: Final = 200
MOST_CANDIDATES: Final = 30

_OURS: Final = re.compile(r"(?:https?://|/(?!/))[^\x00-\x20\x7f\\]*")
_FRAGMENT: Final = re.compile(r"[^\x00-\x20\x7f\\\"'<>`]{1,300}")
_DESCRIPTOR: Final = re.compile(r"[0-9]{1,6}w|[0-9]{1,3}(?:\.[0-9]{1,4})?x")
_CANDIDATE: Final = re.compile(r"[\s,]*(?P<url>\S+)(?P<rest>(?:[^,(]|\([^)]*\))*),?")


class Addresses(Protocol):
    """Where the writer takes addresses from. ``None``: there is no place for it."""

    def place(self, raw: str | None, kind: Kind) -> str | None: ...

    def link(self, raw: str) -> str | None: ...

    def ask(self, raw: str) -> str | None: ...

    def is_ours(self, raw: str | None) -> bool: ...

    def form(self, action: str) -> str | None: ...

    def resolved(self, raw: str) -> str | None: ...


def resolve(raw: str, base: str) -> tuple[str, str] | None:
    """The absolute address and the fragment; None for anything but ``http`` and ``https``."""
    if len(raw) > MOST_URL:
        return None
    try:
        url = ada_url.join_url(base, raw)
    except (ValueError, UnicodeError):
        return None
    if not url.startswith(("https://", "http://")):
        return None
    address, _mark, fragment = url.partition("#")
    return address, fragment


def checked(url: str) -> str:
    """``url``, which the caller gave as an address of ours. Raises ``ValueError`` if it could be
    read as anything else: the mistake would be the caller's, and a hole."""
    if not _OURS.fullmatch(url):
        raise ValueError(f"not an address of ours: {url!r}")
    return url


class Placed:
    """The addresses of a page as they are found on it."""

    def __init__(self, base: str, place: Place, ask: Ask) -> None:
        self.base = base
        self._page = base.partition("#")[0]
        self._place = place
        self._ask = ask
        self._known: dict[tuple[str, Kind], str | None] = {}
        self._resolved: dict[str, tuple[str, str] | None] = {}
        self.refused: dict[tuple[Kind, str], None] = {}
        #: Every address that was handed out, exactly as it was.
        self.given: set[str] = set()

    def rebase(self, raw: str) -> None:
        """Follow ``<base href>``: addresses are resolved from there, and only that."""
        found = resolve(raw, self.base)
        if found is not None:
            self.base = found[0]

    def _find(self, raw: str) -> tuple[str, str] | None:
        try:
            return self._resolved[raw]
        except KeyError:
            found = self._resolved[raw] = resolve(raw, self.base)
            return found

    def resolved(self, raw: str) -> str | None:
        found = self._find(raw)
        return None if found is None else found[0]

    def place(self, raw: str | None, kind: Kind) -> str | None:
        if not raw or (found := self._find(raw)) is None:
            return None
        key = (found[0], kind)
        try:
            return self._known[key]
        except KeyError:
            pass
        placed = self._place(found[0], kind)
        if placed is None:
            if len(self.refused) < MOST_REFUSED:
                self.refused[kind, found[0]] = None
        else:
            self.given.add(checked(placed))
        self._known[key] = placed
        return placed

    def form(self, action: str) -> str | None:
        """Where a form of the rule is sent."""
        return self.place(action, "form")

    def link(self, raw: str) -> str | None:
        found = self._find(raw)
        if found is None:
            return None
        address, fragment = found
        mark = self._mark(fragment)
        if raw.lstrip("\t\n\f\r ").startswith("#") or address == self._page:
            if not mark and "#" in raw:
                return None
            if mark:
                self.given.add(mark)
                return mark
        placed = self.place(raw, "link")
        if placed is None:
            return None
        placed += mark
        self.given.add(placed)
        return placed

    @staticmethod
    def _mark(fragment: str) -> str:
        if not _FRAGMENT.fullmatch(fragment) or fragment.startswith(":~:"):
            return ""
        fragment = fragment.partition(":~:")[0]
        return f"#{fragment}" if fragment.startswith(PREFIX) else f"#{PREFIX}{fragment}"

    def ask(self, raw: str) -> str | None:
        url = self.resolved(raw)
        asked = None if url is None else self._ask(url)
        if asked is not None:
            self.given.add(checked(asked))
        return asked

    def is_ours(self, raw: str | None) -> bool:
        """Whether the caller answered ``raw`` with itself."""
        return bool(raw) and self.place(raw, "link") == raw


class Given:
    """The addresses of a page that we wrote: those that were handed out, and no other."""

    def __init__(self, placed: Placed) -> None:
        self._given = placed.given
        self._placed = placed

    def form(self, action: str) -> str | None:
        return self._placed.form(action)

    def place(self, raw: str | None, kind: Kind) -> str | None:
        return raw if raw in self._given else None

    def link(self, raw: str) -> str | None:
        return raw if raw in self._given else None

    def ask(self, raw: str) -> str | None:
        return None

    def is_ours(self, raw: str | None) -> bool:
        return raw in self._given

    def resolved(self, raw: str) -> str | None:
        return raw if raw in self._given else None


def srcset(raw: str, addresses: Addresses) -> str | None:
    """The candidates of a ``srcset`` that have a place; None where none has.

    An address that the attribute's own marks would cut in two is left out.
    """
    kept = []
    for found in list(_CANDIDATE.finditer(raw[: 8 * MOST_URL]))[:MOST_CANDIDATES]:
        url, rest = found["url"], found["rest"].strip()
        if url.endswith(","):
            url, rest = url.rstrip(","), ""
        if rest and not _DESCRIPTOR.fullmatch(rest):
            continue
        placed = addresses.place(url, "image")
        if placed is None or placed.endswith(",") or "," in placed[:1]:
            continue
        kept.append(f"{placed} {rest}".rstrip())
    return ", ".join(kept) or None
