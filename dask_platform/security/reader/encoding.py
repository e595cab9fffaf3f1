"""Which characters the bytes of a page are, as a browser works it out.

The order is the HTML standard's: a byte order mark, then what the server said, then what the first
1024 bytes say about themselves, then a guess. UTF-7 and other names that the standard does not know
count as nothing said. What comes out is text; everything that we send on is UTF-8 and says so, so
no second reader has anything left to guess.
"""

from __future__ import annotations

import re
from typing import Final

import webencodings

PRESCAN_BYTES: Final = 1024

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))
_SPACE: Final = b"\t\n\x0c\r /"
_META: Final = re.compile(rb"<meta[\t\n\x0c\r /]", re.IGNORECASE)
_TAG: Final = re.compile(rb"</?[A-Za-z][^\t\n\x0c\r >]*")
_ATTRIBUTE: Final = re.compile(
    rb"""[\t\n\x0c\r /]*+
    (?P<name>=?[^\t\n\x0c\r /=>]*+)
    (?:[\t\n\x0c\r ]*=[\t\n\x0c\r ]*
      (?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\t\n\x0c\r >"'][^\t\n\x0c\r >]*+)?
      ))?""",
    re.VERBOSE,
)
_IN_CONTENT: Final = re.compile(
    r"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"']+))""",
    re.IGNORECASE,
)


def decode(data: bytes, charset: str | None) -> tuple[str, str]:
    """The text of ``data``, and the standard's name of the encoding it was read in.

    ``charset`` is the parameter of the ``Content-Type`` header, if there was one. Bytes that mean
    nothing become U+FFFD; there is always an answer.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _read(data[len(mark) :], name)
    said = _known(charset) or _prescan(data[:PRESCAN_BYTES])
    if said is not None:
        return _read(data, said)
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _read(data, "windows-1252")


def _read(data: bytes, name: str) -> tuple[str, str]:
    encoding = webencodings.lookup(name)
    assert encoding is not None  # noqa: S101 - every name here came out of ``lookup``
    text: str = encoding.codec_info.decode(data, "replace")[0]
    return text, name


def _known(label: str | None) -> str | None:
    """The standard's name for ``label``; None where it has none, and for encodings that only hide
    what a page says (``replacement``, UTF-7)."""
    if label is None:
        return None
    encoding = webencodings.lookup(label)
    return None if encoding is None else str(encoding.name)


def _prescan(head: bytes) -> str | None:
    """The standard's «prescan a byte stream to determine its encoding»."""
    at = 0
    while (at := head.find(b"<", at)) >= 0:
        if head.startswith(b"<!--", at):
            # <!--> is a whole comment, so its hyphens count on both sides.
            end = head.find(b"-->", at + 2)
            if end < 0:
                return None
            at = end + 3
        elif _META.match(head, at):
            at, found = _meta(head, at + len(b"<meta"))
            if found is not None:
                return found
        elif tag := _TAG.match(head, at):
            at, _attributes = _attributes_from(head, tag.end())
        elif head[at + 1 : at + 2] in (b"!", b"/", b"?"):
            end = head.find(b">", at)
            if end < 0:
                return None
            at = end + 1
        else:
            at += 1
    return None


def _meta(head: bytes, at: int) -> tuple[int, str | None]:
    at, given = _attributes_from(head, at)
    label: str | None = None
    if "charset" in given:
        label = given["charset"]
    elif given.get("http-equiv", "").lower() == "content-type":
        found = _IN_CONTENT.search(given.get("content", ""))
        label = next((one for one in found.groups() if one is not None), None) if found else None
    name = _known(label)
    if name is None:
        return at, None
    if name in ("utf-16be", "utf-16le"):
        return at, "utf-8"
    return at, "windows-1252" if name == "x-user-defined" else name


def _attributes_from(head: bytes, at: int) -> tuple[int, dict[str, str]]:
    """Where the tag ends, and its attributes, the first of each name."""
    given: dict[str, str] = {}
    while at < len(head):
        found = _ATTRIBUTE.match(head, at)
        if found is None or found.end() == at or not found["name"]:
            break
        name = found["name"].decode("latin-1").lower()
        value = next(
            (one for one in (found["double"], found["single"], found["bare"]) if one is not None),
            b"",
        )
        given.setdefault(name, value.decode("latin-1"))
        at = found.end()
    while at < len(head) and head[at] in _SPACE:
        at += 1
    return at + (head[at : at + 1] == b">"), given
