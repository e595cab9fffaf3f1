"""A directory in memory, for tests of what lies above. It passes the adapters' contract suite."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dask_platform.adapters.directory import state
from dask_platform.adapters.directory.ldap import LONGEST_NAME, LONGEST_PASSWORD, SILENT, WRONG
from dask_platform.adapters.directory.names import fold, is_sendable_name, is_sendable_password
from dask_platform.kernel.errors import AccountRefused, BadCredentials, DirectoryUnavailable
from dask_platform.kernel.ports import DirectoryPerson


@dataclass(frozen=True, slots=True)
class MemoryPerson:
    """A person of the fake. ``locked`` hides whether the password was right, as servers do."""

    username: str
    password: str = field(repr=False)
    display_name: str
    grants: frozenset[tuple[str, str]] = frozenset()
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    disabled: bool = False
    locked: bool = False

    def seen(self) -> DirectoryPerson:
        """The person as the port gives it."""
        reason = state.DISABLED if self.disabled else state.LOCKED if self.locked else None
        return DirectoryPerson(
            self.key, self.username, self.display_name, self.grants, reason is None, reason,
            locked_out=self.locked and not self.disabled,
        )  # fmt: skip


class MemoryDirectory:
    """Behaves as ``LdapDirectory`` does before a well-kept server. Set ``down`` for an outage."""

    def __init__(self, *people: MemoryPerson) -> None:
        self.down = False
        self._people = {person.key: person for person in people}

    def put(self, person: MemoryPerson) -> None:
        """Add a person, or replace the one with the same key."""
        self._people[person.key] = person

    def change(self, username: str, /, **changes: object) -> None:
        """Change fields of the person called ``username`` now."""
        person = self._named(username)
        if person is None:
            raise KeyError(username)
        self.put(replace(person, **changes))  # type: ignore[arg-type]

    def remove(self, username: str) -> None:
        """Delete the person."""
        person = self._named(username)
        if person is None:
            raise KeyError(username)
        del self._people[person.key]

    def authenticate(self, username: str, password: str) -> DirectoryPerson:
        """See the port."""
        if not is_sendable_name(username, LONGEST_NAME):
            raise BadCredentials(WRONG)
        if not is_sendable_password(password, LONGEST_PASSWORD):
            raise BadCredentials(WRONG)
        self.check()
        person = self._named(username)
        if person is not None and person.locked:
            raise AccountRefused(state.LOCKED)
        if person is None or person.password != password:
            raise BadCredentials(WRONG)
        if person.disabled:
            raise AccountRefused(state.DISABLED)
        return person.seen()

    def people(self) -> Iterator[DirectoryPerson]:
        """See the port."""
        self.check()
        yield from [person.seen() for person in self._people.values() if person.grants]

    def check(self) -> None:
        """See the port."""
        if self.down:
            raise DirectoryUnavailable(SILENT)

    def _named(self, username: str) -> MemoryPerson | None:
        wanted = fold(username)
        return next((p for p in self._people.values() if fold(p.username) == wanted), None)
