"""One way to read a web address, for deciding and for fetching alike.

Two parsers that disagree on one address are a hole: one decides, the other fetches. So an address
is parsed once, as a browser does (the WHATWG URL standard, by ada), and only an address that is
already written the way that parser writes it is looked at any further. What follows can then be cut
up by hand without doubt, and what goes upstream is the very text that was decided on.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

import ada_url

MOST_CHARACTERS: Final = 2000
MOST_PARAMETERS: Final = 30

Fault = Literal["bad_url", "not_canonical", "scheme", "userinfo", "port", "encoding"]

_HTTPS: Final = "https://"
# WHATWG leaves these in a path as they are; servers behind the host differ on what they mean.
_AMBIGUOUS: Final = re.compile(r"%(?:2f|5c|2e|3b|00|25[0-9a-f]{2})", re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HOST: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
# An address that is written so plainly that every parser reads it alike, and the standard leaves as
# it is: no escape, no dot at the beginning of a segment, no alphabet but ours. Most are.
# Possessive, so that no text makes it try again.
_SEGMENT: Final = r"[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_.~!$&'()*+,=:@-]*+"
_PLAIN: Final = re.compile(
    r"https://(?P<host>(?!(?:[a-z0-9-]*+\.)*xn--)"
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9])"
    rf"(?P<path>/(?:{_SEGMENT}(?:/{_SEGMENT})*+/?)?)"
    r"(?:\?(?P<query>[A-Za-z0-9_.~!$&()*+,=:@/-]++))?"
)


class BadAddress(Exception):
    """An address that nothing is decided on. ``fault`` says which kind of wrong it is."""

    def __init__(self, fault: Fault, canonical: str | None = None) -> None:
        super().__init__(fault)
        self.fault: Fault = fault
        #: How a browser would write it, where it could be read at all.
        self.canonical = canonical


class WebAddress(NamedTuple):
    """An https address without user, port and fragment.

    ``text`` is what goes upstream. ``path`` is decoded once (UTF-8, NFC) and begins with a slash;
    ``query`` are the decoded pairs in their order.
    """

    text: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]


def parse(given: str) -> WebAddress:
    """Read ``given``. Raises ``BadAddress`` for anything but an https address on port 443 that is
    its own canonical form; a fragment, which no server sees, is left out.

    Refused with it: user names, any port, IP addresses, a dot at the end of the host, encoded
    slashes, dots, backslashes and semicolons, twice-encoded characters, empty segments, path
    parameters, bytes that are no UTF-8, control characters, and text that is not in NFC.
    """
    plain = _PLAIN.fullmatch(given) if len(given) <= MOST_CHARACTERS else None
    if plain is not None:
        host, path, query = plain.groups()
        return WebAddress(given, host, path, _query(query, given) if query else ())
    if not given.startswith(_HTTPS) or len(given) > MOST_CHARACTERS or not given.isascii():
        raise _fault(given)
    text, mark, _fragment = given.partition("#")
    try:
        canonical = ada_url.normalize_url(given)
    except ValueError:
        raise BadAddress("bad_url") from None
    if canonical != given:
        raise _fault(given)
    host, slash, rest = text[len(_HTTPS) :].partition("/")
    if not _HOST.fullmatch(host):
        raise _fault(given)
    raw_path, question, raw_query = (slash + rest).partition("?")
    if mark and not _fragment:
        raise BadAddress("not_canonical", text)
    if question and not raw_query:
        raise BadAddress("not_canonical", f"{_HTTPS}{host}{raw_path}")
    return WebAddress(
        text, host, _path(raw_path, canonical), _query(raw_query, canonical) if raw_query else ()
    )


def _fault(given: str) -> BadAddress:
    """Why ``given`` is not an address in its own canonical form."""
    if len(given) > MOST_CHARACTERS:
        return BadAddress("bad_url")
    try:
        url = ada_url.URL(given)
    except (ValueError, UnicodeError):
        return BadAddress("bad_url")
    canonical = url.href
    if url.username or url.password:
        # Not repeated: it may hold a password.
        return BadAddress("userinfo")
    if url.protocol != "https:":
        return BadAddress("scheme", canonical)
    if url.port:
        return BadAddress("port", canonical)
    if canonical != given:
        return BadAddress("not_canonical", canonical)
    return BadAddress("bad_url", canonical)


def _path(raw: str, canonical: str) -> str:
    if ";" in raw or "//" in raw:
        raise BadAddress("encoding", canonical)
    if "%" not in raw:
        return raw
    if _AMBIGUOUS.search(raw):
        raise BadAddress("encoding", canonical)
    return _decoded(raw, canonical)


def _query(raw: str, canonical: str) -> tuple[tuple[str, str], ...]:
    """The pairs of a query, as forms write them: ``+`` is a space, pairs are parted by ``&``."""
    parts = raw.split("&")
    if len(parts) > MOST_PARAMETERS or ";" in raw:
        raise BadAddress("encoding", canonical)
    pairs = []
    for part in parts:
        name, _equals, value = part.partition("=")
        pairs.append(
            (
                _decoded(name.replace("+", " "), canonical),
                _decoded(value.replace("+", " "), canonical),
            )
        )
    return tuple(pairs)


def _decoded(raw: str, canonical: str) -> str:
    if "%" not in raw:
        return raw
    if _BROKEN_ESCAPE.search(raw):
        raise BadAddress("encoding", canonical)
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadAddress("encoding", canonical) from None
    if _CONTROL.search(text) or not unicodedata.is_normalized("NFC", text):
        raise BadAddress("encoding", canonical)
    return text


def is_host(text: str) -> bool:
    """Whether ``text`` is a host name in its normal form: lower case, A-labels, no dot at the end,
    a letter first in the last label, so no IP address in any spelling."""
    return len(text) <= 253 and _HOST.fullmatch(text) is not None
