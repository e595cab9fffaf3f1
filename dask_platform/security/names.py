"""What people call things: files, themselves, their texts.

A name that a student chose is shown to others, so it is a place where a message could hide, or
where letters could be made to read backwards. What a reader cannot see does not stay.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from dask_platform.kernel.errors import Invalid, TooLarge
from dask_platform.kernel.messages import N_

MAX_FILENAME_BYTES: Final = 120
MAX_DISPLAY_NAME: Final = 100

_ZWNJ, _ZWJ = "\u200c", "\u200d"

# Letters and marks by their category, and yet nothing to see: fillers, inherent vowels, the
# grapheme joiner, variation selectors, the empty Braille cell.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
# Control, format, surrogate, private use, unassigned.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

# The scripts in which a joiner changes how a word is written, as the Unicode names begin.
_JOINING_SCRIPTS = frozenset(
    {
        "ARABIC", "BALINESE", "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "JAVANESE",
        "KANNADA", "KHMER", "MALAYALAM", "MONGOLIAN", "MYANMAR", "NKO", "ORIYA", "SINHALA",
        "SYRIAC", "TAMIL", "TELUGU", "TIBETAN",
    }
)  # fmt: skip

_NOT_IN_FILENAMES = re.compile(r'[<>:"|?*]')
_WINDOWS_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")

_BIDI_OPENERS = {
    "\u202a": "\u202c", "\u202b": "\u202c", "\u202d": "\u202c", "\u202e": "\u202c",
    "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069",
}  # fmt: skip
_BIDI_CLOSERS = frozenset(_BIDI_OPENERS.values())
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def _visible(text: str) -> str:
    """``text`` without anything a reader cannot see; runs of white space become one space."""
    spaced = (" " if unicodedata.category(c) in {"Zs", "Zl", "Zp"} or c in "\t\n\r" else c
              for c in text)  # fmt: skip
    seen = "".join(
        c for c in spaced if unicodedata.category(c) not in _HIDDEN_CATEGORIES and c not in _BLANK
    )
    return " ".join(unicodedata.normalize("NFC", seen).split())


def _cut_to_bytes(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")


def safe_filename(raw: str | None) -> str:
    """What is kept of the name a file had on somebody's machine, to show to staff. Never a path.

    Only the last part of a path; NFC; no hidden characters; none that a file system gives a
    meaning; at most 120 bytes of UTF-8, cut before the extension. ``file`` when nothing is left.
    It is shown as text only: a stored file has a key of ours, a download a ``download_name``.
    """
    last = re.split(r"[/\\]", (raw or "").replace("\x00", ""))[-1]
    name = _NOT_IN_FILENAMES.sub("_", _visible(last)).strip(". ")
    if _WINDOWS_DEVICES.match(name):
        name = f"_{name}"
    found = _EXTENSION.search(name)
    extension = found.group() if found else ""
    stem = name.removesuffix(extension)
    stem = _cut_to_bytes(stem, MAX_FILENAME_BYTES - len(extension)).strip(". ")
    return (stem or "file") + extension


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _is_needed_joiner(text: str, at: int) -> bool:
    """Whether the joiner at ``at`` stands between two letters of one script that uses joiners."""
    if not 0 < at < len(text) - 1:
        return False
    before, after = text[at - 1], text[at + 1]
    script = _script(before)
    return (
        script in _JOINING_SCRIPTS
        and _script(after) == script
        and unicodedata.category(before)[0] in "LM"
        and unicodedata.category(after)[0] in "LM"
    )


def clean_display_name(raw: str) -> str:
    """A person's name, in any script, on one line.

    Hidden characters go, and with them every control of direction: the page isolates the name by
    itself. U+200C and U+200D stay where they belong to the spelling (Persian, the Indic scripts).
    Raises ``Invalid`` when no letter is left, ``TooLarge`` over 100 characters.
    """
    words: list[str] = []
    for word in raw.split():
        kept = "".join(
            character
            for at, character in enumerate(word)
            if character not in {_ZWNJ, _ZWJ} or _is_needed_joiner(word, at)
        )
        # Between the joiners the rule is the same as everywhere.
        words.append("".join(
            part if part in {_ZWNJ, _ZWJ} else _visible_keeping_edges(part)
            for part in re.split(f"([{_ZWNJ}{_ZWJ}])", kept)
        ))  # fmt: skip
    name = unicodedata.normalize("NFC", " ".join(" ".join(words).split()))
    if not any(unicodedata.category(character)[0] == "L" for character in name):
        raise Invalid(N_("Write a name with at least one letter."))
    if len(name) > MAX_DISPLAY_NAME:
        raise TooLarge(
            N_("This name is too long. The limit is %(limit)s characters."), limit=MAX_DISPLAY_NAME
        )
    return name


def _visible_keeping_edges(part: str) -> str:
    return "".join(
        c for c in part if unicodedata.category(c) not in _HIDDEN_CATEGORIES and c not in _BLANK
    )


def _balanced(line: str) -> str:
    """``line`` without the controls of direction that open and never close, or the reverse.

    Unicode ends every embedding and isolate with the line, so each line is settled by itself.
    """
    open_at: list[int] = []
    dropped: set[int] = set()
    for at, character in enumerate(line):
        if character in _BIDI_OPENERS:
            open_at.append(at)
        elif character in _BIDI_CLOSERS:
            if open_at and _BIDI_OPENERS[line[open_at[-1]]] == character:
                open_at.pop()
            else:
                dropped.add(at)
    dropped.update(open_at)
    return "".join(c for at, c in enumerate(line) if at not in dropped) if dropped else line


def clean_text(raw: str, max_length: int) -> str:
    r"""Free text of several lines, as it is stored: NFC, ``\n`` line ends, no controls but tab.

    Raises ``Invalid`` for NUL and lone surrogates, which no person types and no database keeps,
    and ``TooLarge`` over ``max_length`` characters, counted after cleaning.
    """
    if "\x00" in raw or _SURROGATE.search(raw) is not None:
        raise Invalid(N_("This text has characters that cannot be kept. Write it again."))
    text = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    text = _CONTROL.sub("", text.replace("\u2029", "\n").replace("\x0b", "\n"))
    text = "\n".join(_balanced(line) for line in text.split("\n"))
    text = unicodedata.normalize("NFC", text)
    if len(text) > max_length:
        raise TooLarge(
            N_("This text is too long. It has %(length)s characters, and the limit is %(limit)s."),
            length=len(text),
            limit=max_length,
        )
    return text


def download_name(kind: str, number: str, extension: str) -> str:
    """A name of ours for a file that leaves the platform: ``innlevering-K7QF-2M9P-1.pdf``.

    It goes into a header and onto a memory stick, so nothing of the sender's own name is in it.
    Raises ``ValueError`` for parts that are not plain; they come from our code, not from people.
    """
    if not (
        re.fullmatch(r"[a-z]+(?:-[a-z]+)*", kind)
        and re.fullmatch(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", number)
        and re.fullmatch(r"[a-z0-9]{1,8}", extension)
        and len(kind) + len(number) <= 100
    ):
        raise ValueError(f"not the parts of a file name: {kind!r}, {number!r}, {extension!r}")
    return f"{kind}-{number}.{extension}"
