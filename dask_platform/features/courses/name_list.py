"""Reading a list of user names: pasted, or a file that a spreadsheet saved.

One user name a line; or columns with a first line that names them. Spreadsheets write semicolons,
commas or tabs, a byte order mark, CRLF, sometimes UTF-16; all of it is read. What is no user name
is named with its line, and a cell that would be a formula elsewhere is no user name.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import Any, Final

from dask_platform.features.identity.service.names import USERNAME_MOST, normal_username
from dask_platform.kernel.errors import TooLarge
from dask_platform.kernel.messages import N_

LINES_MOST: Final = 20_000
BYTES_MOST: Final = 1024 * 1024

_HEADERS: Final = frozenset({"brukernavn", "brukarnamn", "username", "user name"})
_DELIMITERS: Final = (";", "\t", ",")
_USERNAME: Final = re.compile(r"[^\W_][\w.@'-]*")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")

NO_NAME = N_("This is not a user name.")
SEVERAL = N_("Write one user name on each line, or name the columns in the first line.")
UNCLOSED = N_("A quotation mark is not closed.")


@dataclass(frozen=True, slots=True)
class BadLine:
    """``line`` counts from 1; ``shown`` is what stands there, printable and at most 60 long."""

    line: int
    shown: str
    message: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NameList:
    """``names`` are (line, user name) pairs, each name once, in normal form."""

    names: list[tuple[int, str]]
    bad: list[BadLine]


def decode(data: bytes) -> str:
    """Text from a file: UTF-8 or UTF-16 with their marks, else UTF-8, else Windows-1252.

    Raises ``TooLarge`` over 1 MB.
    """
    if len(data) > BYTES_MOST:
        raise TooLarge(N_("The list is too large. The limit is %(limit)s MB."), limit=1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_names(text: str) -> NameList:
    """The user names in ``text``, and the lines that hold something else.

    Raises ``TooLarge`` over 20 000 lines.
    """
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    if len(lines) > LINES_MOST:
        raise TooLarge(N_("The list is too long. The limit is %(limit)s lines."), limit=LINES_MOST)
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((mark for mark in _DELIMITERS if mark in first), ";")
    column: int | None = None
    seen: set[str] = set()
    names: list[tuple[int, str]] = []
    bad: list[BadLine] = []
    for number, line in enumerate(lines, 1):
        cells = _cells(line, delimiter)
        if cells is None:
            bad.append(BadLine(number, printable(line), UNCLOSED))
            continue
        if not any(cells):
            continue
        if not names and not bad and column is None:
            column = _named_column(cells)
            if column is not None:
                continue
        if column is None and sum(map(bool, cells)) > 1:
            bad.append(BadLine(number, printable(line), SEVERAL))
            continue
        cell = next(filter(None, cells)) if column is None else (cells + [""] * column)[column]
        name = normal_username(cell)
        if len(name) > USERNAME_MOST or not _USERNAME.fullmatch(name):
            bad.append(BadLine(number, printable(cell or line), NO_NAME))
        elif name not in seen:
            seen.add(name)
            names.append((number, name))
    return NameList(names, bad)


def printable(text: str) -> str:
    """At most 60 characters, with a mark for each that cannot be seen."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown if len(shown) <= 60 else shown[:59] + "…"


def _cells(line: str, delimiter: str) -> list[str] | None:
    """The cells of one line without blanks around them; None where a quotation mark stays open."""
    try:
        rows = list(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if rows else []


def _named_column(cells: list[str]) -> int | None:
    for at, cell in enumerate(cells):
        if cell.casefold() in _HEADERS:
            return at
    return None
