"""Rules from files into the database, as the owner of its tables.

A file is two people's work already: its author's and its reviewer's. A rule is loaded where its
file says something else than when it was last loaded, so that loading the same files twice changes
nothing, and what two officers have changed on the screen since stays until the file changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import distinct_on

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.whitelists.checks import load_folder
from dask_platform.features.whitelists.models import REASON_MOST, Version
from dask_platform.features.whitelists.queries import UNIT, body_of, rule_of
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.errors import ConfigurationError
from dask_platform.kernel.ids import new_id

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('dask whitelist', 0))")
FROM_FILES: Final = "whitelists/"


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rules are new, changed, taken away, and as they were."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0


def load_whitelists(uow: UnitOfWork, folder: Path, *, now: datetime) -> Loaded:
    """Bring the rules that come from files to what the files say now. The caller commits: all or
    none. A rule whose file is gone is taken away.

    Raises ``ConfigurationError`` with every problem, also for a unit that the platform does not
    know.
    """
    found, problems = load_folder(folder, now)
    if found is None:
        raise ConfigurationError([str(problem) for problem in problems if not problem.warning])
    uow.execute(_LOCK)
    units = {row[0]: row[1] for row in uow.execute(select(UNIT.c.slug, UNIT.c.id))}
    known, ours = _known(uow), _from_files(uow)
    said, wrong = {}, []
    for placed in found.rules:
        slug = _unit_of(placed.file)
        if slug is not None and slug not in units:
            wrong.append(f"{placed.file}:1: There is no unit {slug!r} on this platform.")
            continue
        unit_id = units[slug] if slug else None
        if placed.rule.id in known and known[placed.rule.id] != unit_id:
            wrong.append(f"{placed.file}:1: The id belongs to a rule of another place.")
        said[placed.rule.id] = (placed.rule, unit_id)
    if wrong:
        raise ConfigurationError(wrong)
    counts = {"added": 0, "changed": 0, "removed": 0, "same": 0}
    for rule_id, (rule, unit_id) in sorted(said.items()):
        body = body_of(rule)
        if rule_id in ours and _says(ours[rule_id], rule):
            counts["same"] += 1
            continue
        counts["changed" if rule_id in ours and ours[rule_id].body else "added"] += 1
        _write(uow, rule_id, unit_id, body, (rule.author, rule.reviewer, rule.reason), now)
    for rule_id, last in sorted(ours.items()):
        if rule_id not in said and last.body is not None:
            counts["removed"] += 1
            names = (last.proposed_name, last.approved_name, "The file was taken away.")
            _write(uow, rule_id, last.unit_id, None, names, now)
    done = Loaded(**counts)
    if done.added or done.changed or done.removed:
        record(uow, None, EventKind.WHITELIST_LOADED, system="whitelist import",
               added=done.added, changed=done.changed, removed=done.removed)  # fmt: skip
    return done


def _write(
    uow: UnitOfWork,
    rule_id: str,
    unit_id: UUID | None,
    body: dict[str, object] | None,
    said: tuple[str, str, str],
    now: datetime,
) -> None:
    author, reviewer, reason = said
    # Number and mark are the database's to give; what stands here only fills the columns.
    uow.execute(
        insert(Version).values(
            number=0, mark=new_id(), rule_id=rule_id, unit_id=unit_id, body=body,
            proposed_name=author, approved_name=reviewer, reason=reason[:REASON_MOST], at=now,
        )
    )  # fmt: skip


def _says(version: Version, rule: Rule) -> bool:
    """Whether it says the same; also where a newer platform writes it with more fields."""
    try:
        return version.body is not None and rule_of(version.body) == rule
    except ValidationError:
        return False


def _unit_of(file: str) -> str | None:
    parts = file.split("/")
    return parts[1] if parts[0] == "units" else None


def _known(uow: UnitOfWork) -> dict[str, UUID | None]:
    """The place of every id that was ever used."""
    found = uow.execute(select(Version.rule_id, Version.unit_id).distinct())
    return {row[0]: row[1] for row in found}


def _from_files(uow: UnitOfWork) -> dict[str, Version]:
    """What each rule's file said when it was last loaded."""
    found = uow.scalars(
        select(Version)
        .where(Version.proposal_id.is_(None))
        .ext(distinct_on(Version.rule_id))
        .order_by(Version.rule_id, Version.number.desc())
    )
    return {one.rule_id: one for one in found}
