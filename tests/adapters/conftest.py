"""The run's slapd, and a branch of it for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_platform.adapters.directory import LdapDirectory, LdapSettings
from tests.services.client import Services
from tests.services.slapd import SERVICE_DN, Slapd, SlapdServer, Tree

MakeDirectory = Callable[..., LdapDirectory]


@pytest.fixture(scope="session")
def slapd(services: Services) -> SlapdServer:
    """The run's OpenLDAP. Take a ``tree`` of your own in it."""
    return SlapdServer(**services.shared(Slapd))


@pytest.fixture
def tree(slapd: SlapdServer) -> Iterator[Tree]:
    tree = slapd.tree()
    yield tree
    tree.close()


@pytest.fixture
def make_directory(tmp_path: Path, tree: Tree) -> MakeDirectory:
    """``make_directory({group_dn: [(role, unit)]}, **settings)`` over ``ldaps://`` to ``tree``."""

    def make(groups: Mapping[str, list[tuple[str, str]]], **changes: Any) -> LdapDirectory:
        mapping = tmp_path / "mapping.yaml"
        written = {
            dn: [{"role": role, "unit": unit} for role, unit in grants]
            for dn, grants in groups.items()
        }
        mapping.write_text(yaml.safe_dump({"groups": written}), encoding="utf-8")
        given: dict[str, Any] = {
            "servers": (tree.server.tls_url,),
            "ca_file": Path(tree.server.ca_file),
            "base_dn": tree.base_dn,
            "bind_dn": SERVICE_DN,
            "bind_password": tree.server.password,
            "mapping_file": mapping,
            "refusal_seconds": 0,
            **changes,
        }
        made_with = {
            name: given.pop(name)
            for name in ("clock", "monotonic", "sleep", "known_units")
            if name in given
        }
        return LdapDirectory(LdapSettings(**given), **made_with)

    return make
