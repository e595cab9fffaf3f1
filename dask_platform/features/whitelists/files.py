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

from dask_platform.features.whitelists.rules import Fault, Level, Rule
from dask_platform.kernel.messages import N_
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
                Problem(name, 1, N_("Rules lie in national/ or units/<unit>/, and end in .yaml."))
            )
    if len(files) > MOST_FILES:
        return Folder(), [_wrong(".", N_("There are more than %(most)s files."), most=MOST_FILES)]
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
        return None, [_fault(file, _line(one["loc"], lines), one) for one in error.errors()]
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
                reader.refuse(key, N_("A field's name is a word."))
            elif key.value in found:
                reader.refuse(key, N_("The field %(name)s stands twice."), name=repr(key.value))
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
    reader.refuse(node, N_("Here must be text, a whole number, true or false. Put text in quotes."))
    return None


def _line(where: tuple[str | int, ...], lines: Mapping[tuple[str | int, ...], int]) -> int:
    """The line of the innermost place that stands in the file."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


#: What the reading of a field says, so that a person understands it.
_SAID: Final = {
    "date_from_datetime_parsing": N_("Here must be a day, such as 2026-11-22."),
    "extra_forbidden": N_("There is no such field."),
    "missing": N_("The field is missing."),
    "string_pattern_mismatch": N_("It holds a character that cannot stand here."),
    "string_too_long": N_("It is longer than it may be."),
    "string_too_short": N_("It is empty, or too short."),
    "too_long": N_("There are more than there may be."),
    "too_short": N_("There are fewer than there must be."),
}


def _fault(file: str, line: int, error: Any) -> Problem:
    """What is wrong with one field. What no sentence of ours says is told as the reader of JSON
    says it, in English."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] != "value_error":
        said = _SAID.get(error["type"], f"{error['msg']}.")
        return Problem(file, line, said, field=name)
    fault: Fault = error["ctx"]["error"]
    return _wrong(file, fault.message, line=line, field=name, **fault.params)


def _wrong(file: str, message: str, *, line: int = 1, field: str = "", **params: object) -> Problem:
    said = tuple((name, str(value)) for name, value in params.items())
    return Problem(file, line, message, field=field, params=said)


def _in_its_place(placed: Placed, unit: str | None, stem: str) -> tuple[Placed, list[Problem]]:
    """A unit's rule is for that unit, whatever it says; the file is named as the rule."""
    rule, problems = placed.rule, []
    if rule.id != stem:
        problems.append(
            _wrong(
                placed.file, N_("The rule %(rule)s lies in a file of another name."), rule=rule.id
            )
        )
    if unit is not None:
        if set(rule.scope.units) - {unit}:
            problems.append(
                _wrong(
                    placed.file,
                    N_("A rule under units/%(unit)s is for that unit alone."),
                    unit=unit,
                )
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
        reader.refuse(root, N_("Here is written: unit: high, low or transitional."))
        return {}, reader.problems
    for key, value in root.value:
        level = reader.choice(value, LEVELS)
        if level is not None:
            levels[str(key.value)] = level  # type: ignore[assignment]
    return levels, reader.problems
