"""What a parameter may hold."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Final

from dask_platform.features.whitelists.rules import Kind, Parameter

_WORD: Final = re.compile(r"[A-Za-z0-9._-]*")
_DIGITS: Final = re.compile(r"[0-9]*")
# An address inside a parameter asks the site to go there for one: a way around this whole list.
_ADDRESS: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}|\b(?:https?|javascript|data|ftp):", re.I
)


def fits(parameter: Parameter, value: str) -> bool:
    """Whether ``value`` is within the parameter's kind and length. An address never fits."""
    if len(value) > parameter.length:
        return False
    match parameter.type:
        case Kind.INTEGER:
            return _DIGITS.fullmatch(value) is not None
        case Kind.WORD:
            return _WORD.fullmatch(value) is not None
        case Kind.CHOICE:
            return value in parameter.choices
        case Kind.DATE:
            return not value or _is_date(value)
        case Kind.TEXT:
            return _plain_text(value)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _plain_text(value: str) -> bool:
    """Letters as people write them: no control or format characters, which nobody would see."""
    seen = unicodedata.normalize("NFKC", value)
    return not _ADDRESS.search(seen) and not any(
        unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn") for one in value
    )
