"""Lists of user names as people paste them and as spreadsheets save them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.courses.name_list import decode, printable, read_names
from dask_platform.kernel.errors import TooLarge

GOOD: dict[str, tuple[bytes, list[tuple[int, str]]]] = {
    "one a line": (b"anna\nbo\n", [(1, "anna"), (2, "bo")]),
    "mark and CRLF": ("\ufeffanna\r\nbo\r\n".encode(), [(1, "anna"), (2, "bo")]),
    "old Mac": (b"anna\rbo", [(1, "anna"), (2, "bo")]),
    "UTF-16 of a spreadsheet": ("anna\r\nbo\r\n".encode("utf-16"), [(1, "anna"), (2, "bo")]),
    "Windows-1252": ("åse\nbo\n".encode("cp1252"), [(1, "åse"), (2, "bo")]),
    "semicolons with a header": (
        b"Navn;Brukernavn;Klasse\nAnna Berg;anna;A\nBo Li;bo;B\n",
        [(2, "anna"), (3, "bo")],
    ),
    "commas, quoted": (
        b'"username","name"\n"anna","Berg, Anna"\n"bo","Li"\n',
        [(2, "anna"), (3, "bo")],
    ),
    "tabs": (b"namn\tbrukarnamn\nAnna\tanna\n", [(2, "anna")]),
    "empty lines and columns": (b"\n anna ;;\n\n;;\nbo;;\n", [(2, "anna"), (5, "bo")]),
    "large letters and twice": (b"Anna\nANNA\nbo\n", [(1, "anna"), (3, "bo")]),
    "nothing": (b"\n\n", []),
}

# what is sent → the lines that are refused
BAD: dict[str, tuple[bytes, list[int]]] = {
    "formula": (b"anna\n=cmd|' /C calc'!A0\n", [2]),
    "formulas of every kind": (b"+1+1\n-1\n@SUM(A1)\n\tx\n", [1, 2, 3]),
    "nul": (b"anna\nb\x00o\n", [2]),
    "two names on a line": (b"anna;bo\n", [1]),
    "two names with a comma": (b"anna, bo\ncem\n", [1]),
    "a sentence": (b"anna\nsee the list below\n", [2]),
    "open quotation mark": (b'brukernavn;navn\nanna;"Anna\nbo;Bo\n', [2]),
    "markup": (b"<script>alert(1)</script>\n", [1]),
    "direction": ("anna\n\u202eob\n".encode(), [2]),
    "too long": (b"a" * 200, [1]),
    "row too short": (b"navn;brukernavn\nAnna\n", [2]),
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_reads(name: str) -> None:
    data, expected = GOOD[name]
    found = read_names(decode(data))
    assert found.bad == []
    assert found.names == expected


@pytest.mark.parametrize("name", sorted(BAD))
def test_names_each_bad_line(name: str) -> None:
    data, lines = BAD[name]
    found = read_names(decode(data))
    assert [one.line for one in found.bad] == lines
    assert all(one.shown.isprintable() and len(one.shown) <= 60 for one in found.bad)


def test_reads_ten_thousand_lines() -> None:
    found = read_names("\r\n".join(f"elev{number}" for number in range(10_000)))
    assert (len(found.names), found.bad) == (10_000, [])


def test_refuses_what_is_no_list() -> None:
    with pytest.raises(TooLarge, match="1 MB"):
        decode(b"a" * (1024 * 1024 + 1))
    with pytest.raises(TooLarge, match="20000 lines"):
        read_names("a\n" * 20_001)


@given(st.binary(max_size=400))
def test_any_bytes_give_names_or_bad_lines(data: bytes) -> None:
    found = read_names(decode(data))
    names = [name for _, name in found.names]
    assert len(set(names)) == len(names)
    assert all(name == name.strip().lower() and name.isprintable() for name in names)
    assert all(one.line >= 1 and one.shown.isprintable() for one in found.bad)


@given(st.lists(st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True), unique=True),
       st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())  # fmt: skip
def test_what_is_written_is_read(names: list[str], end: str, mark: bool) -> None:
    text = ("\ufeff" if mark else "") + end.join(["brukernavn", *names])
    assert [name for _, name in read_names(text).names] == names


def test_printable_is_short_and_visible() -> None:
    assert printable("a\x00b\u202e") == "a\ufffdb\ufffd"
    assert len(printable("x" * 500)) == 60
