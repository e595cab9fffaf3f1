"""Cookies of sites, kept for each student and host in the database.

The browser never has them, so no page and no student can read, plant or share one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.broker.models import SiteCookie
from dask_platform.kernel.actor import Actor
from dask_platform.security.weburl import parse

#: A cookie outlives no week, whatever the site wants: nobody builds a profile of a student.
LONGEST: Final = timedelta(days=7)
MOST: Final = 30
_LARGEST: Final = 4096
_AGE: Final = re.compile(r"-?[0-9]{1,9}")


class Crumb(NamedTuple):
    """A cookie as it is kept."""

    name: str
    value: str
    path: str
    expires_at: datetime

    @classmethod
    def of(cls, name: str, value: str, path: str, expires_at: str) -> Crumb:
        """As the database writes it in JSON."""
        return cls(name, value, path, datetime.fromisoformat(expires_at))


def crumbs(uow: UnitOfWork, actor: Actor, host: str) -> tuple[Crumb, ...]:
    """What ``host`` wants to remember of the actor, the longest path first."""
    found = uow.execute(
        select(SiteCookie.name, SiteCookie.value, SiteCookie.path, SiteCookie.expires_at)
        .where(SiteCookie.person_id == actor.person_id, SiteCookie.host == host)
        .order_by(func.length(SiteCookie.path).desc(), SiteCookie.name)
    )
    return tuple(Crumb(*row) for row in found)


def line(kept: tuple[Crumb, ...], path: str, now: datetime) -> str | None:
    """The ``Cookie`` header for ``path`` at ``now``; None where nothing is for it."""
    pairs = [
        f"{one.name}={one.value}" for one in kept if one.expires_at > now and _below(path, one.path)
    ]
    return "; ".join(pairs[:MOST]) or None


def header(uow: UnitOfWork, actor: Actor, url: str, now: datetime) -> str | None:
    """The ``Cookie`` header for ``url``, from the actor's own jar; None where it is empty."""
    address = parse(url)
    return line(crumbs(uow, actor, address.host), address.path, now)


def keep(
    uow: UnitOfWork, actor: Actor, url: str, set_cookies: tuple[str, ...], now: datetime
) -> None:
    """Put what the site set into the jar. ``Domain=`` is not heard: a cookie is one host's."""
    host = parse(url).host
    mine = (SiteCookie.person_id == actor.person_id, SiteCookie.host == host)
    uow.execute(delete(SiteCookie).where(*mine, SiteCookie.expires_at <= now))
    found = uow.execute(select(SiteCookie.name, SiteCookie.path).where(*mine))
    kept = {(name, path) for name, path in found}
    for line in set_cookies[:MOST]:
        one = read(line, now)
        if one is None:
            continue
        name, value, path, expires = one
        if expires <= now:
            kept.discard((name, path))
            uow.execute(
                delete(SiteCookie).where(*mine, SiteCookie.name == name, SiteCookie.path == path)
            )
            continue
        if (name, path) not in kept and len(kept) >= MOST:
            continue  # a full jar takes no more: a site that plays with names fills no disk
        kept.add((name, path))
        uow.execute(
            insert(SiteCookie)
            .values(
                person_id=actor.person_id, host=host, name=name, path=path, value=value,
                expires_at=expires,
            )
            .on_conflict_do_update(
                index_elements=["person_id", "host", "name", "path"],
                set_={"value": value, "expires_at": expires},
            )
        )  # fmt: skip


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")


def read(line: str, now: datetime) -> tuple[str, str, str, datetime] | None:
    """Name, value, path and end of a ``Set-Cookie`` line (RFC 6265); None where it is not one."""
    pair, *attributes = line.split(";")
    name, equals, value = (part.strip() for part in pair.partition("="))
    plain = name.isascii() and name.isprintable() and value.isascii() and value.isprintable()
    if not (equals and name and plain) or len(name) > 256 or len(value) > _LARGEST:
        return None
    if any(mark in name + value for mark in ' ";,\\'):
        return None
    said = {
        key.strip().lower(): value.strip()
        for key, _equals, value in (one.partition("=") for one in attributes)
    }
    path = said.get("path", "/")
    if not path.startswith("/") or len(path) > 500:
        path = "/"
    return name, value, path, min(_ends(said, now), now + LONGEST)


def _ends(said: dict[str, str], now: datetime) -> datetime:
    """``Max-Age`` before ``Expires``; a cookie of the session ends with the jar's own limit."""
    age = said.get("max-age", "")
    if _AGE.fullmatch(age):
        return now + timedelta(seconds=int(age))
    return _date(said.get("expires", "")) or now + LONGEST


def _date(said: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
