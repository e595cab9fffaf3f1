"""Counting tries per account and per address.

A try is counted, and the count committed, *before* the password is looked at: tries sent side by
side cannot slip past the limit, a request that breaks off still counts, and no lock is held while a
hash is computed. A try that turns out right is given back. The rows carry HMACs, so the table names
nobody, and a name that does not exist counts as one that does.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.kernel.settings import Settings

# The count stops one above the limit: what is refused neither adds up nor prolongs the wait.
COUNT = text(
    "INSERT INTO login_throttle AS t (key, failures, window_started_at) VALUES (:key, 1, :now)"
    " ON CONFLICT (key) DO UPDATE SET"
    " failures = CASE WHEN t.window_started_at <= :over THEN 1"
    "   ELSE least(t.failures + 1, :most + 1) END,"
    " window_started_at = CASE WHEN t.window_started_at <= :over THEN :now"
    "   ELSE t.window_started_at END"
    " RETURNING failures, window_started_at"
)
GIVE_BACK = text(
    "UPDATE login_throttle SET failures = greatest(least(failures, :most) - 1, 0) WHERE key = :key"
)
CLEAR = text("DELETE FROM login_throttle WHERE key = :key")


@dataclass(frozen=True, slots=True)
class Counter:
    """One thing that is counted: ``scope`` for the log, ``most`` tries in a window."""

    scope: str
    key: bytes
    most: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Too many tries: which counter says so, and for how many more seconds (at least 1)."""

    scope: str
    seconds: int


def account_counter(settings: Settings, username: str) -> Counter:
    return _counter(settings, "account", username, settings.throttle_account_tries)


def address_counter(settings: Settings, address: str | None) -> Counter:
    return _counter(settings, "address", address or "", settings.throttle_address_tries)


def own_counter(settings: Settings, scope: str, person_id: object) -> Counter:
    """Tries of a person already known: codes of the second factor, the present password."""
    return _counter(settings, scope, str(person_id), settings.throttle_account_tries)


def _counter(settings: Settings, scope: str, value: str, most: int) -> Counter:
    key = hmac.digest(settings.secret().encode(), f"{scope}:{value}".encode(), hashlib.sha256)
    return Counter(scope, key, most)


def count_try(
    uow: UnitOfWork, settings: Settings, now: datetime, *counters: Counter
) -> Wait | None:
    """Count one try and commit it. None lets it go on; otherwise how long to wait.

    The first counter that is full stops the count: who is refused by address uses up nobody's
    account. Ends the transaction, and with it its actor: the caller acts anew.
    """
    window = timedelta(minutes=settings.throttle_minutes)
    refused = None
    for counter in counters:
        row = uow.execute(
            COUNT,
            {"key": counter.key, "now": now, "over": now - window, "most": counter.most},
        ).one()
        if row.failures > counter.most:
            left = (row.window_started_at + window - now).total_seconds()
            refused = Wait(counter.scope, max(1, math.ceil(left)))
            break
    uow.commit()
    return refused


def give_back(uow: UnitOfWork, counter: Counter) -> None:
    """The try was right: it does not count, but earlier ones do."""
    uow.execute(GIVE_BACK, {"key": counter.key, "most": counter.most})


def clear(uow: UnitOfWork, counter: Counter) -> None:
    """The try was right, and those before it are forgotten."""
    uow.execute(CLEAR, {"key": counter.key})
