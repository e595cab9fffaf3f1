"""Distinguished names and filters: comparing the one, escaping into the other.

A mapping file is written by hand and ``memberOf`` is written by a server, so the same group comes
as ``CN=Lærere, OU=Skole,DC=fylke`` and as ``cn=L\\c3\\a6rere,ou=skole,dc=fylke``. Both are brought
to one key here (RFC 4514 for the form, case-insensitive values as every naming attribute in use).
"""

from __future__ import annotations

import re
import unicodedata

DnKey = tuple[tuple[tuple[str, str], ...], ...]
"""A DN brought to one form: RDNs from the entry up to the root, each its sorted (type, value)."""

_TYPE = re.compile(r"\s*(?:OID\.)?([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)\s*=", re.IGNORECASE)
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_MAY_BE_ESCAPED = frozenset(' "#+,;<=>\\')
_MUST_BE_ESCAPED = frozenset('"<>;\x00')
_UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def dn_key(dn: str) -> DnKey:
    """``dn`` in the form that equal names share. Raises ``ValueError`` saying what is wrong."""
    rdns: list[tuple[tuple[str, str], ...]] = []
    pairs: list[tuple[str, str]] = []
    position = 0
    while True:
        found = _TYPE.match(dn, position)
        if found is None:
            raise ValueError(f"no attribute and '=' at character {position + 1}")
        value, position = _value(dn, found.end())
        if not value:
            raise ValueError(f"{found[1]} has no value")
        pairs.append((found[1].lower(), fold(value)))
        separator = dn[position : position + 1]
        if separator != "+":
            rdns.append(tuple(sorted(pairs)))
            pairs = []
        if not separator:
            return tuple(rdns)
        position += 1


def _value(dn: str, position: int) -> tuple[str, int]:
    """The unescaped value that starts at ``position``, and where it ends (a comma, plus or end)."""
    value = bytearray()
    keep = 0  # what lies before this was escaped or is no space: never trimmed
    while position < len(dn) and dn[position] not in ",+":
        character = dn[position]
        if character == "\\":
            if _HEX.match(dn, position + 1):
                value.append(int(dn[position + 1 : position + 3], 16))
                position += 3
            elif dn[position + 1 : position + 2] in _MAY_BE_ESCAPED and position + 1 < len(dn):
                value += dn[position + 1].encode()
                position += 2
            else:
                raise ValueError(f"a lone backslash at character {position + 1}")
            keep = len(value)
            continue
        if character in _MUST_BE_ESCAPED:
            raise ValueError(f"{character!r} without a backslash at character {position + 1}")
        if character != " " or value:
            value += character.encode("utf-8", "surrogatepass")
        position += 1
        if character != " ":
            keep = len(value)
    try:
        return value[:keep].decode(), position
    except UnicodeDecodeError:
        raise ValueError("an escaped byte is not UTF-8") from None


def fold(text: str) -> str:
    """``text`` as the case-ignoring match of LDAP sees it, near enough to compare names with."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def is_below(key: DnKey, base: DnKey) -> bool:
    """Whether ``key`` is ``base`` or lies under it."""
    return len(key) >= len(base) and key[len(key) - len(base) :] == base


def escape(value: str) -> str:
    """``value`` as an assertion inside a filter, every byte of it escaped.

    RFC 4515 asks for five characters only. Escaping all leaves nothing to the care of the parser
    between here and the server: no byte of ``value`` is seen as filter syntax, trimmed or split on.
    """
    return "".join(f"\\{byte:02x}" for byte in value.encode())


def is_sendable_name(name: str, longest: int) -> bool:
    """Whether a typed user name is worth asking a directory about.

    Refused: nothing but spaces, over-long, control characters (NUL among them), lone surrogates,
    unassigned and invisible characters. The last matter because a directory may drop them when it
    compares (RFC 4518), so that one account would have any number of names to be guessed under.
    """
    return (
        bool(name.strip())
        and len(name) <= longest
        and not any(unicodedata.category(character) in _UNSAFE for character in name)
    )


def is_sendable_password(password: str, longest: int) -> bool:
    """Whether a typed password may be sent in a bind.

    An empty one would be an *unauthenticated bind*, which many servers answer with success. One of
    spaces only is refused with it. Over-long ones, NUL and lone surrogates are no password either.
    """
    if not password.strip() or len(password) > longest or "\x00" in password:
        return False
    return not any(unicodedata.category(character) == "Cs" for character in password)


def tidy(text: str, longest: int = 200) -> str:
    """A display name without line breaks, control characters or marks that turn the text around."""
    kept = "".join(
        character
        for character in " ".join(text.split())
        if unicodedata.category(character) not in {"Cc", "Cn", "Co", "Cs", "Zl", "Zp"}
        and not "\u202a" <= character <= "\u202e"
        and not "\u2066" <= character <= "\u2069"
    )
    return kept[:longest].strip()
