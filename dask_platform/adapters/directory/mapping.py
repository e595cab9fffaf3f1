"""The file that says which group gives which role at which unit.

::

    groups:
      "CN=DASK-Laerere-Ringerike,OU=Grupper,DC=fylke,DC=example":
        - {role: teacher, unit: ringerike}

It is read node by node and not as plain data: so a group written twice is seen (YAML would keep the
last one in silence), a unit called ``no`` stays a name and does not become False, and each problem
carries its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import yaml

from dask_platform.adapters.directory.names import DnKey, dn_key
from dask_platform.kernel.actor import STAFF_ROLES, Role
from dask_platform.kernel.errors import ConfigurationError

Grant = tuple[str, str]
"""A role and the slug of the unit where it holds."""

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class GroupMapping:
    """``grants`` by group; ``written`` holds each group's DN as the file writes it."""

    grants: Mapping[DnKey, frozenset[Grant]]
    written: Mapping[DnKey, str]

    def grants_for(self, groups: Iterable[str]) -> frozenset[Grant]:
        """What membership of ``groups`` (DNs as a server writes them) gives.

        A DN that cannot be read gives nothing: it cannot be one of the mapped groups.
        """
        found: set[Grant] = set()
        for group in groups:
            try:
                found |= self.grants.get(dn_key(group), frozenset())
            except ValueError:
                continue
        return frozenset(found)


def load_mapping(path: Path, known_units: AbstractSet[str] | None = None) -> GroupMapping:
    """Read and check the mapping file.

    ``known_units`` are the slugs of the units there are; None leaves that unchecked (before the
    database is up). Raises ``ConfigurationError`` with every problem in the file, each with its
    line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigurationError(
            [f"The group mapping {path} cannot be read: {error.strerror or error}."]
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError([f"{path}{place}: this is not readable YAML."]) from error
    reader = _Reader(str(path), known_units)
    mapping = reader.read(root)
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return mapping


class _Reader:
    """Walks the file once and gathers what is wrong with it."""

    def __init__(self, name: str, known_units: AbstractSet[str] | None) -> None:
        self.problems: list[str] = []
        self._name = name
        self._known_units = known_units

    def read(self, root: yaml.Node | None) -> GroupMapping:
        grants: dict[DnKey, frozenset[Grant]] = {}
        written: dict[DnKey, str] = {}
        for name_node, grants_node in self._groups(root):
            given = frozenset(self._grants(grants_node))
            key = self._group_key(name_node)
            if key is None:
                continue
            if key in written:
                self._problem(name_node, f"the group is mapped before, as {written[key]!r}")
                continue
            grants[key], written[key] = given, str(name_node.value)
        return GroupMapping(grants, written)

    def _problem(self, node: yaml.Node | None, text: str) -> None:
        place = f", line {node.start_mark.line + 1}" if node is not None else ""
        self.problems.append(f"{self._name}{place}: {text}.")

    def _groups(self, root: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(root, yaml.MappingNode):
            self._problem(root, "the file must hold 'groups:' and under it the groups")
            return
        groups: list[yaml.Node] = []
        for key, value in root.value:
            if key.value == "groups":
                groups.append(value)
            else:
                self._problem(key, f"{key.value!r} is not known here; only 'groups' is")
        if len(groups) != 1 or not isinstance(groups[0], yaml.MappingNode) or not groups[0].value:
            self._problem(root, "'groups:' must come once and hold at least one group")
            return
        for key, value in groups[0].value:
            if isinstance(key, yaml.ScalarNode):
                yield key, value
            else:
                self._problem(key, "a group must be written as one distinguished name in quotes")

    def _group_key(self, node: yaml.ScalarNode) -> DnKey | None:
        try:
            return dn_key(node.value)
        except ValueError as error:
            self._problem(node, f"{node.value!r} is not a distinguished name: {error}")
            return None

    def _grants(self, node: yaml.Node) -> Iterator[Grant]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._problem(node, "a group needs a list of at least one {role: …, unit: …}")
            return
        seen: set[Grant] = set()
        for item in node.value:
            grant = self._grant(item)
            if grant is None:
                continue
            if grant in seen:
                self._problem(item, f"{grant[0]} at {grant[1]} is given twice to the same group")
            seen.add(grant)
            yield grant
        roles = {role for role, _unit in seen}
        if Role.STUDENT in roles and roles & STAFF_ROLES:
            self._problem(node, "one group cannot give both the student role and a staff role")

    def _grant(self, node: yaml.Node) -> Grant | None:
        fields: dict[str, str] = {}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode):
                    fields[key.value] = value.value
        if set(fields) != {"role", "unit"} or len(node.value) != 2:
            self._problem(node, "a grant must be written {role: …, unit: …}")
            return None
        role, unit = fields["role"], fields["unit"]
        if role not in frozenset(Role):
            self._problem(node, f"{role!r} is not a role; the roles are {', '.join(sorted(Role))}")
        elif not _SLUG.fullmatch(unit):
            self._problem(node, f"{unit!r} is not a unit's short name (a-z, 0-9 and hyphens)")
        elif self._known_units is not None and unit not in self._known_units:
            self._problem(node, f"there is no unit {unit!r}")
        else:
            return role, unit
        return None
