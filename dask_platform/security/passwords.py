"""Passwords of local accounts: argon2id, and a policy in plain words."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from dataclasses import dataclass
from typing import Final

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from dask_platform.kernel.errors import Invalid

MAX_LENGTH: Final = 200
"""Characters; more is refused before any work is done."""

MIN_LENGTH_STAFF: Final = 12
MIN_LENGTH_STUDENT: Final = 10


@dataclass(frozen=True, slots=True)
class Profile:
    """What one hash costs: ``memory`` in KiB, ``passes`` over it, ``lanes`` side by side."""

    memory: int
    passes: int
    lanes: int


STANDARD: Final = Profile(memory=32 * 1024, passes=3, lanes=1)
"""RFC 9106, section 4, second recommended option (64 MiB, 3 passes, 4 lanes), at half the memory
and in one lane: a class logs in at the same minute, on a server with two cores and 250 MB for each
worker. It stays well above the least that OWASP's Password Storage Cheat Sheet accepts (19 MiB,
2 passes, 1 lane)."""

CHEAP: Final = Profile(memory=64, passes=1, lanes=1)
"""For tests and demo data. Production refuses nothing here by itself: it never names this one."""

_AT_ONCE = 2  # hashes at the same time in one process: 64 MiB at the most, whatever the threads

# The commonest passwords that are long enough for the rule on length, and what one would try
# first here. Compared in lower case, without digits and marks at the end.
_COMMON: Final = frozenset(
    {
        "abcdefghij", "abcdefghijkl", "administrator", "changeme", "changemenow", "dask",
        "daskplatform", "daskplattform", "datamaskin", "elevpassord", "fengsel", "fotball",
        "friomsorg", "football", "hemmelig", "iloveyou", "innlevering", "kriminalomsorg",
        "kriminalomsorgen", "letmein", "liverpool", "manchester", "manchesterunited", "nopassword",
        "norge", "oslo", "passord", "passordet", "passordpassord", "password", "passwordpassword",
        "princess", "qazwsxedcrfv", "qwerty", "qwertyuiop", "qwertyuiopå", "skole", "skolen",
        "sommer", "sommeren", "sunshine", "superman", "velkommen", "vinter", "vinteren", "welcome",
    }
)  # fmt: skip
_SEQUENCES: Final = (
    "01234567890123456789", "abcdefghijklmnopqrstuvwxyzæøå", "qwertyuiopåasdfghjkløæzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn", "1q2w3e4r5t6y7u8i9o0p",
)  # fmt: skip


def _normal(password: str) -> str:
    """One form for what looks the same: keyboards differ in how they send å."""
    return unicodedata.normalize("NFKC", password)


def _encodable(password: str) -> bool:
    return 0 < len(password) <= MAX_LENGTH and not any(
        0xD800 <= ord(character) <= 0xDFFF for character in password
    )


class PasswordHasher:
    """Makes and checks hashes. One for the process; threads may share it."""

    def __init__(self, profile: Profile = STANDARD) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=profile.passes,
            memory_cost=profile.memory,
            parallelism=profile.lanes,
            hash_len=32,
            salt_len=16,
            type=argon2.Type.ID,
        )
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        # A hash of something nobody knows: what an account that does not exist is checked against.
        self._dummy = self._argon2.hash(secrets.token_urlsafe(32))

    def hash_password(self, password: str) -> str:
        """A PHC string (``$argon2id$v=19$…``) with a salt of its own.

        Raises ``Invalid`` for what ``check_new_password`` could never have let through.
        """
        if not _encodable(password):
            raise Invalid("This password cannot be used. Choose another.", field="password")
        with self._turn:
            return self._argon2.hash(_normal(password))

    def verify_password(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one behind ``stored``.

        ``None`` (no such account, or one without a local password) takes the same time and is
        False, and so do an unreadable hash and a password that nobody could have set.
        """
        usable = _encodable(password)
        tried = _normal(password) if usable else "-"
        with self._turn:
            matches = self._matches(stored if stored is not None and usable else None, tried)
        return matches and usable

    def _matches(self, stored: str | None, password: str) -> bool:
        if stored is not None:
            try:
                return self._argon2.verify(stored, password)
            except InvalidHashError:
                pass  # a damaged row must not answer faster than a wrong password
            except Argon2Error:
                return False
        try:
            self._argon2.verify(self._dummy, password)
        except Argon2Error:
            return False
        return False

    def needs_rehash(self, stored: str) -> bool:
        """Whether ``stored`` was made with another cost than today's; True if it is unreadable."""
        try:
            return self._argon2.check_needs_rehash(stored)
        except InvalidHashError:
            return True


def _is_common(password: str) -> bool:
    plain = password.casefold()
    bare = plain.rstrip("0123456789!?.,-_*#+ ").lstrip("0123456789!?.,-_*#+ ")
    if plain in _COMMON or bare in _COMMON or len(set(plain)) < 4:
        return True
    # A short piece said over and over, or a walk along the keyboard.
    if any(plain == (plain[:size] * len(plain))[: len(plain)] for size in range(1, 5)):
        return True
    return any(plain in line * 2 or plain in line[::-1] * 2 for line in _SEQUENCES)


def check_new_password(password: str, username: str, *, staff: bool) -> None:
    """Refuse a new password that is easy to guess. Says nothing about its mix of characters.

    At least 12 characters for staff and 10 for students, at most 200; not the user name in it; not
    one of the commonest. Raises ``Invalid`` with the reason, for the field ``password``.
    """
    field = "password"
    least = MIN_LENGTH_STAFF if staff else MIN_LENGTH_STUDENT
    if len(password) > MAX_LENGTH:
        raise Invalid(
            "The password is too long. The limit is %(limit)s characters.",
            field=field,
            limit=MAX_LENGTH,
        )
    if len(_normal(password)) < least:
        raise Invalid(
            "The password is too short. Use at least %(least)s characters. Four words make a good "
            "password.",
            field=field,
            least=least,
        )
    if not _encodable(password) or not password.isprintable():
        raise Invalid("This password cannot be used. Choose another.", field=field)
    name = username.casefold()
    if (len(name) >= 3 and name in password.casefold()) or password.casefold() in name:
        raise Invalid("The password must not have your user name in it.", field=field)
    if _is_common(_normal(password)):
        raise Invalid("This password is easy to guess. Choose another.", field=field)
