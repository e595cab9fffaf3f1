"""User names."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.messages import N_

USERNAME_MOST: Final = 100
_NEW = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


def normal_username(raw: str) -> str:
    """The one form in which a user name is kept, looked up and counted."""
    return unicodedata.normalize("NFKC", raw).strip().lower()


def new_username(raw: str) -> str:
    """A user name for a local account: 2–40 characters, a–z, 0–9 and ``. _ -`` inside.

    Narrow on purpose: it is typed on an unknown keyboard, read aloud, and shown to staff. Raises
    ``Invalid``.
    """
    name = normal_username(raw)
    if not 2 <= len(name) <= 40 or _NEW.fullmatch(name) is None:
        raise Invalid(
            N_(
                "Write a user name of 2 to 40 characters: letters a to z, numbers, and a full stop,"
                " a line or an underscore inside."
            ),
            field="username",
        )
    return name
