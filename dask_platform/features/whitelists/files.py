"""Whitelists as files: a folder of YAML, one file a resource.

``national/*.yaml`` holds for every unit; ``units/<unit>/*.yaml`` for that unit alone;
``units.yaml`` names each unit's security level. Everything that is wrong is named with its file and
line, and with one thing wrong nothing of the folder is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from dask_platform.features.whitelists.rules import Level, Rule
from dask_platform.kernel.yaml_reader import Problem, YamlReader

MOST_FILES: Final = 20_000
LEVELS: Final = ("high", "low", "transitional")
_TAGS: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule, with the file that it stands in."""

    rule: Rule
    file: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder says."""

    rules: tuple[Placed, ...] = ()
    levels: Mapping[str, Level] = field(default_factory=dict)


def read_folder(folder: Path) -> tuple[Folder, list[Problem]]:
    """The folder, and what is wrong with its files, by file and line. Rules that cannot be read are
    left out: use the folder only where there is no problem that is not a warning."""
    problems: list[Problem] = []
    rules: list[Placed] = []
    files = sorted(folder.glob("national/*.yaml")) + sorted(folder.glob("units/*/*.yaml"))
    for stray in sorted({*folder.rglob("*.yaml"), *folder.rglob("*.yml")} - set(files)):
        if stray != folder / "units.yaml":
            name = stray.relative_to(folder).as_posix()
            problems.append(
                Problem(name, 1, "Rules lie in national/ or units/<unit>/, and end in .yaml.")
            )
    if len(files) > MOST_FILES:
        return Folder(), [Problem(".", 1, f"There are more than {MOST_FILES} files.")]
    for path in files:
        name = path.relative_to(folder).as_posix()
        placed, wrong = read_rule(_bytes(path), name)
        problems += wrong
        if placed is not None:
            unit = path.parent.name if path.parent.parent.name == "units" else None
            placed, wrong = _in_its_place(placed, unit, path.stem)
            problems += wrong
            rules.append(placed)
    levels, wrong = _levels(folder / "units.yaml")
    return Folder(tuple(rules), levels), sorted(problems + wrong)


def read_rule(data: bytes, file: str) -> tuple[Placed | None, list[Problem]]:
    """The rule in ``data``, or what is wrong with it."""
    reader = YamlReader(file)
    root = reader.root(data)
    if root is None:
        return None, reader.problems
    lines: dict[tuple[str | int, ...], int] = {}
    plain = _plain(reader, root, (), lines)
    if reader.problems:
        return None, reader.problems
    try:
        rule = Rule.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        return None, [
            Problem(file, _line(one["loc"], lines), _sentence(one)) for one in error.errors()
        ]
    return Placed(rule, file, 1), []


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(300 * 1024)


def _plain(
    reader: YamlReader,
    node: yaml.Node,
    where: tuple[str | int, ...],
    lines: dict[tuple[str | int, ...], int],
) -> Any:
    """The node as JSON has it, with the line of each place in ``lines``."""
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                reader.refuse(key, "A field's name is a word.")
            elif key.value in found:
                reader.refuse(key, f"The field {key.value!r} stands twice.")
            else:
                found[key.value] = _plain(reader, value, (*where, key.value), lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(reader, one, (*where, at), lines) for at, one in enumerate(node.value)]
    return _scalar(reader, node)


def _scalar(reader: YamlReader, node: yaml.Node) -> Any:
    kind = node.tag.removeprefix(_TAGS)
    if kind in ("str", "timestamp"):
        return node.value
    if kind == "int" and node.value.isdecimal() and len(node.value) <= 12:
        return int(node.value)
    if kind == "bool" and node.value in ("true", "false"):
        return node.value == "true"
    reader.refuse(node, "Here must be text, a whole number, true or false. Put text in quotes.")
    return None


def _line(where: tuple[str | int, ...], lines: Mapping[tuple[str | int, ...], int]) -> int:
    """The line of the innermost place that stands in the file."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "the rule"
    match error["type"]:
        case "extra_forbidden":
            return f"Unknown field {name!r}."
        case "missing":
            return f"The field {name!r} is missing."
        case "value_error":
            return f"{name}: {error['ctx']['error']}"
    return f"{name}: {error['msg']}."


def _in_its_place(placed: Placed, unit: str | None, stem: str) -> tuple[Placed, list[Problem]]:
    """A unit's rule is for that unit, whatever it says; the file is named as the rule."""
    rule, problems = placed.rule, []
    if rule.id != stem:
        problems.append(
            Problem(placed.file, 1, f"The rule {rule.id!r} lies in a file of another name.")
        )
    if unit is not None:
        if set(rule.scope.units) - {unit}:
            problems.append(
                Problem(placed.file, 1, f"A rule under units/{unit} is for that unit alone.")
            )
        scope = rule.scope.model_copy(update={"units": (unit,)})
        rule = rule.model_copy(update={"scope": scope})
    return Placed(rule, placed.file, placed.line), problems


def _levels(path: Path) -> tuple[dict[str, Level], list[Problem]]:
    if not path.exists():
        return {}, []
    reader = YamlReader(path.name)
    root = reader.root(_bytes(path))
    levels: dict[str, Level] = {}
    if root is None:
        return {}, reader.problems
    if not isinstance(root, yaml.MappingNode):
        reader.refuse(root, "Here is written: unit: high, low or transitional.")
        return {}, reader.problems
    for key, value in root.value:
        level = reader.choice(value, LEVELS)
        if level is not None:
            levels[str(key.value)] = level  # type: ignore[assignment]
    return levels, reader.problems
