"""The reader of HTTP alone: however the bytes are cut, it reads the same or refuses the same."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dask_platform.adapters.upstream.packing import CHUNK, unpacking
from dask_platform.adapters.upstream.wire import (
    LONGEST_HEAD,
    Body,
    ChunkedBody,
    LengthBody,
    framed,
    head_end,
    parse_head,
)
from dask_platform.kernel.errors import UpstreamAnswerRefused, UpstreamError, UpstreamTooLarge

OK = b"HTTP/1.1 200 OK\r\n"


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """``data`` in pieces, cut at ``places``."""
    at = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(at)]


def outcome(pieces: list[bytes]) -> object:
    """The head that the pieces hold with what is behind it, None when none ends, or the refusal."""
    held, seen = bytearray(), 0
    for piece in pieces:
        held += piece
        try:
            end = head_end(held, seen)
            if end is not None:
                return parse_head(bytes(held[:end]))
        except UpstreamAnswerRefused:
            return "refused"
        seen = len(held)
    return None


def read(body: Body, pieces: list[bytes]) -> object:
    out = b""
    try:
        for piece in pieces:
            out += body.feed(piece)
    except UpstreamError:
        return "refused"
    return out, body.done


HEADS = st.lists(
    st.sampled_from(
        [OK, b"A: b\r\n", b"A: b\n", b"\r", b"\n", b"\r\n", b" c\r\n", b"\0", b"A", b": "]
    ),
    max_size=8,
).map(lambda parts: b"".join([OK, *parts]))


@given(HEADS, st.lists(st.integers(0, 200), max_size=6))
@example(OK + b"A: b\r\n\r\n", [17, 18, 22, 23, 24, 25])
def test_a_head_is_read_the_same_however_it_is_cut(data: bytes, places: list[int]) -> None:
    whole = outcome([data])
    parts = outcome(cut(data, places))
    # Bytes behind a head may be broken: they are judged as what they are, a body.
    assert parts == whole


TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=10)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
)


@given(st.integers(200, 599), st.lists(st.tuples(TOKENS, VALUES), max_size=10))
def test_what_is_written_right_is_read_as_written(
    status: int, fields: list[tuple[str, str]]
) -> None:
    lines = [f"HTTP/1.1 {status} Words", *(f"{name}: {value}" for name, value in fields), "", ""]
    head = parse_head("\r\n".join(lines).encode("latin-1"))
    assert head.status == status
    assert head.fields == tuple((name.lower(), value.strip(" \t")) for name, value in fields)


@given(st.binary(max_size=200))
def test_nothing_but_a_named_error_comes_of_any_bytes(data: bytes) -> None:
    for text in (data, OK + data + b"\r\n\r\n"):
        outcome([text])
        for body in (ChunkedBody(), LengthBody(7)):
            read(body, [text])


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.lists(st.integers(0, 2000)))
def test_chunks_are_read_as_written_however_they_are_cut(
    chunks: list[bytes], places: list[int]
) -> None:
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert read(ChunkedBody(), cut(data, places)) == (b"".join(chunks), True)


@given(
    st.lists(
        st.sampled_from(
            [b"1\r\n", b"a", b"\r\n", b"\r", b"\n", b"0\r\n", b";x", b"A: b\r\n", b" "]
        ),
        max_size=10,
    ).map(b"".join),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_chunks_are_refused_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    assert read(ChunkedBody(), cut(data, places)) == read(ChunkedBody(), [data])


def test_a_head_that_comes_byte_by_byte_ends_at_its_limit() -> None:
    held = bytearray(OK)
    while len(held) < LONGEST_HEAD:
        held += b"x"
        assert head_end(held, len(held) - 1) is None
    with pytest.raises(UpstreamAnswerRefused) as caught:
        head_end(held + b"x", len(held))
    assert caught.value.reason == "head too long"


@pytest.mark.parametrize(
    ("status", "method", "fields", "body"),
    [
        (200, "HEAD", b"Content-Length: 9\r\n", LengthBody),
        (200, "HEAD", b"Transfer-Encoding: chunked\r\n", LengthBody),
        (304, "GET", b"Content-Length: 9\r\n", LengthBody),
        (204, "GET", b"Content-Length: 0\r\n", LengthBody),
        (200, "GET", b"Content-Length: 9\r\n", LengthBody),
        (200, "GET", b"Transfer-Encoding: chunked\r\n", ChunkedBody),
    ],
)
def test_framing(status: int, method: str, fields: bytes, body: type) -> None:
    head = parse_head(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, fields))
    assert isinstance(framed(head, method), body)


@given(st.binary(max_size=3000), st.integers(0, 2), st.lists(st.integers(0, 4000), max_size=5))
def test_unpacking_gives_what_was_packed(data: bytes, way: int, places: list[int]) -> None:
    coding = (None, "gzip", "deflate")[way]
    sent = (lambda text: text, gzip.compress, zlib.compress)[way](data)
    unpacked = unpacking(coding, 3000)
    out = [chunk for piece in cut(sent, places) for chunk in unpacked.feed(piece)]
    unpacked.end()
    assert b"".join(out) == data


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])
@pytest.mark.parametrize("coding", [None, "gzip"])
def test_no_chunk_is_larger_than_promised(size: int, coding: str | None) -> None:
    data = b"a" * size
    unpacked = unpacking(coding, size)
    chunks = list(unpacked.feed(gzip.compress(data) if coding else data))
    unpacked.end()
    assert b"".join(chunks) == data
    assert max(len(chunk) for chunk in chunks) <= CHUNK
    with pytest.raises(UpstreamTooLarge):
        list(unpacking(coding, size - 1).feed(gzip.compress(data) if coding else data))
