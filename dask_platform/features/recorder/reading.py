"""What stands in a page and stays closed: forms, and links to where people write or log in.

Only the names of places are read from it, for the officer to see and for ``closed`` in a rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import ada_url
from selectolax.lexbor import LexborHTMLParser

from dask_platform.features.recorder.seen import Seen, What
from dask_platform.security.reader.encoding import decode
from dask_platform.security.weburl import BadAddress, parse

FOUND_MOST: Final = 60
_TITLE_MOST: Final = 200
#: What a link is for → the words that a part of its path is then made of.
_WORDS: Final = {
    "login": {
        *("account", "auth", "bruker", "innlogging", "innlogget", "konto", "logg-inn", "logginn"),
        *("login", "log-in", "logout", "min-side", "minside", "password", "register", "registrer"),
        *("registrering", "sign-in", "signin", "sign-up", "signup", "sso", "user"),
    },
    "search": {"finn", "search", "sok", "søk", "sokeresultat", "søkeresultat"},
    "contact": {
        *("contact", "contact-us", "feedback", "kontakt", "kontakt-oss", "support"),
        *("tilbakemelding", "tips", "tips-oss"),
    },
    "talk": {
        *("chat", "comment", "comments", "debatt", "del", "discuss", "discussion", "diskusjon"),
        *("edit", "forum", "kommentar", "kommentarer", "rediger", "share", "talk"),
    },
}
_PURPOSE: Final = {word: purpose for purpose, words in _WORDS.items() for word in words}
# A wiki writes the purpose in front: «Diskusjon:Katt», «Special:UserLogin».
_PARTS: Final = re.compile(r"[/:.]")


@dataclass(frozen=True, slots=True)
class PageRead:
    """``text``: characters that are there without script. ``runs``: it has script at all.
    ``found``: forms and telling links."""

    title: str
    text: int
    runs: bool
    found: tuple[Seen, ...]


def purpose(path: str) -> str | None:
    """What a place is for, by its path: ``login``, ``search``, ``contact``, ``talk``; or None."""
    for part in _PARTS.split(unquote(path).lower()):
        if part in _PURPOSE:
            return _PURPOSE[part]
    return None


def read_page(data: bytes, charset: str | None, base: str) -> PageRead:
    """Read a page at ``base``. Never raises for any bytes; what it finds is capped."""
    text, _encoding = decode(data, charset)
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    said = " ".join(title.text().split())[:_TITLE_MOST] if title else ""
    found: dict[tuple[str, str, What], Seen] = {}

    def note(address: str | None, kind: What, why: str | None) -> None:
        seen = _place(address, base, kind, why)
        if seen is not None and len(found) < FOUND_MOST:
            found.setdefault((seen.host, seen.path, kind), seen)

    for form in tree.css("form"):
        method = (form.attributes.get("method") or "get").strip().upper()
        note(
            form.attributes.get("action") or base, What.FORM, "POST" if method == "POST" else "GET"
        )
    for link in tree.css("a[href]"):
        note(link.attributes.get("href"), What.LINK, None)
    runs = tree.css_first("script") is not None
    tree.strip_tags(["script", "style", "noscript", "template"])
    body = tree.body
    shown = len(" ".join(body.text(separator=" ").split())) if body else 0
    return PageRead(said, shown, runs, tuple(found.values()))


def _place(address: str | None, base: str, kind: What, why: str | None) -> Seen | None:
    """Where ``address`` leads, if that is worth telling."""
    if not address:
        return None
    try:
        at = parse(str(ada_url.join_url(base, address.strip())).partition("#")[0])
    except (BadAddress, ValueError):
        return None
    path = at.text.removeprefix(f"https://{at.host}").partition("?")[0]
    why = why or (purpose(at.path) if at.host == parse(base).host else None)
    if why is None or len(path) > 1000:
        return None
    return Seen(at.host, path, kind, status=0, times=1, note=why)
