"""What security sees of the copies: what is there, what it holds, which rules show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import func, select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.whitelists.models import Proposal, ProposalState, StoredCopy
from dask_platform.features.whitelists.queries import in_force, standing
from dask_platform.features.whitelists.queries.listings import NOTHING_HERE
from dask_platform.features.whitelists.rules import FrozenCopy, Rule
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotVisible
from dask_platform.kernel.ports import CopyFacts, CopyPage
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

#: Stands for the host of a copy that no rule shows and that names none.
UNNAMED: Final = "copy.example"


@dataclass(frozen=True, slots=True)
class CopyLine:
    """A copy with the rules in force that show it, and the rules for which a proposal to show it
    waits (by id)."""

    copy: FrozenCopy
    facts: CopyFacts
    size: int
    added_name: str
    added_at: datetime
    rules: tuple[Rule, ...]
    proposed: tuple[str, ...]

    @property
    def home(self) -> str | None:
        """The host that the copy stands for: that of a rule that shows it, else the one it was made
        of; None where it does not say."""
        if self.rules:
            return self.rules[0].host
        return self.facts.hosts[0] if self.facts.hosts else None

    def address(self, page: str) -> str:
        """The whole address of a page as the facts name it."""
        return page if page.startswith("https://") else f"https://{self.home or UNNAMED}{page}"

    @property
    def removable(self) -> bool:
        return not (self.rules or self.proposed)


def copies(uow: UnitOfWork, actor: Actor) -> list[CopyLine]:
    """All copies, the newest first."""
    authorise(actor, Permission.WHITELIST_READ)
    found = uow.scalars(
        select(StoredCopy).order_by(StoredCopy.added_at.desc(), StoredCopy.sha256)
    ).all()
    return _lines(uow, actor, list(found))


def copy(uow: UnitOfWork, actor: Actor, sha256: str) -> CopyLine:
    """One copy. Raises ``NotVisible``."""
    authorise(actor, Permission.WHITELIST_READ)
    found = uow.get(StoredCopy, sha256)
    if found is None:
        raise NotVisible(NOTHING_HERE)
    return _lines(uow, actor, [found])[0]


def kept(uow: UnitOfWork) -> list[tuple[str, str, int, str]]:
    """Kind, hash, size and title of every copy, the newest first, for the owner of the tables."""
    found = uow.execute(
        select(StoredCopy.kind, StoredCopy.sha256, StoredCopy.size, StoredCopy.title).order_by(
            StoredCopy.added_at.desc(), StoredCopy.sha256
        )
    )
    return [(row[0], row[1], row[2], row[3]) for row in found]


def _lines(uow: UnitOfWork, actor: Actor, found: list[StoredCopy]) -> list[CopyLine]:
    rules = in_force(uow, standing(uow, actor)).rules
    named = func.jsonb_extract_path_text(Proposal.body, "copy", "sha256")
    proposed = uow.execute(
        select(Proposal.rule_id, named)
        .where(Proposal.state == ProposalState.WAITING, named.is_not(None))
        .order_by(Proposal.rule_id)
    ).all()
    return [
        CopyLine(
            FrozenCopy(sha256=one.sha256, kind=one.kind),  # type: ignore[arg-type]
            facts_of(one.facts), one.size, one.added_name, one.added_at,
            tuple(
                kept.rule for kept in rules.values()
                if kept.rule.frozen_copy and kept.rule.frozen_copy.sha256 == one.sha256
            ),
            tuple(rule_id for rule_id, sha256 in proposed if sha256 == one.sha256),
        )
        for one in found
    ]  # fmt: skip


def facts_of(said: dict[str, Any]) -> CopyFacts:
    """The facts in their stored form."""
    return CopyFacts(
        **{
            **said,
            "made_on": date.fromisoformat(said["made_on"]) if said["made_on"] else None,
            "hosts": tuple(said["hosts"]),
            "findings": tuple(said["findings"]),
            "first": tuple(CopyPage(**one) for one in said["first"]),
        }
    )
