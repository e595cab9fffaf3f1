"""Titles and names that a teacher gives, and the part of an address made from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.messages import N_
from dask_platform.security.names import clean_text

_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "å": "a", "ß": "ss", "đ": "d", "ð": "d", "þ": "th"})


def one_line(raw: str, most: int) -> str:
    """``raw`` on one line, cleaned. Raises ``Invalid`` when empty, ``TooLarge`` over ``most``."""
    line = " ".join(clean_text(raw, most).split())
    if not any(char.isalnum() for char in line):
        raise Invalid(N_("Write a name with letters or numbers."))
    return line


def slug_for(title: str, taken: Collection[str], *, fallback: str) -> str:
    """A slug like the title and unlike those that are taken: ``fare-og-risiko``, ``…-2``.

    ``fallback`` is for a title in a script that has no Latin letters.
    """
    plain = unicodedata.normalize("NFKD", title.lower().translate(_LETTERS))
    base = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode())[:60].strip("-")
    base = base or fallback
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug
