"""How a text may be written in an address, as a regular expression.

The expressions use only what POSIX extended, PCRE, .NET, ICU and Python read alike. They hold for
addresses in *plain spelling*: letters, digits and ``-._~`` stand as they are, other ASCII marks as
they are or escaped, and of the rest only the letters of Latin script. Any other spelling of an
allowed address is closed, never the reverse: a program with nothing but expressions cannot decode,
and so cannot know what it would let through.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Final

_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
#: Marks that stand as they are in a path, and those that do in a query.
PATH_MARKS: Final = "!$&'()*+,:=@"
QUERY_MARKS: Final = "!$()*,/:=?@"
#: Marks that may stand escaped. Not the slash, dot, backslash, semicolon and percent sign, which
#: two servers read in two ways.
_ESCAPED: Final = " !\"#$&'()*+,:<=>?@[]^`{|}"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


#: U+00C0–U+017F without those that fold to something longer or that are other letters in disguise.
LETTERS: Final = frozenset(
    letter
    for letter in map(chr, range(0xC0, 0x180))
    if unicodedata.normalize("NFKC", letter) == letter
    and len(_folded(letter)) == 1
    and not _folded(letter).isascii()
)
#: Every character that a plain spelling may stand for, but the slash.
ALPHABET: Final = _UNRESERVED | frozenset(_ESCAPED) | LETTERS


def speakable(text: str) -> bool:
    """Whether ``text``, of a path, can be written in plain spelling at all."""
    return unicodedata.is_normalized("NFC", text) and all(
        one == "/" or one in ALPHABET for one in text
    )


def plainly(letter: str) -> str:
    """``letter`` as it is, in an expression."""
    return letter if letter.isalnum() or letter in " _-/~:=,@&'!\"<>#%" else f"\\{letter}"


def _hex(digit: str) -> str:
    return digit if digit.isdigit() else f"[{digit.upper()}{digit.lower()}]"


def _escape(letter: str) -> str:
    return "".join(f"%{_hex(f'{byte >> 4:X}')}{_hex(f'{byte & 15:X}')}" for byte in letter.encode())


def _one(letter: str, marks: str) -> str:
    if letter == "/" or letter in _UNRESERVED:
        return plainly(letter)
    ways = [plainly(letter)] if letter in marks else []
    ways.append(_escape(letter))
    return ways[0] if len(ways) == 1 else f"({'|'.join(ways)})"


def literal(text: str) -> str:
    """``text`` in a path, exactly."""
    return "".join(_one(letter, PATH_MARKS) for letter in text)


def value(text: str) -> str:
    """``text`` in a query, exactly; a space is ``+`` there too."""
    return "".join(
        "(\\+|%20)" if letter == " " else _one(letter, f"{QUERY_MARKS}[]") for letter in text
    )


@cache
def _alike() -> dict[str, tuple[str, ...]]:
    """What folds to the same: ``å`` → ``Å``, ``å``."""
    found = defaultdict(list)
    for letter in sorted(ALPHABET):
        found[_folded(letter)].append(letter)
    return {folded: tuple(letters) for folded, letters in found.items()}


def folded_literal(text: str) -> str | None:
    """A folded ``text`` in a path in any case; None where no plain spelling folds to it."""
    parts = []
    for letter in text:
        ways = ("/",) if letter == "/" else _alike().get(letter)
        if ways is None:
            return None
        if len(ways) > 1 and all(way.isascii() for way in ways):
            parts.append(f"[{''.join(ways)}]")
        else:
            spelled = [_one(way, PATH_MARKS) for way in ways]
            parts.append(spelled[0] if len(spelled) == 1 else f"({'|'.join(spelled)})")
    return "".join(parts)


def _bytes(codes: Iterable[int]) -> str:
    """One escaped byte out of ``codes``."""
    rows = defaultdict(list)
    for code in sorted(codes):
        rows[code >> 4].append(f"{code & 15:X}")
    same = defaultdict(list)
    for high, lows in rows.items():
        same["".join(low if low.isdigit() else low + low.lower() for low in lows)].append(
            f"{high:X}"
        )
    return "|".join(
        f"%[{''.join(h if h.isdigit() else h + h.lower() for h in highs)}][{lows}]"
        for lows, highs in same.items()
    )


@cache
def any_letter() -> str:
    """One letter beyond ASCII."""
    rows = defaultdict(list)
    for letter in LETTERS:
        lead, trail = letter.encode()
        rows[lead].append(trail)
    return "|".join(
        f"{_escape_byte(lead)}({_bytes(trails)})" for lead, trails in sorted(rows.items())
    )


def _escape_byte(byte: int) -> str:
    return f"%{_hex(f'{byte >> 4:X}')}{_hex(f'{byte & 15:X}')}"


@cache
def any_character() -> str:
    """One character of a path, but the slash."""
    return f"([A-Za-z0-9._~!$&'()*+,:=@-]|{_bytes(map(ord, _ESCAPED))}|{any_letter()})"


@cache
def any_text() -> str:
    """One character of a text in a query."""
    escaped = _bytes(ord(one) for one in f"{_ESCAPED}/")
    return f"([A-Za-z0-9._~!$()*+,/:=?@-]|{escaped}|{any_letter()})"
