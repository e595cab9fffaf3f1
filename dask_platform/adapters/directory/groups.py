"""Who is a member of what, and what that gives.

Two ways to read a membership, and each knows one way to see through groups inside groups:

- ``memberof``: the person's entry names the groups. With ``nested: ad`` Active Directory itself
  follows the chain (matching rule 1.2.840.113556.1.4.1941); no other server has that rule.
- ``search``: the groups name their members. With ``nested: walk`` the chain is followed here, one
  question a level, within bounds: a chain longer than ``MAX_DEPTH`` or wider than ``MAX_GROUPS``
  refuses the whole answer, because a part of somebody's rights is worse than an error that an
  operator sees. Groups that contain each other are no trouble: each is visited once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dask_platform.adapters.directory.answers import Entry, ServerProblem
from dask_platform.adapters.directory.mapping import Grant, GroupMapping
from dask_platform.adapters.directory.names import DnKey, dn_key, escape, is_below
from dask_platform.adapters.directory.session import Session
from dask_platform.adapters.directory.settings import LdapSettings
from dask_platform.kernel.errors import ConfigurationError

IN_CHAIN = "1.2.840.113556.1.4.1941"
MAX_DEPTH = 10
MAX_GROUPS = 2000
_DNS_A_FILTER = 50
_NO_ATTRIBUTES = ("1.1",)


class Membership:
    """Reads memberships the way the settings say, and turns them into grants."""

    def __init__(self, settings: LdapSettings, mapping: GroupMapping) -> None:
        self._settings = settings
        self._mapping = mapping
        self._base_key = dn_key(settings.base_dn)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What must be asked for with a person, beside the person's own attributes."""
        if self._settings.membership == "memberof":
            return (self._settings.memberof_attribute,)
        return ()

    def grants_of(self, session: Session, person: Entry) -> frozenset[Grant]:
        """What ``person`` has now."""
        settings = self._settings
        if settings.membership == "search":
            groups: Iterable[str] = self._groups_above(session, person.dn)
        elif settings.nested == "ad":
            found = session.pages(
                settings.group_base, self.groups_in_chain_filter(person.dn), _NO_ATTRIBUTES
            )
            groups = [group.dn for group in found]
        else:
            groups = person.texts(settings.memberof_attribute)
        return self._mapping.grants_for(groups)

    def everyone(
        self, session: Session, attributes: tuple[str, ...]
    ) -> Iterator[tuple[Entry, frozenset[Grant]]]:
        """Everybody under each mapped group, with what that group gives; a person comes as often
        as there are groups.

        Raises ``ConfigurationError`` naming the mapped groups that the directory does not show. A
        group that was renamed, or hidden from the service account, must not look like a group that
        everybody has left: the sync would then throw them all out.
        """
        written = self._mapping.written
        gone = [
            dn for dn in written.values() if not session.read(dn, "(objectClass=*)", _NO_ATTRIBUTES)
        ]
        if gone:
            raise ConfigurationError(
                [
                    f"The mapped group {dn!r} is not in the directory, or the service account "
                    "may not see it. Correct the mapping file or the rights."
                    for dn in gone
                ]
            )
        for key, dn in written.items():
            members = (
                self._members_by_attribute(session, dn, attributes)
                if self._settings.membership == "memberof"
                else self._members_below(session, dn, attributes)
            )
            for person in members:
                yield person, self._mapping.grants[key]

    def groups_in_chain_filter(self, person_dn: str) -> str:
        """Active Directory's question: the groups that hold ``person_dn``, at any depth."""
        settings = self._settings
        return (
            f"(&{settings.group_filter}"
            f"({settings.member_attribute}:{IN_CHAIN}:={escape(person_dn)}))"
        )

    def members_filter(self, group_dn: str) -> str:
        """The persons that carry ``group_dn`` on their own entry, at any depth with ``ad``."""
        settings = self._settings
        rule = f":{IN_CHAIN}:" if settings.nested == "ad" else ""
        return (
            f"(&{settings.listing_filter}({settings.memberof_attribute}{rule}={escape(group_dn)}))"
        )

    def _members_by_attribute(
        self, session: Session, group_dn: str, attributes: tuple[str, ...]
    ) -> Iterator[Entry]:
        yield from session.pages(self._settings.base_dn, self.members_filter(group_dn), attributes)

    def _groups_above(self, session: Session, person_dn: str) -> list[str]:
        """The groups that hold the person, and with ``walk`` those that hold the groups."""
        settings = self._settings
        found: dict[DnKey, str] = {}
        level = [person_dn]
        for _depth in range(MAX_DEPTH):
            above: list[str] = []
            for start in range(0, len(level), _DNS_A_FILTER):
                holds = "".join(
                    f"({settings.member_attribute}={escape(dn)})"
                    for dn in level[start : start + _DNS_A_FILTER]
                )
                question = f"(&{settings.group_filter}(|{holds}))"
                for group in session.pages(settings.group_base, question, _NO_ATTRIBUTES):
                    key = _key(group.dn)
                    if key not in found:
                        found[key] = group.dn
                        above.append(group.dn)
            if len(found) > MAX_GROUPS:
                break
            if not above or settings.nested == "none":
                return list(found.values())
            level = above
        raise ServerProblem(_too_nested())

    def _members_below(
        self, session: Session, group_dn: str, attributes: tuple[str, ...]
    ) -> Iterator[Entry]:
        """The persons in a group, and with ``walk`` those in the groups inside it.

        Members outside the base DN are passed over: they cannot log in either.
        """
        settings = self._settings
        visited = {_key(group_dn)}
        groups_seen = 1
        level = [group_dn]
        for _depth in range(MAX_DEPTH):
            inside: list[str] = []
            for group in level:
                for member in self._members(session, group):
                    key = _key(member)
                    if key in visited:
                        continue
                    visited.add(key)
                    person = (
                        session.read(member, settings.listing_filter, attributes)
                        if is_below(key, self._base_key)
                        else None
                    )
                    if person is not None:
                        yield person
                    elif settings.nested == "walk" and session.read(
                        member, settings.group_filter, _NO_ATTRIBUTES
                    ):
                        inside.append(member)
            groups_seen += len(inside)
            if groups_seen > MAX_GROUPS:
                break
            if not inside:
                return
            level = inside
        raise ServerProblem(_too_nested())

    def _members(self, session: Session, group_dn: str) -> list[str]:
        attribute = self._settings.member_attribute
        group = session.read(group_dn, "(objectClass=*)", (attribute,))
        if group is None:
            return []
        if any(name.startswith(f"{attribute.lower()};range=") for name in group.attributes):
            raise ServerProblem(
                "a group has more members than the server gives at once; "
                "use membership 'memberof' on Active Directory"
            )
        return group.texts(attribute)


def _key(dn: str) -> DnKey:
    """The key of a DN that the server wrote. Passing over one would pass over a person's rights."""
    try:
        return dn_key(dn)
    except ValueError as error:
        raise ServerProblem("the server names an entry by no distinguished name") from error


def _too_nested() -> str:
    return f"groups are nested deeper than {MAX_DEPTH} levels, or more than {MAX_GROUPS} of them"
