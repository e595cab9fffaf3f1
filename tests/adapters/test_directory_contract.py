"""The contract, on real slapd in each way of reading it, and on the fake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dask_platform.adapters.directory import LdapDirectory, MemoryDirectory, MemoryPerson
from tests.adapters.conftest import MakeDirectory
from tests.contracts.directory_contract import PASSWORD, SECURITY, TEACHER, DirectoryContract
from tests.services.base import free_port
from tests.services.slapd import Tree

STYLES: dict[str, dict[str, Any]] = {
    "ldaps, memberOf": {},
    "StartTLS, search": {"starttls": True, "membership": "search"},
    "plain, search and walk": {"allow_plain": True, "membership": "search", "nested": "walk"},
}


class LdapWorld:
    """People in a branch of slapd. Disabled as Active Directory says it, locked as OpenLDAP."""

    def __init__(self, tree: Tree, directory: LdapDirectory, unreachable: LdapDirectory) -> None:
        self.directory = directory
        self.unreachable = unreachable
        self._tree = tree

    def add(
        self,
        username: str,
        *grants: tuple[str, str],
        password: str = PASSWORD,
        name: str = "Kari Nordmann",
    ) -> None:
        dn = self._tree.person(username, password, name)
        for grant in grants:
            self._tree.join(self._group(grant), dn)

    def call(self, username: str, name: str) -> None:
        self._tree.set(self._tree.person_dn(username), "cn", name)

    def rename(self, username: str, new: str) -> None:
        self._tree.rename(self._tree.person_dn(username), f"uid={new}")

    def revoke(self, username: str, grant: tuple[str, str]) -> None:
        self._tree.leave(self._group(grant), self._tree.person_dn(username))

    def disable(self, username: str) -> None:
        self._tree.set(self._tree.person_dn(username), "userAccountControl", 512 | 2)

    def lock(self, username: str) -> None:
        """As slapd itself does after wrong passwords."""
        since = f"{datetime.now(UTC):%Y%m%d%H%M%SZ}"
        self._tree.set(self._tree.person_dn(username), "pwdAccountLockedTime", since)

    def remove(self, username: str) -> None:
        self._tree.remove(self._tree.person_dn(username))

    def _group(self, grant: tuple[str, str]) -> str:
        return self._tree.group_dn("-".join(grant))


class TestLdap(DirectoryContract):
    @pytest.fixture(params=list(STYLES.values()), ids=list(STYLES))
    def world(
        self, request: pytest.FixtureRequest, tree: Tree, make_directory: MakeDirectory
    ) -> LdapWorld:
        style = dict(request.param)
        if "starttls" in style or "allow_plain" in style:
            style["servers"] = (tree.server.url,)
        groups = {tree.group("-".join(grant)): [grant] for grant in (TEACHER, SECURITY)}
        nobody = f"{'ldaps' if 'servers' not in style else 'ldap'}://127.0.0.1:{free_port()}"
        return LdapWorld(
            tree,
            make_directory(groups, **style),
            make_directory(groups, **{**style, "servers": (nobody,)}),
        )


class MemoryWorld:
    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.unreachable = MemoryDirectory()
        self.unreachable.down = True

    def add(
        self,
        username: str,
        *grants: tuple[str, str],
        password: str = PASSWORD,
        name: str = "Kari Nordmann",
    ) -> None:
        self.directory.put(MemoryPerson(username, password, name, frozenset(grants)))

    def call(self, username: str, name: str) -> None:
        self.directory.change(username, display_name=name)

    def rename(self, username: str, new: str) -> None:
        self.directory.change(username, username=new)

    def revoke(self, username: str, grant: tuple[str, str]) -> None:
        held = self.directory.authenticate(username, PASSWORD).grants
        self.directory.change(username, grants=held - {grant})

    def disable(self, username: str) -> None:
        self.directory.change(username, disabled=True)

    def lock(self, username: str) -> None:
        self.directory.change(username, locked=True)

    def remove(self, username: str) -> None:
        self.directory.remove(username)


class TestMemory(DirectoryContract):
    @pytest.fixture
    def world(self) -> MemoryWorld:
        return MemoryWorld()
