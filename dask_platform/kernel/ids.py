"""Identifiers.

Row ids are random (UUID version 4), never counted: a number that grows tells one student how
much the others do. The same holds for receipt codes, which a person reads aloud and types.
"""

from __future__ import annotations

import secrets
import uuid

# No I, L, O, U, 0, 1: read aloud and copied by hand without mistakes (Crockford's idea).
_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"


def new_id() -> uuid.UUID:
    """A fresh random row id."""
    return uuid.uuid4()


def new_code(groups: int = 3, size: int = 4) -> str:
    """A random code such as ``K7QF-2M9P-XW3B``: ``groups`` × ``size`` letters, ~4.9 bits each."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(size)) for _ in range(groups))


def new_token() -> str:
    """A secret of 256 bits, safe in a cookie."""
    return secrets.token_urlsafe(32)
