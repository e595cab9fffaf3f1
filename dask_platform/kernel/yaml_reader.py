"""YAML read node by node, so that every complaint has a line.

``yaml.safe_load`` forgets where a value stood, lets the last of two equal keys win, and follows
aliases that unfold to gigabytes. Here nothing is constructed: the caller asks for the type it
wants, a wrong one is a problem, and the reading goes on to find the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import yaml

from dask_platform.kernel.messages import N_

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 12

_STR = "tag:yaml.org,2002:str"
_INT = "tag:yaml.org,2002:int"
_BOOL = "tag:yaml.org,2002:bool"
_DATE = "tag:yaml.org,2002:timestamp"
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something to put right in a file. ``line`` counts from 1; a warning refuses nothing.

    ``message`` is the English sentence and the translation key, ``params`` are the names and values
    of its places, and ``field`` names the field that it is about, where it is about one.
    """

    file: str
    line: int
    message: str
    warning: bool = False
    field: str = ""
    params: tuple[tuple[str, str], ...] = ()

    @property
    def english(self) -> str:
        """The sentence with its places filled, and its field before it."""
        said = self.message % dict(self.params) if self.params else self.message
        return f"{self.field}: {said}" if self.field else said

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {'warning: ' if self.warning else ''}{self.english}"


def _line(thing: yaml.Node | yaml.Event) -> int:
    return thing.start_mark.line + 1 if thing.start_mark is not None else 1


class YamlReader:
    """One file. ``problems`` gathers what is wrong; a value that is wrong reads as None."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def refuse(self, where: yaml.Node | int, message: str, **params: object) -> None:
        """Note what is wrong: a sentence with the names of its places, and what stands in them."""
        line = where if isinstance(where, int) else _line(where)
        said = tuple((name, str(value)) for name, value in params.items())
        self.problems.append(Problem(self.file, line, message, params=said))

    def root(self, data: bytes) -> yaml.Node | None:
        """The document's root, or None where the file cannot be read at all."""
        if len(data) > MAX_BYTES:
            self.refuse(1, N_("The file is larger than %(size)s KiB."), size=MAX_BYTES // 1024)
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.refuse(
                data.count(b"\n", 0, error.start) + 1, N_("The file must be saved as UTF-8.")
            )
            return None
        try:
            if not self._safe(text):
                return None
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.refuse(
                mark.line + 1 if mark else 1, N_("Not valid YAML: %(what)s."), what=error.problem
            )
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.refuse(line, N_("Not valid YAML: a character that cannot be used."))
            return None
        if node is None:
            self.refuse(1, N_("The file is empty."))
        return node

    def _safe(self, text: str) -> bool:
        """Refuse aliases (they unfold without end) and depth (the composer calls itself)."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                self.refuse(_line(event), N_("Aliases (*name) are not used here."))
                return False
            depth += isinstance(event, _OPENING)
            depth -= isinstance(event, _CLOSING)
            if depth > MAX_DEPTH:
                self.refuse(_line(event), N_("Nested too deep."))
                return False
        return True

    def mapping(self, node: yaml.Node, fields: Mapping[str, bool]) -> dict[str, yaml.Node] | None:
        """The values by key. ``fields`` are the keys there may be: True where it must be there."""
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node, N_("Here must be the fields %(fields)s."), fields=", ".join(fields))
            return None
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name not in fields:
                self.refuse(
                    key,
                    N_("Unknown field %(name)s. Known are %(fields)s."),
                    name=repr(name),
                    fields=", ".join(fields),
                )
            elif name in found:
                self.refuse(key, N_("The field %(name)s stands twice."), name=repr(name))
            else:
                found[name] = value
        for name, needed in fields.items():
            if needed and name not in found:
                self.refuse(node, N_("The field %(name)s is missing."), name=repr(name))
        return found

    def sequence(self, node: yaml.Node | None) -> Iterator[yaml.Node]:
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(node, N_("Here must be a list."))
            return
        yield from node.value

    def text(self, node: yaml.Node | None, *, most: int, empty: bool = False) -> str | None:
        """Text of at most ``most`` characters, without the blanks around it."""
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode) or node.tag != _STR:
            self.refuse(node, N_("Here must be text. Put it in quotes."))
            return None
        value = node.value.strip()
        if not value and not empty:
            self.refuse(node, N_("Here must be text; it is empty."))
            return None
        if len(value) > most:
            self.refuse(node, N_("The text is longer than %(most)s characters."), most=most)
            return None
        return str(value)

    def choice(self, node: yaml.Node | None, choices: tuple[str, ...]) -> str | None:
        value = self.text(node, most=200)
        if value is not None and value not in choices and node is not None:
            self.refuse(
                node,
                N_("%(value)s is not one of %(choices)s."),
                value=repr(value),
                choices=", ".join(choices),
            )
            return None
        return value

    def whole(self, node: yaml.Node | None, least: int, most: int) -> int | None:
        """A whole number in plain decimal digits, from ``least`` to ``most``."""
        if node is None:
            return None
        if (
            isinstance(node, yaml.ScalarNode)
            and node.tag == _INT
            and node.value.isdecimal()
            and len(node.value) <= 9
            and least <= int(node.value) <= most
        ):
            return int(node.value)
        self.refuse(
            node,
            N_("Here must be a whole number from %(least)s to %(most)s."),
            least=least,
            most=most,
        )
        return None

    def flag(self, node: yaml.Node | None) -> bool | None:
        if node is None:
            return None
        if (
            isinstance(node, yaml.ScalarNode)
            and node.tag == _BOOL
            and node.value in ("true", "false")
        ):
            return bool(node.value == "true")
        self.refuse(node, N_("Here must be true or false."))
        return None

    def day(self, node: yaml.Node | None) -> date | None:
        if node is None:
            return None
        if isinstance(node, yaml.ScalarNode) and node.tag in (_DATE, _STR):
            try:
                return date.fromisoformat(node.value)
            except ValueError:
                pass
        self.refuse(node, N_("Here must be a day, such as 2026-11-22."))
        return None
