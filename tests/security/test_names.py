"""Names and texts that people choose."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.kernel.errors import Invalid, TooLarge
from dask_platform.security.names import (
    MAX_FILENAME_BYTES,
    clean_display_name,
    clean_text,
    download_name,
    safe_filename,
)

HIDDEN = ["\u200b", "\u200e", "\u202e", "\u2066", "\ufeff", "\x07", "\x00", "\U000e0041", "\u3164",
          "\ufe0f", "\u034f", "\ue000", "\ud800"]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (None, "file"),
        ("", "file"),
        ("...", "file"),
        ("oppgåve 3.docx", "oppgåve 3.docx"),
        ("C:\\Users\\Ola\\min fil.pdf", "min fil.pdf"),
        ("../../etc/passwd", "passwd"),
        ("a/b/", "file"),
        (".bashrc", "bashrc"),
        (".pdf", "pdf"),
        ("x.pdf.", "x.pdf"),
        ("x\u202efdp.exe", "xfdp.exe"),
        ("x\x00.pdf", "x.pdf"),
        ("a\nb\t c.txt", "a b c.txt"),
        ("a:b|c?.txt", "a_b_c_.txt"),
        ("CON", "_CON"),
        ("lpt1.txt", "_lpt1.txt"),
        ("console.txt", "console.txt"),
        ("a\u030a.txt", "å.txt"),
        ("كتاب.pdf", "كتاب.pdf"),
        ("\u200b.pdf", "pdf"),
    ],
)
def test_file_names(raw: str | None, kept: str) -> None:
    assert safe_filename(raw) == kept


def test_a_long_file_name_keeps_its_extension_and_whole_letters() -> None:
    kept = safe_filename("å" * 255 + ".docx")
    assert kept == "å" * 57 + ".docx"
    assert len(kept.encode()) <= MAX_FILENAME_BYTES


@given(st.text(st.characters(), max_size=300))
def test_any_file_name_is_kept_safely(raw: str) -> None:
    kept = safe_filename(raw)
    assert 1 <= len(kept.encode()) <= MAX_FILENAME_BYTES
    assert not set(kept) & set('/\\<>:"|?*')
    assert kept not in {".", ".."}
    assert not any(unicodedata.category(c)[0] == "C" for c in kept)
    assert safe_filename(kept) == kept


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("  Ola \u00a0 Nordmann ", "Ola Nordmann"),
        ("A\u030ase Ødegård", "Åse Ødegård"),
        ("محمد", "محمد"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("Nguyễn Văn An", "Nguyễn Văn An"),
        ("Олександр", "Олександр"),
        ("O\u2019Brien-Åse", "O\u2019Brien-Åse"),
        ("O\u200dla", "Ola"),
        ("ola\u202edlrow", "oladlrow"),
        ("می\u200c\u200cخ", "میخ"),
        ("\u200cمی\u200c", "می"),
        ("a\u200cم", "aم"),
        ("Ola\nNordmann", "Ola Nordmann"),
    ],
)
def test_display_names(raw: str, kept: str) -> None:
    assert clean_display_name(raw) == kept


@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_characters_carry_no_message_in_a_name(hidden: str) -> None:
    assert clean_display_name(f"O{hidden}l{hidden}{hidden}a") == "Ola"


@pytest.mark.parametrize("raw", ["", " ", "\u3164", "123", "---", "\u200d", "\u2800"])
def test_a_name_needs_a_letter(raw: str) -> None:
    with pytest.raises(Invalid, match="at least one letter"):
        clean_display_name(raw)


def test_a_name_has_a_limit() -> None:
    assert clean_display_name("a" * 100) == "a" * 100
    with pytest.raises(TooLarge, match="100"):
        clean_display_name("a" * 101)


@given(st.text(st.characters(), max_size=60))
def test_a_cleaned_name_is_at_rest(raw: str) -> None:
    try:
        name = clean_display_name(raw)
    except Invalid:
        return
    assert clean_display_name(name) == name
    assert not any(unicodedata.category(c)[0] == "C" for c in name if c not in "\u200c\u200d")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("a\r\nb\rc\u2028d\u2029e", "a\nb\nc\nd\ne"),
        ("a\tb\x07\x1b[31mc\x7f", "a\tb[31mc"),
        ("A\u030a", "Å"),
        ("a\u202eb", "ab"),
        ("a\u202eb\u202cc", "a\u202eb\u202cc"),
        ("a\u202eb\nc\u202c", "ab\nc"),
        ("\u2067\u05d0\u2069\u2069", "\u2067\u05d0\u2069"),
        ("\u2067\u202ax\u2069\u202c", "\u202ax\u202c"),
        ("emoji \U0001f469\u200d\U0001f52c", "emoji \U0001f469\u200d\U0001f52c"),
    ],
)
def test_texts(raw: str, kept: str) -> None:
    assert clean_text(raw, 100) == kept


@pytest.mark.parametrize("raw", ["a\x00b", "\ud800", "a\udfffb"])
def test_a_text_that_no_database_keeps_is_refused(raw: str) -> None:
    with pytest.raises(Invalid, match="Write it again"):
        clean_text(raw, 100)


def test_a_text_is_measured_after_cleaning() -> None:
    assert clean_text("a\r\n" * 50, 100) == "a\n" * 50
    with pytest.raises(TooLarge, match="101 characters, and the limit is 100"):
        clean_text("x" * 101, 100)


@given(st.text(max_size=200))
def test_a_cleaned_text_is_at_rest(raw: str) -> None:
    try:
        text = clean_text(raw, 1000)
    except Invalid:
        return
    assert clean_text(text, 1000) == text
    assert "\r" not in text
    text.encode()


@given(st.text(st.sampled_from("ab\n\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")))
def test_every_direction_that_opens_closes_on_its_line(raw: str) -> None:
    for line in clean_text(raw, 10_000).split("\n"):
        opened: list[str] = []
        for character in line:
            if character in "\u202a\u202b\u202d\u202e":
                opened.append("\u202c")
            elif character in "\u2066\u2067\u2068":
                opened.append("\u2069")
            elif character in "\u202c\u2069":
                assert opened.pop() == character
        assert not opened


def test_download_names() -> None:
    assert download_name("innlevering", "K7QF-2M9P-1", "pdf") == "innlevering-K7QF-2M9P-1.pdf"


@pytest.mark.parametrize(
    "parts",
    [("Inn levering", "1", "pdf"), ("x", "1/2", "pdf"), ("x", "1", "p.df"), ("x", "", "pdf"),
     ("", "1", "pdf"), ("x", "1\n", "pdf"), ("x", "1", "pdf\n"), ("x", "å", "pdf"),
     ("x", "1" * 200, "pdf"), ("x", "1", "PDF")],
)  # fmt: skip
def test_download_names_are_made_of_plain_parts(parts: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="parts of a file name"):
        download_name(*parts)
