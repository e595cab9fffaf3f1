"""Own recordings, and what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.recorder import policy as policy  # its line enters the table
from dask_platform.features.recorder.models import Recording
from dask_platform.features.recorder.models import RecordingSeen as Row
from dask_platform.features.recorder.noting import seen_of
from dask_platform.features.recorder.paths import plain
from dask_platform.features.recorder.seen import PARTS, RUNS, Seen, What
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotVisible
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, rows

LISTED_MOST: Final = 50
#: A page with less text than this before its script has run is empty to a reader.
LITTLE_TEXT: Final = 200
OWN_PICTURE: Final = "/favicon.ico"


@dataclass(frozen=True, slots=True)
class Host:
    """A host, and what was had of it: how many places of each kind, and bytes."""

    name: str
    kinds: tuple[tuple[What, int], ...]
    size: int


@dataclass(frozen=True, slots=True)
class Told:
    """A recording for its page. ``live`` at the moment of asking. ``pages`` were opened and were
    there; ``empty`` says that they hold little without their script."""

    id: UUID
    start_url: str
    reason: str
    copying: bool
    started_at: datetime
    until: datetime
    ended_at: datetime | None
    live: bool
    seen: tuple[Seen, ...]

    @property
    def pages(self) -> list[Seen]:
        return [one for one in self.seen if one.kind is What.PAGE and one.whole]

    @property
    def missing(self) -> list[Seen]:
        """What was asked for and was not there, or is of a kind that is never shown. Browsers ask
        for a picture of the site by themselves; nobody misses that one."""
        kinds = (*PARTS, What.PAGE)
        return [
            one
            for one in self.seen
            if one.kind in kinds and not one.whole and not one.wanted and one.path != OWN_PICTURE
        ]

    @property
    def wanted(self) -> list[Seen]:
        return [one for one in self.seen if one.wanted]

    @property
    def left_alone(self) -> list[Seen]:
        return [one for one in self.seen if one.kind in (What.FORM, What.LINK)]

    @property
    def page_hosts(self) -> list[str]:
        """The hosts that pages were opened on, most pages first."""
        names = [one.host for one in self.pages]
        return sorted(set(names), key=lambda name: (-names.count(name), name))

    @property
    def empty(self) -> bool:
        return any(one.note == RUNS and one.text < LITTLE_TEXT for one in self.pages)

    def choices(self, host: str) -> list[Seen]:
        """The pages of ``host`` that a rule can open."""
        return [one for one in self.pages if one.host == host and plain(host, one.path)]

    def hosts(self) -> list[Host]:
        """Every host that something was had of, those of pages first."""
        by_name: dict[str, list[Seen]] = {}
        for one in self.seen:
            if one.kind in (*PARTS, What.PAGE) and one.whole:
                by_name.setdefault(one.host, []).append(one)
        first = set(self.page_hosts)
        names = sorted(by_name, key=lambda name: (name not in first, name))
        return [_host(name, by_name[name]) for name in names]


def _host(name: str, had: Sequence[Seen]) -> Host:
    kinds = tuple((kind, count) for kind in What if (count := sum(one.kind is kind for one in had)))
    return Host(name, kinds, sum(one.size for one in had))


def recordings(uow: UnitOfWork, actor: Actor) -> list[Recording]:
    """The actor's own, newest first."""
    return list(
        uow.scalars(
            select(Recording)
            .where(rows(actor, Permission.SITES_RECORD, Recording))
            .order_by(Recording.started_at.desc())
            .limit(LISTED_MOST)
        )
    )


def load(uow: UnitOfWork, actor: Actor, recording_id: UUID) -> Recording:
    """An own recording. Raises ``NotVisible``."""
    found = uow.get(Recording, recording_id)
    if found is None:
        raise NotVisible()
    authorise(actor, Permission.SITES_RECORD, found)
    return found


def recording(uow: UnitOfWork, actor: Actor, recording_id: UUID, now: datetime) -> Told:
    """An own recording and all it saw. Raises ``NotVisible``."""
    found = load(uow, actor, recording_id)
    seen = uow.scalars(
        select(Row).filter_by(recording_id=recording_id).order_by(Row.first_at, Row.host, Row.path)
    )
    return Told(
        found.id, found.start_url, found.reason, found.copying, found.started_at, found.until,
        found.ended_at, is_live(found, actor, now), tuple(seen_of(one) for one in seen),
    )  # fmt: skip


def is_live(found: Recording, actor: Actor, now: datetime) -> bool:
    """Whether it goes on, for the browser that the actor sits at."""
    ended = found.ended_at is not None or found.until <= now
    return not ended and found.session_id == actor.session_id
