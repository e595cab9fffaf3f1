"""Disabled, locked, expired: what Active Directory and OpenLDAP say about an account.

Both tell it in two places. In the *answer to a bind*, which is the server's own judgement of this
moment, and in *attributes* of the entry, which is all there is when people are listed. Each
function returns a reason in plain words for the operator, or None when nothing stands in the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dask_platform.adapters.directory.answers import BindAnswer, Entry

DISABLED = "The account is disabled in the directory."
LOCKED = "The account is locked in the directory after too many wrong passwords, or by hand."
ACCOUNT_EXPIRED = "The account has passed its expiry date in the directory."
PASSWORD_EXPIRED = "The password has expired. It must be changed in the directory first."  # noqa: S105
MUST_CHANGE = "The password was set by somebody else. It must be changed in the directory first."
NOT_NOW = "The directory does not let this account log in at this time of day."
NOT_HERE = "The directory does not let this account log in from this server."
NOT_YET = "The account's password is not valid yet, or no longer, in the directory."

STATE_ATTRIBUTES = (
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "lockoutTime",
    "pwdAccountLockedTime",
    "pwdReset",
    "pwdStartTime",
    "pwdEndTime",
)
"""Asked for with every person. A server ignores the ones that it does not know."""

# userAccountControl and its computed twin
_UAC_DISABLED = 0x2
_UAC_LOCKED = 0x10
_UAC_PASSWORD_NEVER_EXPIRES = 0x10000
_UAC_PASSWORD_EXPIRED = 0x800000

# Active Directory's words at the end of a refused bind: "… AcceptSecurityContext error, data 533".
# All but 775 are given only when the password was right.
_AD_DATA = re.compile(r"\bdata ([0-9a-f]{3,4})\b", re.IGNORECASE)
_AD_REFUSALS = {
    "530": NOT_NOW,
    "531": NOT_HERE,
    "532": PASSWORD_EXPIRED,
    "533": DISABLED,
    "701": ACCOUNT_EXPIRED,
    "773": MUST_CHANGE,
    "775": LOCKED,
}

# Errors of the password policy control (draft-behera-ldap-password-policy)
_POLICY_REFUSALS = {0: PASSWORD_EXPIRED, 1: LOCKED, 2: MUST_CHANGE}

_WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LOCKED_FOR_GOOD = b"000001010000Z"


def bind_refusal(answer: BindAnswer) -> str | None:
    """The reason that a bind's answer gives, whether it was accepted or not.

    An accepted bind can carry one: OpenLDAP lets a person with a reset password in, to change it
    and nothing else.
    """
    if not answer.accepted:
        found = _AD_DATA.search(answer.diagnostic)
        if found and found[1].lower() in _AD_REFUSALS:
            return _AD_REFUSALS[found[1].lower()]
    error = policy_error(answer.policy)
    return None if error is None else _POLICY_REFUSALS.get(error)


def lasting_refusal(entry: Entry, now: datetime) -> str | None:
    """What the entry's attributes say that a passed bind does not make untrue."""
    control = entry.number("userAccountControl") or 0
    computed = entry.number("msDS-User-Account-Control-Computed") or 0
    expires = entry.number("accountExpires") or 0
    refusals: list[tuple[bool, str]] = [
        (bool(control & _UAC_DISABLED), DISABLED),
        (bool((control | computed) & _UAC_LOCKED), LOCKED),
        # 0 and the largest number both mean never, and the largest is later than any now.
        (0 < expires <= _filetime(now), ACCOUNT_EXPIRED),
        (bool(computed & _UAC_PASSWORD_EXPIRED), PASSWORD_EXPIRED),
        (
            entry.number("pwdLastSet") == 0 and not control & _UAC_PASSWORD_NEVER_EXPIRES,
            MUST_CHANGE,
        ),
        (entry.text("pwdReset") == "TRUE", MUST_CHANGE),
    ]
    return next((reason for holds, reason in refusals if holds), None)


def lock_refusal(entry: Entry, now: datetime, lockout: timedelta | None) -> str | None:
    """Whether the entry is shut to every password, right or wrong.

    ``lockout`` is how long a lock holds; None means until it is lifted. Both servers leave the mark
    standing after a lock has run out, until the next good log-in. So this is not asked after a
    passed bind, which is the proof that nothing is shut.
    """
    if _outside(entry, now):
        return NOT_YET
    lock = next(iter(entry.values("pwdAccountLockedTime")), None)
    if lock is not None:
        since = _generalized_time(lock)
        if lock == _LOCKED_FOR_GOOD or since is None or lockout is None or since + lockout > now:
            return LOCKED
    lock_time = entry.number("lockoutTime") or 0
    if lock_time > 0 and entry.number("msDS-User-Account-Control-Computed") is None:
        over = None if lockout is None else lock_time + lockout // timedelta(microseconds=1) * 10
        if over is None or over > _filetime(now):
            return LOCKED
    return None


def locked_for_good(entry: Entry) -> bool:
    """Whether an administrator of OpenLDAP has locked the account by hand, which is how it is
    disabled there. Every other lock comes of wrong passwords."""
    return _LOCKED_FOR_GOOD in entry.values("pwdAccountLockedTime")


def policy_error(value: bytes) -> int | None:
    """The error inside a password policy response control; None when there is none.

    The value is BER: a sequence of an optional warning (tag 0xA0) and an optional error (tag 0x81,
    one byte). What does not read as that is taken as no error: a bind's result code stands anyway.
    """
    outer = _tlv(value)
    if outer is None or outer[0] != 0x30:
        return None
    rest = outer[1]
    while rest:
        element = _tlv(rest)
        if element is None:
            return None
        tag, content, rest = element
        if tag == 0x81 and len(content) == 1:
            return content[0]
    return None


def _tlv(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first element of ``data`` (tag, content, what follows); short lengths only."""
    if len(data) < 2 or data[1] > 0x7F or len(data) < 2 + data[1]:
        return None
    return data[0], data[2 : 2 + data[1]], data[2 + data[1] :]


def _filetime(at: datetime) -> int:
    """``at`` as Active Directory counts: tenths of a microsecond since 1601."""
    return (at - _WINDOWS_EPOCH) // timedelta(microseconds=1) * 10


def _generalized_time(value: bytes) -> datetime | None:
    """``20261122075729Z`` (with or without a fraction) as an instant."""
    try:
        text = value.decode("ascii").removesuffix("Z").partition(".")[0]
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _outside(entry: Entry, now: datetime) -> bool:
    """Whether ``now`` is before OpenLDAP's pwdStartTime or after its pwdEndTime."""

    def read(name: str, wrong: Callable[[datetime], bool]) -> bool:
        value = next(iter(entry.values(name)), None)
        at = None if value is None else _generalized_time(value)
        return at is not None and wrong(at)

    return read("pwdStartTime", lambda at: at > now) or read("pwdEndTime", lambda at: at <= now)
